"""What is told outside: when, in which words, signed, and the ways to whoever is told."""
