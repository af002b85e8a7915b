"""File changes to actions: the rules and the session of `develop.watch`."""
