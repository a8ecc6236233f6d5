"""What runs: one panel's tasks, and those of the daemon as a whole."""
