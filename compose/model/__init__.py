"""The Compose Specification as immutable types."""
