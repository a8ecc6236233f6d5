"""Finds keys and the token: in credentials, then files, then the environment."""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from watcher.config.sections import KeySource
from watcher.config.values import Secret


class Secrets:
    """Looks for secrets; relative files are relative to `base`."""

    def __init__(self, env: Mapping[str, str], base: Path) -> None:
        self._env = env
        self._base = base

    def key(self, name: str, variable: str | None, file: str | None) -> Secret:
        """Return the key of a panel, or of a shop ("shop-" and its name); ValueError if not set."""
        variable = variable or _variable(name, "KEY")
        key = self._credential(f"{name}.key") or (file and self._file(file)) or self._set(variable)
        if not key:
            raise ValueError(f"no key: set ${variable}, or key_file, or credential {name}.key")
        return Secret(key)

    def token(self, file: str | None) -> Secret | None:
        """Return the API's token, None if none is configured."""
        found = self._credential("api.token") or (file and self._file(file))
        return Secret(found) if found else None

    def cluster_token(self, file: str | None) -> Secret | None:
        """Return the token that nodes of a cluster know each other by, None if there is none."""
        found = self._credential("cluster.token") or (file and self._file(file))
        return Secret(found) if found else None

    def database_password(self, variable: str | None, file: str | None) -> Secret | None:
        """Return the database's password, None if there is none; ValueError if named but not set.

        Without one, libpq looks for it: in $PGPASSWORD and in ~/.pgpass.
        """
        found = self._credential("database.password") or (file and self._file(file))
        found = found or self._set(variable or "DATABASE_PASSWORD")
        if not found and variable:
            raise ValueError(f"${variable} is not set: put the database's password into it")
        return Secret(found) if found else None

    def url(self, name: str, variable: str | None) -> Secret:
        """Return the URL of a target; ValueError if not set."""
        variable = variable or _variable(name, "URL")
        found = self._credential(f"{name}.url") or self._set(variable)
        if not found:
            raise ValueError(f"no URL: set ${variable}, or credential {name}.url")
        return Secret(found)

    def signing(self, name: str, variable: str | None) -> Secret | None:
        """Return the secret that signs a target's messages; ValueError if named but not set."""
        found = self._credential(f"{name}.secret") or self._set(variable or "")
        if not found and variable:
            raise ValueError(f"no secret: set ${variable}, or credential {name}.secret")
        return Secret(found) if found else None

    def value(self, source: KeySource) -> str:
        """Return the value that a KeySource names; ValueError says why there is none."""
        if (source.env is None) == (source.file is None):
            raise ValueError('write { env = "VARIABLE" } or { file = "name" }')
        if source.file is not None:
            return self._credential(Path(source.file).name) or self._file(source.file)
        found = self._set(source.env or "")
        if not found:
            raise ValueError(f"${source.env} is not set: put the value into it")
        return found

    def text(self, name: str) -> str:
        """Return the text of a public file, such as a certificate; ValueError if unreadable."""
        path = self._base / Path(name).expanduser()
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text") from None
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None

    def _set(self, variable: str) -> str:
        return self._env.get(variable, "").strip()

    def _credential(self, name: str) -> str | None:
        directory = self._env.get("CREDENTIALS_DIRECTORY")
        if not directory:
            return None
        # systemd prefixes the files of a loaded directory with the credential's name.
        for path in (Path(directory, name), Path(directory, f"watcher_{name}")):
            if path.is_file():
                return _read_secret(path)
        return None

    def _file(self, name: str) -> str:
        path = self._base / Path(name).expanduser()
        try:
            mode = path.stat().st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ValueError(f"{path} can be read by others: chmod 600 it")
            return _read_secret(path)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None


def _variable(name: str, what: str) -> str:
    """Return the default environment variable for a panel, shop or target."""
    return re.sub(r"\W", "_", name).upper() + f"_{what}"


def _read_secret(path: Path) -> str:
    text = path.read_text("utf-8").strip()
    if not text:
        raise ValueError(f"{path} is empty")
    return text
