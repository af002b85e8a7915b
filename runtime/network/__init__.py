"""Bridges, endpoints, addresses, firewall, published ports."""
