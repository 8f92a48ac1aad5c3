"""Looking in: what operators see of a process."""
