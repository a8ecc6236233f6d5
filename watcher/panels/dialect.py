"""The form in which a panel accepts requests."""

import re
import ssl
from collections.abc import Mapping
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from watcher.panels.protocol import ADD_PARAMETERS, encode_form, encode_json

_CONTENT_TYPES = {"form": "application/x-www-form-urlencoded", "json": "application/json"}
# Characters. Shorter values, such as "v2" and "json", are hardly secret and occur in any text.
SHORTEST_SECRET = 8
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}")
_HEADER_VALUE = re.compile(r"[\t -~]{0,4096}")

# Names that the protocol sends itself. A field that differs from one only by case or separators, as
# `old-posts` from `old_posts`, is taken for a mistake.
_OWN_FIELDS = {
    "".join(name.split("_"))
    for table in ADD_PARAMETERS.values()
    for name in (*table.required, *table.optional)
} | {"key", "action", "service", "order", "orders", "refill", "refills"}
# Headers that aiohttp or another setting decides; a value by the user would break requests.
_OWN_HEADERS = {
    "user-agent": "use user_agent",
    "content-type": "use body",
    "proxy-authorization": "put user and password into proxy",
} | dict.fromkeys(
    (
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ),
    "watcher sets it",
)


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """The form of one panel's requests. Its headers, fields and proxy may be secret."""

    body: Literal["form", "json"] = "form"
    user_agent: str | None = None
    headers: dict[str, str] = {}
    fields: dict[str, str] = {}
    ca: str | None = None  # certificates as PEM, in place of the system's
    proxy: str | None = None

    def __repr__(self) -> str:
        return f"Dialect(body={self.body!r}, …)"

    def encode(self, key: str, action: str, params: Mapping[str, str]) -> bytes:
        """Return a request's body."""
        encode = encode_json if self.body == "json" else encode_form
        return encode(key, action, params, self.fields)

    def all_headers(self, usual: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of every request: `usual`, overridden by the configured ones."""
        base = {**usual, "Content-Type": _CONTENT_TYPES[self.body]}
        if self.user_agent is not None:
            base["User-Agent"] = self.user_agent
        given = {name.lower() for name in self.headers}
        return {name: base[name] for name in base if name.lower() not in given} | self.headers

    def secrets(self, url: str) -> list[str]:
        """Return the values that no message may contain, of this and of the URL's query."""
        proxy = urlsplit(self.proxy or "")
        words = [unquote(word) for word in (proxy.password, proxy.username) if word]
        values = [*self.headers.values(), *self.fields.values(), *query_of(url).values(), *words]
        return [value for value in values if len(value) >= SHORTEST_SECRET]

    def trusted(self) -> ssl.SSLContext | bool:
        """Return the certificates to check the panel's with; True for the system's."""
        return True if self.ca is None else trusting(self.ca)


PLAIN = Dialect()


def trusting(pem: str) -> ssl.SSLContext:
    """Return a context that trusts only these certificates; ValueError if there are none."""
    try:
        context = ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise ValueError("it holds no certificate as PEM") from None
    return context


def header_problem(name: str, value: str) -> str | None:
    """Return why a header can't be sent, without its value, which may be secret."""
    if not _HEADER.fullmatch(name):
        return "this is not a header's name"
    if name.lower() in _OWN_HEADERS:
        return f"this header can't be set: {_OWN_HEADERS[name.lower()]}"
    if not _HEADER_VALUE.fullmatch(value):
        return "a header's value is one line of visible ASCII characters"
    return None


def field_problem(name: str, value: str) -> str | None:
    """Return why a field can't be sent in every request."""
    if not _FIELD.fullmatch(name):
        return "a field's name is letters, digits, - and _, and begins with a letter"
    if is_own(name):
        return "this field can't be set: watcher sends it itself"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "its value is not valid text"
    return None


def proxy_problem(proxy: str) -> str | None:
    """Return why this can't be the proxy, without its password."""
    parts = split_http(proxy)
    if parts is None:
        return 'a proxy is written "http://host:port"'
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return 'nothing comes after the port: a proxy is written "http://host:port"'
    return None


def split_http(url: str) -> SplitResult | None:
    """Split an http(s) URL; return None if it is not one, or its host or port is bad."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # raises ValueError for a bad port
    except ValueError:
        return None
    return parts if host and parts.scheme in ("http", "https") else None


def is_own(name: str) -> bool:
    """Return whether the protocol has this parameter, whatever its case and separators."""
    return re.sub(r"[^a-z0-9]", "", name.casefold()) in _OWN_FIELDS


def query_of(url: str) -> dict[str, str]:
    """Return the parameters in a panel's URL."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def shown_url(url: str) -> str:
    """Return a panel's URL for display, without user, password and query."""
    before, mark, _ = url.partition("?")
    scheme, slashes, rest = before.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}" + ("?…" if mark else "")
