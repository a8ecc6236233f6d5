"""What a scenario came to, and the table of many."""

from collections import Counter
from collections.abc import Iterable

import msgspec


class Verdict(msgspec.Struct, kw_only=True):
    """One scenario's outcome. `seen` is what happened, beside what was injected."""

    seed: int
    kind: str
    violations: list[str] = []
    injected: dict[str, int] = {}
    seen: dict[str, int] = {}
    seconds: float = 0.0


class Tally:
    """Many verdicts together."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.failed: list[Verdict] = []

    def add(self, verdict: Verdict) -> None:
        self.kinds[verdict.kind] += 1
        self.injected.update(verdict.injected)
        self.seen.update(verdict.seen)
        if verdict.violations:
            self.failed.append(verdict)

    def lines(self) -> Iterable[str]:
        """The table, for people."""
        yield f"{'scenarios':44}{sum(self.kinds.values()):>10,}"
        for title, counts in (("", self.kinds), ("seen", self.seen), ("injected", self.injected)):
            if title:
                yield f"{title:44}{sum(counts.values()) if title == 'injected' else '':>10}"
            for name, count in sorted(counts.items()):
                yield f"  {name:42}{count:>10,}"
        yield f"{'scenarios with violations':44}{len(self.failed):>10,}"
        for verdict in self.failed:
            yield f"  SEED={verdict.seed}: {len(verdict.violations)}: {verdict.violations[0]}"
