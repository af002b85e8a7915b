"""cgroup v1, v2 and none, behind one manager protocol."""
