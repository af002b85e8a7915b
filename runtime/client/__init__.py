"""The door: what the rest of the world uses to talk to the engine."""
