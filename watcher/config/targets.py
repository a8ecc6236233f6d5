"""Reads [[notify]] and [[events]]: names, URLs, and what each target gets."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from watcher.alerts import ON_REQUEST, AlertKind, ChangeKind
from watcher.common import apprise_urls
from watcher.common.signatures import secret_of
from watcher.config.hosts import is_loopback
from watcher.config.requests import named_texts
from watcher.config.sections import (
    EventsSection,
    EventsTarget,
    NotifySection,
    NotifyTarget,
    TargetSection,
)
from watcher.config.toml_tables import TomlTables
from watcher.config.values import Secret
from watcher.panels.dialect import header_problem, split_http

Word = TypeVar("Word", bound=StrEnum)


def read_notify(tables: TomlTables, raw: dict[str, Any]) -> tuple[NotifyTarget, ...]:
    """Return every valid [[notify]]; note what is wrong."""
    names: set[str] = set()
    targets = []
    for path, section in tables.sections(raw, "notify", NotifySection):
        name = _name(tables, section, path, names)
        on = (
            frozenset(AlertKind) - ON_REQUEST
            if section.on is None
            else _words(tables, AlertKind, section.on, path)
        )
        url, secret = _where(tables, section, name, path)
        if url is None:
            continue
        if not _is_http(url):
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
    tables: TomlTables, raw: dict[str, Any], panels: Mapping[str, object], names: set[str]
) -> tuple[EventsTarget, ...]:
    """Return every valid [[events]]; `names` are those of other targets."""
    targets = []
    for path, section in tables.sections(raw, "events", EventsSection):
        name = _name(tables, section, path, names)
        on = _words(tables, ChangeKind, section.on, path)
        tables.check_panels(section.panels or (), panels, f"{path}.panels")
        given = section.headers or {}
        headers = named_texts(tables, given, f"{path}.headers", _event_header_problem)
        url, secret = _where(tables, section, name, path)
        if url is not None and not _is_http(url):
            tables.note(f"{path}.url_env", "events go to an http(s) URL only")
        elif url is not None:
            targets.append(
                EventsTarget(
                    name=name,
                    url=url,
                    secret=secret,
                    on=on,
                    panels=None if section.panels is None else frozenset(section.panels),
                    headers={header: Secret(text) for header, text in headers.items()},
                )
            )
    return tuple(targets)


def _event_header_problem(name: str, value: str) -> str | None:
    """Return why a header can't be sent with events, without its value."""
    own = name.lower().startswith("webhook-") or name.lower() in ("content-type", "user-agent")
    return "this header can't be set: watcher sets it" if own else header_problem(name, value)


def _name(tables: TomlTables, section: TargetSection, path: str, names: set[str]) -> str:
    """Return the target's name; the default is notify1, events2, …"""
    name = "".join(filter(str.isalnum, path)) if section.name is None else section.name
    tables.check_name(name, f"{path}.name", "a name")
    tables.check_new(name, names, f"{path}.name")
    return name


def _words(
    tables: TomlTables, kind: type[Word], words: Iterable[str], path: str
) -> frozenset[Word]:
    known = {str(word): word for word in kind}
    tables.check_words(words, known, f"{path}.on")
    return frozenset(known[word] for word in words if word in known)


def _where(
    tables: TomlTables, section: TargetSection, name: str, path: str
) -> tuple[Secret | None, Secret | None]:
    """Return URL and secret, None if not valid. No message contains them."""
    url = tables.attempt(f"{path}.url_env", tables.secrets.url, name, section.url_env)
    problem = None if url is None else _url_problem(url.reveal(), section.allow_http)
    tables.note_if(f"{path}.url_env", problem)
    at, secrets = f"{path}.secret_env", tables.secrets
    secret = tables.attempt(at, secrets.signing, name, section.secret_env)
    if secret is not None:
        tables.attempt(at, secret_of, secret.reveal())
    return None if problem else url, secret


def _url_problem(url: str, allow_http: bool) -> str | None:
    if not re.match(r"https?:", url, re.IGNORECASE):
        is_url = re.match(r"[A-Za-z][\w+.-]*://?\S", url)
        return None if is_url else "its value is not a URL"
    parts = split_http(url)
    if parts is None:
        return "its value is not an http(s) URL"
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        return "http:// shows all to the network: use https://, or allow_http = true"
    return None


def _is_http(url: Secret) -> bool:
    return _scheme(url) in ("http", "https")


def _scheme(url: Secret) -> str:
    return url.reveal().partition(":")[0].lower()


def _check_messenger(tables: TomlTables, section: NotifySection, url: Secret, path: str) -> None:
    """Note what is wrong with a URL for Apprise; these are all that are not http(s)."""
    if not apprise_urls.is_installed():
        wanted = f"{_scheme(url)[:20]}:// needs Apprise: pip install 'watcher[notify]'"
        tables.note(f"{path}.url_env", wanted)
        return
    tables.attempt(f"{path}.url_env", apprise_urls.receiver, url.reveal())
    if section.secret_env is not None:
        tables.note(f"{path}.secret_env", "only messages to an http(s) URL are signed")
