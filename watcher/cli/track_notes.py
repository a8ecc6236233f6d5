"""What the import of orders means for rules, for people: pure."""

from collections.abc import Iterator

from watcher.common.wording import counted


def track_notes(undated: int, finish_unknown: int) -> Iterator[str]:
    """What is not known of the orders that were tracked, and what follows from it."""
    if undated:
        yield (
            f"{counted(undated, 'order')} without a date: rules count order.age from now, and hold"
            " only if they would for an older order, too"
        )
    if finish_unknown:
        yield (
            f"{counted(finish_unknown, 'order')} without a time of completion: where one is final"
            " at its first check its finish is not known, and no rule on order.finished_ago acts"
        )
