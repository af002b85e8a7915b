"""The warm command line: a process with everything imported that forks for each command."""
