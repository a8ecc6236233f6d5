"""What a scenario came to, and the table of many."""

import resource
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec


class Verdict(msgspec.Struct, kw_only=True):
    """One scenario's outcome. `seen` is what happened, beside what was injected."""

    seed: int
    kind: str
    violations: list[str] = []
    injected: dict[str, int] = {}
    seen: dict[str, int] = {}
    seconds: float = 0.0
    peak_mib: float = 0.0


class Tally:
    """Many verdicts together. `peaks` are by kind of scenario, of the process that played it."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.peaks: Counter[str] = Counter()
        self.failed: list[Verdict] = []

    def add(self, verdict: Verdict) -> None:
        kind = verdict.kind
        self.kinds[kind] += 1
        self.injected.update(verdict.injected)
        self.seen.update(verdict.seen)
        self.seconds[kind] += verdict.seconds  # type: ignore[assignment]
        self.peaks[kind] = max(self.peaks[kind], round(verdict.peak_mib))
        if verdict.violations:
            self.failed.append(verdict)

    def results(self) -> dict[str, Any]:
        """The table, for programs."""
        return {
            "scenarios": dict(self.kinds),
            "seconds": {kind: round(seconds, 1) for kind, seconds in self.seconds.items()},
            "peak_mib": dict(self.peaks),
            "injected": dict(sorted(self.injected.items())),
            "seen": dict(sorted(self.seen.items())),
            "violations": {verdict.seed: verdict.violations for verdict in self.failed},
        }

    def lines(self) -> Iterable[str]:
        """The table, for people."""
        yield f"{'scenarios':44}{sum(self.kinds.values()):>10,}"
        for kind, count in sorted(self.kinds.items()):
            each = self.seconds[kind] / count
            yield f"  {kind:42}{count:>10,}  {each:.1f} s each, at most {self.peaks[kind]} MiB"
        yield "seen"
        yield from _rows(self.seen)
        yield f"{'injected':44}{self.injected.total():>10,}"
        yield from _rows(self.injected)
        yield f"{'scenarios with violations':44}{len(self.failed):>10,}"
        for verdict in self.failed:
            yield f"  SEED={verdict.seed}: {len(verdict.violations)}: {verdict.violations[0]}"


def peak() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _rows(counts: Counter[str]) -> Iterable[str]:
    return (f"  {name:42}{count:>10,}" for name, count in sorted(counts.items()))
