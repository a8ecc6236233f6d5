"""Rules: conditions in CEL, decisions, brakes. Pure."""
