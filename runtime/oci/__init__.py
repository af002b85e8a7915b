"""OCI runtime specification: config.json, create, start, state, kill, delete."""
