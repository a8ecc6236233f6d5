"""The status page: what people see in a browser, and its buttons."""
