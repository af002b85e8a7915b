"""One module per verb: load, observe, plan, execute; no typer, no printing."""
