"""Images from and to registries (OCI distribution specification); used in worker processes only."""
