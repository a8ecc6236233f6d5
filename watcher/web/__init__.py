"""HTTP API, status page, probes."""
