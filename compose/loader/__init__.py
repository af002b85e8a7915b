"""Files to a Project, in the phases that `pipeline.PHASES` lists."""
