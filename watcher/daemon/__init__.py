"""The running tasks: of each panel, and of the daemon as a whole."""
