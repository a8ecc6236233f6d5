"""The HTTP API, the status page and the probes."""
