"""References, content store, image store, archives, layers."""
