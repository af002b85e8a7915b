"""Root file systems from layers: overlay, copy."""
