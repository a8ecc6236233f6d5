"""A daemon that watches orders at SMM panels."""

__version__ = "0.1.0"
