"""Does: images, containers, networks, volumes, exec, logs, events."""
