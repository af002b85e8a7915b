"""Named volumes and the mounts of a container."""
