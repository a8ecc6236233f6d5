"""Tells people: what serves [[notify]]."""
