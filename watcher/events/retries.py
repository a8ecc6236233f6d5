"""When to send a message again that did not arrive: pure."""

FIRST, LONGEST = 10.0, 3600.0  # seconds
LONG_ENOUGH = 3 * 86400.0  # seconds after which a message is given up
TRIES = 80  # attempts, which take as long with those pauses


def pause(failures: int) -> float:
    """Return the seconds until the next try, after so many failures in a row."""
    return min(LONGEST, FIRST * 2.0 ** min(max(0, failures - 1), 20))
