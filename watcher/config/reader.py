"""Reads TOML into a Config: a fault is noted and reading continues, so that all are found at once.

`parse` is pure; `load` reads the file and the secrets.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from watcher.config.access_keys import VISIBLE, read_keys
from watcher.config.cluster_section import read_cluster
from watcher.config.database import read_database
from watcher.config.hosts import Authority, Hosts, authority, is_loopback
from watcher.config.requests import merged, read_request
from watcher.config.secrets import Secrets
from watcher.config.sections import (
    Config,
    DaemonSection,
    PanelConfig,
    PanelSection,
    RuleSection,
    Thresholds,
)
from watcher.config.shop_sections import read_shops
from watcher.config.targets import read_events, read_notify
from watcher.config.toml_tables import TomlTables, base_of, read_text, read_toml
from watcher.config.values import Secret
from watcher.errors import ConfigError
from watcher.model import RuleAction
from watcher.panels.dialect import is_own, query_of, shown_url, split_http
from watcher.panels.profiles import CAPABILITIES, Profile, shipped
from watcher.rules.condition import Condition
from watcher.rules.rule import Rule

_TABLES = (
    *("daemon", "cluster", "attention", "defaults", "panels", "rules"),
    *("notify", "events", "shops", "keys"),
)
_BELOW = ("request",)  # tables in a panel's table
SHORTEST_TOKEN = 16  # characters, if the API is not on loopback


def load(path: Path, env: Mapping[str, str] | None = None) -> Config:
    """Read the file; raises ConfigError with every problem that was found."""
    env = os.environ if env is None else env
    text = read_text(path)
    try:
        return parse(text, Secrets(env, path.resolve().parent), base_of(path, env))
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None


def parse(text: str, secrets: Secrets, state_directory: Path) -> Config:
    """Read the text; raises ConfigError with every problem that was found."""
    raw = read_toml(text)
    reader = _Reader(secrets)
    config = reader.read(raw, state_directory)
    if config is None:
        raise ConfigError(reader.problems)
    return config


class _Reader(TomlTables):
    """Turns a whole file into a Config."""

    def read(self, raw: dict[str, Any], state_directory: Path) -> Config | None:
        self.unknown(raw, _TABLES, "")
        daemon = self.section(DaemonSection, self.table(raw, "daemon"), "daemon") or DaemonSection()
        limits = self.section(Thresholds, self.table(raw, "attention"), "attention")
        database = read_database(self, daemon, state_directory)
        cluster = read_cluster(self, raw, database)
        host, port = self._listen(daemon.listen)
        token = self._token(daemon, host)
        allowed = self._allowed(daemon.allowed_hosts)
        panels = self._panels(raw)
        rules = self._rules(raw, panels)
        shops = read_shops(self, raw, panels)
        keys = read_keys(self, raw, panels, token, shops)
        notify = read_notify(self, raw)
        events = read_events(self, raw, panels, {one.name for one in notify})
        if self.problems:
            return None
        return Config(
            database=database,
            host=host,
            port=port,
            token=token,
            keys=keys,
            hosts=Hosts(host, allowed),
            daemon=daemon,
            cluster=cluster,
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

    def _token(self, daemon: DaemonSection, host: str) -> Secret | None:
        try:
            token = self.secrets.token(daemon.token_file)
        except ValueError as error:
            self.note("daemon.token_file", str(error))
            return None
        if token is not None and not VISIBLE.fullmatch(token.reveal()):
            self.note("daemon.token_file", "a token is visible ASCII characters without blanks")
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
        read_request(self, defaults.get("request", {}), "defaults.request")
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
        self.check_name(name, path, "a panel's name")
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
        request = read_request(self, given, f"{path}.request", base)
        key = self.key(name, path, section.key_env, section.key_file)
        if profile is None or url is None or key is None:
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
        self.check_words([section.profile], shipped(), f"{path}.profile")
        profile = shipped().get(section.profile)
        if profile is None:
            return None
        self.check_words(section.has, CAPABILITIES, f"{path}.has")
        self.check_words(section.lacks, CAPABILITIES, f"{path}.lacks")
        if "status" in section.lacks:
            self.note(f"{path}.lacks", "a panel without statuses can't be watched")
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
        self, raw: dict[str, Any], panels: Mapping[str, PanelConfig | None]
    ) -> tuple[Rule, ...]:
        names: set[str] = set()
        rules = []
        for path, section in self.sections(raw, "rules", RuleSection):
            self.check_new(section.name, names, f"{path}.name")
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
        """Return whether a default is valid; an invalid one is noted once, at [defaults]."""
        fields = {field.name: field.type for field in msgspec.structs.fields(PanelSection)}
        quiet = TomlTables(self.secrets)
        if key == "request":
            read_request(quiet, value, key)
            return not quiet.problems
        if key in fields:
            quiet.value(fields[key], value, key)
        return key in fields and not quiet.problems


def _url_problem(url: str, allow_http: bool) -> str | None:
    parts = split_http(url)
    if parts is None:
        return f"{shown_url(url)!r} is not an http(s) URL"
    if parts.username or parts.password:
        return "a URL with a user or a password may hold a secret: leave them out"
    for name in query_of(url):
        if is_own(name):
            return f"{name!r} can't be in the URL: watcher sends it itself"
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        return "http:// would show the key to the network: use https://, or allow_http = true"
    return None
