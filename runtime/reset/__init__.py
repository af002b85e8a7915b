"""Remove everything that one engine ever put on this machine, whether it runs or not."""
