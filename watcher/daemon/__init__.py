"""The tasks: those of each panel, and those of the daemon as a whole."""
