"""The structs of the configuration: the tables of a file, and the resolved values."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from watcher.alerts import AlertKind, ChangeKind
from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.config.cluster import ClusterConfig
from watcher.config.hosts import Hosts
from watcher.config.values import Duration, Pause, PositiveAmount, Right, Secret
from watcher.panels.dialect import PLAIN, SHORTEST_SECRET, Dialect
from watcher.panels.profiles import Profile
from watcher.panels.protocol.serve import whole
from watcher.rules.rule import Rule

ShopRight = Literal["read", "order"]
Target = tuple[str, str]  # a panel, and a service there


class DaemonSection(msgspec.Struct, frozen=True, kw_only=True):
    """[daemon]: the process itself."""

    database: str = "watcher.db"
    database_password_env: str | None = None
    database_password_file: str | None = None
    listen: str = "127.0.0.1:9466"
    token_file: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    backup_dir: str = "backups"
    backup_every: Duration = Duration(86400)
    backup_keep: Annotated[int, Meta(ge=1)] = 7
    retain_for: Duration = Duration(90 * 86400)
    archive_dir: str = "archive"
    remember_for: Duration = Duration(365 * 86400)
    forget_customers_after: Duration | None = None
    audit_for: Duration = Duration(365 * 86400)
    stop_timeout: Duration = Duration(30)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """[attention]: thresholds from which something needs a person.

    If a value is None, another key gives it: `check_within`, `backup_every`.
    """

    panel_silent_for: Duration = Duration(180)
    checks_late_by: Duration | None = None
    balance_lasts: Duration = Duration(2 * 86400)
    balance_lasts_critical: Duration = Duration(12 * 3600)
    balance_unread_for: Duration = Duration(3600)
    backup_age: Duration | None = None
    undelivered_for: Duration = Duration(300)
    database_error_within: Duration = Duration(600)


class PanelSection(msgspec.Struct, frozen=True, kw_only=True):
    """[panels.<name>], and [defaults] for all of them."""

    profile: str = "standard"
    url: str | None = None
    key_env: str | None = None
    key_file: str | None = None
    low_balance: PositiveAmount | None = None
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
    refill_gives_up_after: Duration = Duration(7 * 86400)
    balance_every: Duration = Duration(300)
    services_every: Duration = Duration(6 * 3600)


class KeySource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a secret value is: { env = "NAME" } or { file = "name" }."""

    env: str | None = None
    file: str | None = None


class RequestSection(msgspec.Struct, frozen=True, kw_only=True):
    """[panels.<name>.request], and [defaults.request] for all of them.

    The values of headers and fields, and the proxy, are texts or KeySources.
    """

    body: Literal["form", "json"] = "form"
    user_agent: str | None = None
    headers: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    ca_file: str | None = None
    proxy: Any = None


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


class TargetSection(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that [[notify]] and [[events]] have in common."""

    name: str | None = None
    url_env: str | None = None
    secret_env: str | None = None
    allow_http: bool = False


class NotifySection(TargetSection, frozen=True, kw_only=True):
    """[[notify]]"""

    on: tuple[str, ...] | None = None
    repeat_every: Duration = Duration(86400)
    format: Literal["json", "text"] = "json"


class EventsSection(TargetSection, frozen=True, kw_only=True):
    """[[events]]"""

    on: tuple[str, ...] = ("status", "progress")
    panels: tuple[str, ...] | None = None
    headers: dict[str, Any] | None = None  # texts or KeySources


class HttpTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A name and a URL for messages; `secret`, as whsec_ and Base64, signs them."""

    name: str
    url: Secret
    secret: Secret | None


class NotifyTarget(HttpTarget, frozen=True, kw_only=True):
    """A target of notifications for people."""

    on: frozenset[AlertKind]
    on_rules_refusals: bool = True  # also of refills that a rule or a shop asked for
    repeat_every: float  # seconds
    format: Literal["json", "text"]


class EventsTarget(HttpTarget, frozen=True, kw_only=True):
    """A program that gets changes of orders; `panels` None means every panel."""

    on: frozenset[ChangeKind]
    panels: frozenset[str] | None
    headers: dict[str, Secret] = {}  # sent with every event

    def header_secrets(self) -> list[str]:
        """Return what no message may contain: the headers' values, and their words."""
        values = [secret.reveal() for secret in self.headers.values()]
        return [word for v in values for word in {v, *v.split()} if len(word) >= SHORTEST_SECRET]


class ShopSection(msgspec.Struct, frozen=True, kw_only=True):
    """[[shops]]"""

    name: str
    key_env: str | None = None
    key_file: str | None = None
    rights: tuple[ShopRight, ...] = ("read", "order")
    panels: tuple[str, ...] = ()
    services: dict[str, str] = {}
    offsets: dict[str, Annotated[int, Meta(ge=0, le=10**12)]] = {}
    requests_per_minute: Annotated[float, Meta(ge=1, le=60_000)] = 300
    duplicate_within: Pause = Pause(60)


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """A shop's key and rights, and the panels that its ids lead to.

    `services` maps its service ids; `offsets` are added to a panel's own service ids.
    """

    name: str
    key: Secret
    panels: tuple[str, ...]
    services: dict[str, Target]
    offsets: dict[str, int]
    rights: frozenset[str]
    requests_per_minute: float
    duplicate_within: float

    @property
    def panel(self) -> str | None:
        """The shop's only panel, whose order ids it uses; None if there are several."""
        return self.panels[0] if len(self.panels) == 1 else None

    def service(self, own: str) -> Target | None:
        """Return the panel and the panel's service for the shop's service."""
        if own in self.services:
            return self.services[own]
        if not self.offsets:
            return (self.panel, own) if self.panel and not self.services else None
        number = whole(own)
        fits = {add: panel for panel, add in self.offsets.items() if number and add < number}
        if number is None or not fits:
            return None
        return fits[max(fits)], str(number - max(fits))

    def own_ids(self, panel: str, service: str) -> list[str]:
        """Return the shop's ids for the panel's service."""
        named = [own for own, place in self.services.items() if place == (panel, service)]
        usual, number = service, whole(service)
        if panel in self.offsets and number is not None:
            usual = str(number + self.offsets[panel])
        return named + [usual] * (usual not in named and self.service(usual) == (panel, service))


class KeySection(msgspec.Struct, frozen=True, kw_only=True):
    """[[keys]]"""

    name: str
    rights: tuple[Right, ...]
    key_env: str | None = None
    key_file: str | None = None
    panels: tuple[str, ...] | None = None
    requests_per_minute: Annotated[float, Meta(ge=1, le=60_000)] = 300


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the API and the status page; `panels` None means every panel."""

    name: str
    secret: Secret
    rights: frozenset[Right]
    panels: frozenset[str] | None
    requests_per_minute: float


class PanelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One account at one panel, resolved."""

    name: str
    profile: Profile
    url: str
    key: Secret
    settings: PanelSection
    request: Dialect = PLAIN
    states_rate: bool = False  # requests_per_minute is in the file, not the default


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration; durations in seconds."""

    database: DatabaseLocation
    host: str
    port: int
    token: Secret | None
    keys: tuple[AccessKey, ...]
    hosts: Hosts
    daemon: DaemonSection
    cluster: ClusterConfig | None = None
    attention: Thresholds
    panels: dict[str, PanelConfig]
    rules: tuple[Rule, ...]
    notify: tuple[NotifyTarget, ...]
    events: tuple[EventsTarget, ...]
    shops: tuple[Shop, ...]

    def address(self, port: int | None = None) -> str:
        """Return "host:port" of the listener; `port` if the system has chosen it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port if port is None else port}"

    def secrets(self) -> list[str]:
        """Return every secret, for redaction in logs."""
        panels = self.panels.values()
        sent = [one for panel in panels for one in panel.request.secrets(panel.url)]
        keys = [panel.key for panel in panels] + [shop.key for shop in self.shops]
        keys += [key.secret for key in self.keys]
        targets = [secret for one in self.notify for secret in (one.url, one.secret)]
        targets += [secret for one in self.events for secret in (one.url, one.secret)]
        sent += [one for target in self.events for one in target.header_secrets()]
        if isinstance(self.database, PostgresUrl) and self.database.password:
            sent.append(self.database.password)
        if self.cluster is not None:
            sent.append(self.cluster.token.reveal())
        return sent + [one.reveal() for one in (*keys, *targets, self.token) if one is not None]
