"""What is sent outside: when, in which words, signed, and by which way."""
