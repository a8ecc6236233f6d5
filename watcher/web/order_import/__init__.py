"""Reads lists of orders: CSV, JSON, HTML tables and workbooks."""
