"""HTTP on the engine socket."""
