"""Decides: compose files become a model, a desired state and a plan."""
