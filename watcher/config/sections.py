"""The shapes of the configuration: what a file may hold, and what it comes to."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from watcher.config.hosts import Hosts
from watcher.panels.profiles import Profile
from watcher.rules import Rule

EVENTS = (
    "balance_low",
    "order_stalled",
    "action_unresolved",
    "panel_down",
    "rule_paused",
    "price_rise",
    "service_gone",
    "refill_rejected",
)


class Duration(float):
    """Seconds; written as "90s", "30m", "24h", "30d" or several of them, as "1h30m"."""


class Amount(Decimal):
    """Money, not negative; written as "25.00", so that it is exact."""


class Secret:
    """Text that no log, error or repr shows: whoever needs it has to `reveal` it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """[daemon]: the process itself."""

    database: str = "watcher.db"
    listen: str = "127.0.0.1:9466"
    token_file: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    backup_dir: str = "backups"
    backup_every: Duration = Duration(86400)
    backup_keep: Annotated[int, Meta(ge=1)] = 7
    retain_for: Duration = Duration(90 * 86400)
    archive_dir: str = "archive"
    stop_timeout: Duration = Duration(30)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"


class PanelSection(msgspec.Struct, frozen=True, kw_only=True):
    """[panels.<name>], and [defaults] for all of them."""

    profile: str = "standard"
    url: str | None = None
    key_env: str | None = None
    key_file: str | None = None
    low_balance: Amount | None = None
    batch: Annotated[int, Meta(ge=1, le=1000)] | None = None
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    allow_http: bool = False
    requests_per_minute: Annotated[float, Meta(gt=0, le=60_000)] = 60
    check_within: Duration = Duration(1800)
    idle_every: Duration = Duration(20)
    timeout: Duration = Duration(20)
    stalled_after: Duration = Duration(86400)
    guard_for: Duration = Duration(30 * 86400)
    balance_every: Duration = Duration(300)
    services_every: Duration = Duration(6 * 3600)


class RuleSection(msgspec.Struct, frozen=True, kw_only=True):
    """[[rules]]"""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    action: Literal["refill", "cancel", "notify"]
    when: Annotated[str, Meta(min_length=1, max_length=10_000)]
    panels: tuple[str, ...] | None = None
    every: Duration = Duration(86400)
    attempts: Annotated[int, Meta(ge=1)] | None = None
    per_hour: Annotated[int, Meta(ge=1)] = 200
    dry_run: bool = False


class NotifySection(msgspec.Struct, frozen=True, kw_only=True):
    """[[notify]]"""

    url_env: str
    on: tuple[str, ...]


class PanelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One account at one panel, with everything resolved."""

    name: str
    profile: Profile
    url: str
    key: Secret
    settings: PanelSection
    states_rate: bool = False  # requests_per_minute is the user's word, not the default


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All that the daemon needs to know; durations in seconds."""

    database: Path
    host: str
    port: int
    token: Secret | None
    hosts: Hosts
    daemon: Daemon
    panels: dict[str, PanelConfig]
    rules: tuple[Rule, ...]
    notify: tuple[NotifySection, ...]


def amount(text: str) -> Amount:
    """Money of "25.00"; ValueError for anything else."""
    if not re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text.strip()):
        raise ValueError(f'{text!r} is not an amount as "25.00"')
    return Amount(text.strip())


def duration(text: str) -> Duration:
    """Seconds of "90s", "30m", "24h", "30d", "1h30m"; ValueError for anything else."""
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if not text.strip() or parts is None:
        raise ValueError(f'{text!r} is not a duration as "90s", "30m", "24h", "30d", "1h30m"')
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not 0 < total < 100 * 366 * 86400:
        raise ValueError(f"{text!r} is out of range")
    return Duration(total)
