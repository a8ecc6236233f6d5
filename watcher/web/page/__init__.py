"""The status page: what people see in a browser, and the buttons there."""
