"""Where keys and the token come from: credentials, then files, then the environment."""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from watcher.config.sections import KeySource, PanelSection, Secret


class Secrets:
    """Looks for secrets; relative files are relative to `base`."""

    def __init__(self, env: Mapping[str, str], base: Path) -> None:
        self._env = env
        self._base = base

    def panel_key(self, name: str, section: PanelSection) -> Secret:
        """The key of a panel; ValueError tells where it was looked for."""
        return self._key(name, section.key_env, section.key_file)

    def shop_key(self, name: str, variable: str | None, file: str | None) -> Secret:
        """The key of a shop; ValueError tells where it was looked for."""
        return self._key(f"shop-{name}", variable, file)

    def token(self, file: str | None) -> Secret | None:
        """The API's token, None where none is configured."""
        found = self._credential("api.token") or (file and self._file(file))
        return Secret(found) if found else None

    def _key(self, name: str, variable: str | None, file: str | None) -> Secret:
        variable = variable or re.sub(r"\W", "_", name).upper() + "_KEY"
        key = (
            self._credential(f"{name}.key")
            or (file and self._file(file))
            or self._env.get(variable, "").strip()
        )
        if not key:
            raise ValueError(f"no key: set ${variable}, or key_file, or credential {name}.key")
        return Secret(key)

    def url(self, name: str, variable: str | None) -> Secret:
        """Where a target is reached; ValueError tells where that was looked for."""
        variable = variable or re.sub(r"\W", "_", name).upper() + "_URL"
        found = self._credential(f"{name}.url") or self._env.get(variable, "").strip()
        if not found:
            raise ValueError(f"no URL: set ${variable}, or credential {name}.url")
        return Secret(found)

    def signing(self, name: str, variable: str | None) -> Secret | None:
        """What a target's messages are signed with; ValueError where it is named and not there."""
        found = self._credential(f"{name}.secret") or self._env.get(variable or "", "").strip()
        if not found and variable:
            raise ValueError(f"no secret: set ${variable}, or credential {name}.secret")
        return Secret(found) if found else None

    def value(self, source: KeySource) -> str:
        """What a Source names; ValueError tells why it is not there, without the value."""
        if (source.env is None) == (source.file is None):
            raise ValueError('write { env = "VARIABLE" } or { file = "name" }')
        if source.file is not None:
            return self._credential(Path(source.file).name) or self._file(source.file)
        found = self._env.get(source.env or "", "").strip()
        if not found:
            raise ValueError(f"${source.env} is not set: put the value into it")
        return found

    def text(self, name: str) -> str:
        """A file that is no secret, such as a certificate; ValueError tells what is wrong."""
        path = self._base / Path(name).expanduser()
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text") from None
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None

    def _credential(self, name: str) -> str | None:
        directory = self._env.get("CREDENTIALS_DIRECTORY")
        if not directory:
            return None
        # systemd gives a file of a directory that it loads the directory's credential as a prefix.
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


def _read_secret(path: Path) -> str:
    text = path.read_text("utf-8").strip()
    if not text:
        raise ValueError(f"{path} is empty")
    return text
