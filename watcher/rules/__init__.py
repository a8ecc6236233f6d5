"""Conditions, decisions, brakes: what rules do. Pure."""
