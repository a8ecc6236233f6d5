"""One panel's API: protocol, profiles, HTTP client, request rate, health."""
