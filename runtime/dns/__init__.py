"""The resolver at 127.0.0.11: zones, server, forwarder."""
