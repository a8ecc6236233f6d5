"""Tells programs: what serves [[events]]."""
