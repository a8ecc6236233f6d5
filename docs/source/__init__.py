"""Makes what in docs/ follows from the code."""
