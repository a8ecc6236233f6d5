"""TOML into a Config: a fault is noted and the reading goes on, so that all are found at once.

`parse` is pure; `load` reads the file and the secrets.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from watcher.conditions import Condition
from watcher.config.hosts import Authority, Hosts, authority, is_loopback
from watcher.config.requests import merged, read_request
from watcher.config.secrets import Secrets
from watcher.config.sections import (
    Config,
    Daemon,
    PanelConfig,
    PanelSection,
    RuleSection,
    Secret,
    Thresholds,
)
from watcher.config.shops import read_shops
from watcher.config.tables import Tables
from watcher.config.targets import read_events, read_notify
from watcher.errors import ConfigError
from watcher.model import RuleAction
from watcher.panels.dialect import is_own, query_of, shown_url
from watcher.panels.profiles import CAPABILITIES, Profile, shipped
from watcher.rules import Rule

_HEADER_TOKEN = re.compile(r"[!-~]+")
_BELOW = ("request",)  # tables in that of a panel
SHORTEST_TOKEN = 16  # characters, where others than this machine can try
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def load(path: Path, env: Mapping[str, str] | None = None) -> Config:
    """Read the file; raises ConfigError with every problem that was found."""
    env = os.environ if env is None else env
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: {getattr(error, 'strerror', None) or error}"]) from None
    base = path.resolve().parent
    try:
        return parse(text, Secrets(env, base), Path(env.get("STATE_DIRECTORY") or base))
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None


def parse(text: str, secrets: Secrets, state_directory: Path) -> Config:
    """The text's meaning; raises ConfigError with every problem that was found."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([str(error)]) from None
    reader = _Reader(secrets)
    config = reader.read(raw, state_directory)
    if config is None:
        raise ConfigError(reader.problems)
    return config


class _Reader(Tables):
    """Turns a whole file into a Config."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def read(self, raw: dict[str, Any], state_directory: Path) -> Config | None:
        known = ("daemon", "attention", "defaults", "panels", "rules", "notify", "events", "shops")
        self.unknown(raw, known, "")
        daemon = self.section(Daemon, self.table(raw, "daemon"), "daemon") or Daemon()
        limits = self.section(Thresholds, self.table(raw, "attention"), "attention")
        host, port = self._listen(daemon.listen)
        token = self._token(daemon, host)
        allowed = self._allowed(daemon.allowed_hosts)
        panels = self._panels(raw)
        rules = self._rules(self.tables(raw, "rules"), panels)
        shops = read_shops(self, raw, panels, self._secrets)
        notify = read_notify(self, self._secrets, raw)
        events = read_events(self, self._secrets, raw, panels, {one.name for one in notify})
        if self.problems:
            return None
        return Config(
            database=state_directory / Path(daemon.database).expanduser(),
            host=host,
            port=port,
            token=token,
            hosts=Hosts(host, allowed),
            daemon=daemon,
            attention=limits or Thresholds(),
            panels={name: panel for name, panel in panels.items() if panel},
            rules=rules,
            notify=notify,
            shops=shops,
            events=events,
        )

    def _listen(self, listen: str) -> tuple[str, int]:
        host, _, port = listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            self.note("daemon.listen", f'{listen!r} is not "host:port"')
            return "127.0.0.1", 0
        return host.strip("[]"), int(port)

    def _token(self, daemon: Daemon, host: str) -> Secret | None:
        try:
            token = self._secrets.token(daemon.token_file)
        except ValueError as error:
            self.note("daemon.token_file", str(error))
            return None
        if token is not None and not _HEADER_TOKEN.fullmatch(token.reveal()):
            self.note("daemon.token_file", "a token is of visible ASCII characters, without blanks")
        if is_loopback(host):
            return token
        if token is None:
            self.note("daemon.listen", f"{host} is not loopback: that needs a token_file")
        elif len(token.reveal()) < SHORTEST_TOKEN:
            cause = f"is shorter than the {SHORTEST_TOKEN} characters that {host} needs"
            self.note("daemon.token_file", f"the token {cause}: `openssl rand -hex 32` makes one")
        return token

    def _allowed(self, names: tuple[str, ...]) -> tuple[Authority, ...]:
        read = {name: authority(name) for name in names}
        for name, found in read.items():
            if found is None:
                self.note("daemon.allowed_hosts", f'{name!r} is not "host" or "host:port"')
        return tuple(found for found in read.values() if found is not None)

    def _panels(self, raw: dict[str, Any]) -> dict[str, PanelConfig | None]:
        defaults = self.table(raw, "defaults")
        self.section(PanelSection, defaults, "defaults", below=_BELOW)
        read_request(self, self._secrets, defaults.get("request", {}), "defaults.request")
        good = {key: value for key, value in defaults.items() if self._is_good(key, value)}
        tables = self.table(raw, "panels")
        if not tables:
            self.note("panels", "there is none: add [panels.<name>]")
        panels: dict[str, PanelConfig | None] = {}
        for name, table in tables.items():
            panels[name] = self._panel(name, good, table)
        return panels

    def _panel(self, name: str, defaults: dict[str, Any], table: Any) -> PanelConfig | None:
        path = f"panels.{name}"
        if not _NAME.fullmatch(name):
            self.note(path, "a panel's name is letters, digits, - and _, 40 at most")
        if not isinstance(table, dict):
            self.note(path, f"write [panels.{name}] and keys below it")
            return None
        section = self.section(PanelSection, table, path, {**defaults, **table}, below=_BELOW)
        if section is None:
            return None
        profile = self._profile(section, path)
        url = self._url(section, profile, path)
        base = merged(profile and profile.request, defaults.get("request"))
        given = table.get("request", {})
        request = read_request(self, self._secrets, given, f"{path}.request", base)
        try:
            key = self._secrets.panel_key(name, section)
        except ValueError as error:
            self.note(f"{path}.{'key_file' if section.key_file else 'key_env'}", str(error))
            return None
        if profile is None or url is None:
            return None
        return PanelConfig(
            name=name,
            profile=profile,
            url=url,
            key=key,
            settings=section,
            request=request,
            states_rate="requests_per_minute" in {**defaults, **table},
        )

    def _profile(self, section: PanelSection, path: str) -> Profile | None:
        profile = shipped().get(section.profile)
        if profile is None:
            known = ", ".join(shipped())
            self.note(f"{path}.profile", f"there is no {section.profile!r}; there are: {known}")
            return None
        for key in ("has", "lacks"):
            for word in getattr(section, key):
                if word not in CAPABILITIES:
                    known = ", ".join(CAPABILITIES)
                    self.note(f"{path}.{key}", f"there is no {word!r}; there are: {known}")
        if "status" in section.lacks:
            self.note(f"{path}.lacks", "a panel that tells no status can't be watched")
        return profile.altered(has=section.has, lacks=section.lacks, batch=section.batch)

    def _url(self, section: PanelSection, profile: Profile | None, path: str) -> str | None:
        url = section.url or (profile.url if profile else None)
        if url is None:
            if profile:
                self.note(f"{path}.url", f"profile {section.profile!r} has no URL: give one")
            return None
        problem = _url_problem(url, section.allow_http)
        if problem:
            self.note(f"{path}.url", problem)
            return None
        return url

    def _rules(
        self, tables: list[Any], panels: Mapping[str, PanelConfig | None]
    ) -> tuple[Rule, ...]:
        names: set[str] = set()
        rules = []
        for number, table in enumerate(tables, 1):
            path = f"rules[{number}]"
            section = self.section(RuleSection, table, path)
            if section is None:
                continue
            if section.name in names:
                self.note(f"{path}.name", f"{section.name!r} is used twice")
            names.add(section.name)
            rules.append(self._rule(section, path, panels))
        return tuple(rule for rule in rules if rule)

    def _rule(
        self, section: RuleSection, path: str, panels: Mapping[str, PanelConfig | None]
    ) -> Rule | None:
        chosen = self._rule_panels(section, path, panels)
        try:
            condition = Condition(section.when)
        except ValueError as error:
            self.note(f"{path}.when", f"rule {section.name!r}: {error}")
            return None
        return Rule(
            name=section.name,
            action=RuleAction(section.action),
            condition=condition,
            panels=chosen,
            every=float(section.every),
            attempts=section.attempts,
            per_hour=section.per_hour,
            dry_run=section.dry_run,
        )

    def _rule_panels(
        self, section: RuleSection, path: str, panels: Mapping[str, PanelConfig | None]
    ) -> frozenset[str]:
        able = {
            name
            for name, panel in panels.items()
            if panel is None or section.action == "notify" or panel.profile.can(section.action)
        }
        if section.panels is None:
            if panels and not able:
                self.note(path, f"rule {section.name!r}: no panel's API can {section.action}")
            return frozenset(able)
        for name in section.panels:
            if name not in panels:
                self.note(f"{path}.panels", f"rule {section.name!r}: there is no panel {name!r}")
            elif name not in able:
                cause = f"panel {name!r} can't {section.action} by its API"
                self.note(f"{path}.panels", f"rule {section.name!r}: {cause}")
        return frozenset(section.panels)

    def _is_good(self, key: str, value: Any) -> bool:
        """A bad default is told of once, at [defaults], not again at each panel."""
        fields = {field.name: field.type for field in msgspec.structs.fields(PanelSection)}
        quiet = Tables()
        if key == "request":
            read_request(quiet, self._secrets, value, key)
            return not quiet.problems
        if key in fields:
            quiet.value(fields[key], value, key)
        return key in fields and not quiet.problems


def _url_problem(url: str, allow_http: bool) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        return f"{shown_url(url)!r} is not an http(s) URL"
    if parts.username or parts.password:
        return "a URL with a user or a password may hold a secret: leave them out"
    for name in query_of(url):
        if is_own(name):
            return f"{name!r} can't stand in the URL: watcher sends it itself"
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        return "http:// would show the key to the network: use https://, or allow_http = true"
    return None
