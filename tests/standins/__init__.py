"""Programs that stand in for batch systems: they run scripts, and answer as was recorded."""
