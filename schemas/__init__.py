"""JSON schemas of what we read and write."""
