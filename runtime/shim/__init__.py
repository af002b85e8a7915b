"""The zygote and the shim: true parent of every container, its stdio and its exit record."""
