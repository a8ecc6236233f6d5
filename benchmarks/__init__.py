"""Measurements of the real program, each with `make bench-…`; figures go to tables and JSON."""
