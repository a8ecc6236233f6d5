"""The words of the page that need an explanation: its headings show these as hints.

Each meaning is as docs/glossary.md has it.
"""

TERMS = {
    "action's state": "how far an action is: planned, sending, accepted, rejected or unresolved",
    "attempts": "how often a rule may fire for one order",
    "balance": "what is left at the panel",
    "brake": (
        "per_hour: a rule that wants to act on more orders is paused at that panel for an hour"
    ),
    "charge": "what the panel charged for the order",
    "check": "asking a panel for an order's status. One request checks up to 100 orders",
    "dry run": "the rule decides and records, but sends nothing",
    "fires": "a rule fires when its condition holds and its limits allow it; then it acts",
    "guarded": (
        "completed or partial, and young enough for refill rules (guard_for, 30 days), so it is"
        " checked now and then"
    ),
    "lag": "how late a panel's most overdue check is; none means that all checks are on time",
    "lasts": (
        "the balance divided by the last 24 hours' spending (or since watcher started, after at"
        " least an hour). Top-ups are ignored"
    ),
    "low": "below the panel's low_balance",
    "open": "not final yet, so it is checked often",
    "panel's word": "the status as the panel wrote it",
    "phase": "how watcher treats the order: open, guarded or closed",
    "problem": "why the panel reports no status of this order, in the panel's own words",
    "progress": "a change of status, remains or start count",
    "rate": "how many requests a minute watcher sends to a panel at present",
    "refill": (
        "the panel delivers again what an order has lost. A refill runs from when the panel"
        " accepts it until the panel says that it is over"
    ),
    "remains": "the quantity that is still to be delivered",
    "rule's state": "on, dry run, paused by its brake, or switched off because its condition fails",
    "service": "an entry of a panel's price list",
    "spent": "what was spent from the balance in the last 24 hours",
    "stalled": "open, and without progress for stalled_after (24 hours)",
    "start count": "the link's count, such as likes or followers, when delivery began",
    "state": "how a panel is doing: up, degraded, limited, refusing or down",
    "status": (
        "how far the panel says the order is, in one of nine words: pending, processing,"
        " in_progress, completed, partial, canceled, refunded, failed, unknown"
    ),
    "unresolved": (
        "sent, and nobody knows whether the panel carried it out. watcher never sends it again; you"
        " settle it with watcher resolve"
    ),
}
# Headings that are not the word itself.
_LABELS = {
    "did, 24 h": "fires",
    "low below": "low",
    "next check": "check",
    "progressed": "progress",
    "asked": "rate",
    "refills": "refill",
    "spent, 24 h": "spent",
    "would, 24 h": "dry run",
}


def word_of(label: str) -> str | None:
    """Return the word that a heading shows, None if it needs no explanation."""
    word = label.lower()
    return _LABELS.get(word, word if word in TERMS else None)


def hint_id(word: str) -> str:
    """Return the id of a word's hint in the page."""
    return "term-" + word.replace(" ", "-").replace("'", "")
