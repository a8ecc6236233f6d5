"""The status page: HTML for browsers, and its buttons."""
