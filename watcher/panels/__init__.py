"""Panels: their protocol, profiles, HTTP client and request rate."""
