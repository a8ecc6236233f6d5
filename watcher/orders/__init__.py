"""Watched orders in memory: their fields, what is due next, when to check. Pure."""
