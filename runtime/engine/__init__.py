"""The brain: records, owner tasks, plan executor."""
