"""Reads [[notify]] and [[events]]: who is told, where, and of what."""

import re
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from watcher.config.hosts import is_loopback
from watcher.config.secrets import Secrets
from watcher.config.sections import (
    EventsSection,
    EventsTarget,
    NotifySection,
    NotifyTarget,
    Secret,
)
from watcher.config.toml_tables import TomlTables
from watcher.events.retry_lanes import ChangeKind
from watcher.events.signatures import secret_of
from watcher.notify import apprise_channel
from watcher.notify.alert_state import AlertKind

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_HTTP = ("http", "https")
Word = TypeVar("Word", bound=StrEnum)


def read_notify(
    tables: TomlTables, secrets: Secrets, raw: dict[str, Any]
) -> tuple[NotifyTarget, ...]:
    """Every good [[notify]]; what is wrong is noted."""
    names: set[str] = set()
    targets = []
    for number, table in enumerate(tables.tables(raw, "notify"), 1):
        path = f"notify[{number}]"
        section = tables.section(NotifySection, table, path)
        if section is None:
            continue
        name = _name(tables, section, f"notify{number}", path, names)
        on = (
            frozenset(AlertKind)
            if section.on is None
            else _words(tables, AlertKind, section.on, path)
        )
        url, secret = _where(tables, secrets, section, name, path)
        if url is None:
            continue
        if _scheme(url) not in _HTTP:
            _check_messenger(tables, section, url, path)
        targets.append(
            NotifyTarget(
                name=name,
                url=url,
                secret=secret,
                on=on,
                on_rules_refusals=section.on is not None,
                repeat_every=float(section.repeat_every),
                format=section.format,
            )
        )
    return tuple(targets)


def read_events(
    tables: TomlTables,
    secrets: Secrets,
    raw: dict[str, Any],
    panels: Mapping[str, object],
    taken: Collection[str],
) -> tuple[EventsTarget, ...]:
    """Every good [[events]]; `taken` are the names of other targets."""
    names = set(taken)
    targets = []
    for number, table in enumerate(tables.tables(raw, "events"), 1):
        path = f"events[{number}]"
        section = tables.section(EventsSection, table, path)
        if section is None:
            continue
        name = _name(tables, section, f"events{number}", path, names)
        on = _words(tables, ChangeKind, section.on, path)
        for panel in section.panels or ():
            if panel not in panels:
                tables.note(f"{path}.panels", f"there is no panel {panel!r}")
        url, secret = _where(tables, secrets, section, name, path)
        if url is not None and _scheme(url) not in _HTTP:
            tables.note(f"{path}.url_env", "events go to an http(s) URL only")
        elif url is not None:
            chosen = None if section.panels is None else frozenset(section.panels)
            targets.append(EventsTarget(name=name, url=url, secret=secret, on=on, panels=chosen))
    return tuple(targets)


def _name(
    tables: TomlTables,
    section: NotifySection | EventsSection,
    default: str,
    path: str,
    names: set[str],
) -> str:
    name = default if section.name is None else section.name
    if not _NAME.fullmatch(name):
        tables.note(f"{path}.name", "a name is letters, digits, - and _, 40 at most")
    if name in names:
        tables.note(f"{path}.name", f"{name!r} is used twice")
    names.add(name)
    return name


def _words(
    tables: TomlTables, kind: type[Word], words: Iterable[str], path: str
) -> frozenset[Word]:
    known = {str(word): word for word in kind}
    for word in words:
        if word not in known:
            tables.note(f"{path}.on", f"there is no {word!r}; there are: {', '.join(known)}")
    return frozenset(known[word] for word in words if word in known)


def _where(
    tables: TomlTables,
    secrets: Secrets,
    section: NotifySection | EventsSection,
    name: str,
    path: str,
) -> tuple[Secret | None, Secret | None]:
    """URL and secret, None where there is none that can be used. Neither stands in a problem."""
    url = secret = None
    try:
        url = secrets.url(name, section.url_env)
        _check_url(url, section.allow_http)
    except ValueError as error:
        tables.note(f"{path}.url_env", str(error))
        url = None
    try:
        secret = secrets.signing(name, section.secret_env)
        if secret is not None:
            secret_of(secret.reveal())
    except ValueError as error:
        tables.note(f"{path}.secret_env", str(error))
    return url, secret


def _check_url(url: Secret, allow_http: bool) -> None:
    scheme = _scheme(url)
    if scheme not in _HTTP:
        if not re.match(r"[A-Za-z][\w+.-]*://?\S", url.reveal()):
            raise ValueError("what stands there is not a URL")
        return
    try:
        parts = urlsplit(url.reveal())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ValueError("what stands there is not an http(s) URL")
    if scheme == "http" and not allow_http and not is_loopback(host):
        raise ValueError("http:// shows all to the network: use https://, or allow_http = true")


def _scheme(url: Secret) -> str:
    return url.reveal().partition(":")[0].lower()


def _check_messenger(tables: TomlTables, section: NotifySection, url: Secret, path: str) -> None:
    """URLs that are not of the web are Apprise's."""
    if not apprise_channel.is_there():
        wanted = f"{_scheme(url)[:20]}:// needs Apprise: pip install 'watcher[notify]'"
        tables.note(f"{path}.url_env", wanted)
        return
    try:
        apprise_channel.AppriseChannel(url.reveal())
    except ValueError as error:
        tables.note(f"{path}.url_env", str(error))
    if section.secret_env is not None:
        tables.note(f"{path}.secret_env", "only messages to an http(s) URL are signed")
