"""A real PostgreSQL for tests: a server of this process, on a socket and a loopback port.

PostgreSQL refuses to run as root: it is started as another user then, in a directory of that user.
"""

import asyncio
import atexit
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.memory import in_memory
from tests.support.ports import free_port
from watcher.common.postgres_url import PostgresUrl, is_installed
from watcher.store import Store

_HBA = """
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""
# Loopback and a socket; little memory; a text order that is not the bytes' (see SETTINGS).
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "log_min_messages": "fatal",
}
_NUMBERS = count(1)
PROGRAMS = "WATCHER_TEST_POSTGRES"


def programs() -> Path | None:
    """The directory of the newest PostgreSQL's programs, or of that in $WATCHER_TEST_POSTGRES."""
    if PROGRAMS in os.environ:
        return Path(os.environ[PROGRAMS])
    found = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if re.fullmatch(r"\d+", path.parts[-3])
    ]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    there = shutil.which("initdb")
    return Path(there).resolve().parent if there else None


def why_not() -> str | None:
    """Why there can be no server here; None if there can."""
    if not is_installed():
        return "psycopg is missing: pip install 'watcher[postgres]'"
    if programs() is None:
        return "PostgreSQL is missing: apt-get install postgresql"
    return None


class Server:
    """A cluster in a temporary directory, with a `disk` of its own if that is a size."""

    def __init__(self, directory: Path | None = None, *, disk: str = "") -> None:
        """In the given directory, or in memory, where syncing to disk takes no time."""
        bin_directory = programs()
        assert bin_directory is not None
        self._bin = bin_directory
        self._user = _ordinary_user()
        self.home = Path(tempfile.mkdtemp(prefix="watcher-pg-", dir=directory or in_memory()))
        self._disk = disk
        if disk:
            _run("mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", self.home)
        self.home.chmod(0o755)
        if self._user is not None:
            shutil.chown(self.home, self._user, None)
        self.data = self.home / "data"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        locale = ["--locale=C.UTF-8"]
        if int(re.findall(r"\d+", self._output("initdb", "--version"))[0]) >= 15:
            locale += ["--locale-provider=icu", "--icu-locale=en-US"]
        self._output(
            "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync",
            *locale,
        )  # fmt: skip
        (self.data / "pg_hba.conf").write_text(_HBA)
        atexit.register(self.remove)

    def start(self, **options: object) -> None:
        """Start it, on a new port the first time, and wait until it answers."""
        self.port = self.port or free_port()
        given = {**_OPTIONS, "unix_socket_directories": self.home, "port": self.port, **options}
        # It ends with the process of the tests, also if that is killed.
        tied = ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *tied, self._bin / "postgres", "-D", self.data,
                    *(word for name, value in given.items() for word in ("-c", f"{name}={value}")),
                ],
                user=self._user, group=self._group(), extra_groups=[] if self._user else None,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        self.wait()

    def wait(self, within: float = 30.0) -> None:
        """Wait until it takes connections."""
        import psycopg

        until = time.monotonic() + within
        while True:
            try:
                return psycopg.connect(self.conninfo("postgres")).close()
            except psycopg.OperationalError:
                assert self.process is not None
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self.home / "log").read_text()[-2000:]) from None
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT in order, SIGQUIT at once, SIGKILL as a crash does."""
        if self.process is None:
            return
        # Its sessions have process groups of their own, and would end when they notice.
        for pid in _children(self.process.pid) if how is signal.SIGKILL else [self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        self.process.wait()
        self.process = None

    def freeze(self, *, on: bool) -> None:
        """Stop all its processes, or let them go on."""
        assert self.process is not None
        number = signal.SIGSTOP if on else signal.SIGCONT
        for pid in _children(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def keep_copy(self) -> Path:
        """A copy of the stopped server's data."""
        copy = self.home / "copy"
        _run("cp", "-a", self.data, copy)
        return copy

    def put_back(self, copy: Path) -> None:
        """Put a copy in the place of the stopped server's data."""
        shutil.rmtree(self.data)
        copy.rename(self.data)

    def fill(self) -> None:
        """Leave no room on its disk."""
        with (self.home / "balloon").open("wb", buffering=0) as balloon, suppress(OSError):
            while True:
                balloon.write(bytes(4096))

    def make_room(self) -> None:
        """Take away what `fill` has put there; start the server if it has ended for want of it."""
        (self.home / "balloon").unlink()
        if self.process is not None and self.process.poll() is not None:
            self.process = None
            self.start()

    def remove(self) -> None:
        """End it and remove all that it has written."""
        self.stop(signal.SIGQUIT)
        if self._disk and os.path.ismount(self.home):
            _run("umount", "--lazy", self.home)
        shutil.rmtree(self.home, ignore_errors=True)

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run it as the superuser; the rows that it gives."""
        import psycopg

        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def conninfo(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.home}&port={self.port}"

    def create(self, template: str = "template1") -> str:
        """Return the name of a new database."""
        name = f"test_{next(_NUMBERS)}"
        self.sql(f'CREATE DATABASE {name} TEMPLATE "{template}"')
        return name

    def url(self, database: str, directory: Path, user: str = "postgres") -> PostgresUrl:
        return PostgresUrl(self.conninfo(database, user), None, directory)

    def _output(self, program: str, *arguments: object) -> str:
        return subprocess.run(
            [self._bin / program, *map(str, arguments)],
            check=True, capture_output=True, text=True, cwd="/",
            user=self._user, group=self._group(), extra_groups=[] if self._user else None,
        ).stdout  # fmt: skip

    def _group(self) -> int | None:
        return pwd.getpwnam(self._user).pw_gid if self._user else None


@cache
def server() -> Server:
    """The server that this process's tests share; it is removed when the process ends."""
    started = Server()
    started.start()
    return started


def why_no_disk() -> str | None:
    """Why a server can't have a disk of its own here; None if it can."""
    with tempfile.TemporaryDirectory() as place:
        mount = ["mount", "-t", "tmpfs", "tmpfs", place]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            return "a tmpfs can't be mounted here: run as root, in a container with --privileged"
        _run("umount", place)
    return None


def _run(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True)


def _ordinary_user() -> str | None:
    """Whom to be instead of root."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _children(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


# --- databases of tests ---

_CLEAN = """
DO $$ DECLARE name text; BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT tablename FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
  LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
  FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'
  LOOP EXECUTE format('ALTER SEQUENCE %I RESTART', name); END LOOP;
END $$
"""


class Databases:
    """Databases with the store's tables: those that tests have left are cleaned and used again."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._template = ""
        self._clean: list[str] = []
        self._used: dict[Path, str] = {}  # by directory

    def url(self, directory: Path, *, is_new: bool = False) -> PostgresUrl:
        """The URL of the directory's database: with empty tables, or without any if it `is_new`."""
        if directory not in self._used:
            for gone in [path for path in self._used if not path.exists()]:
                self._clean_up(self._used.pop(gone))
            self._used[directory] = self.server.create() if is_new else self._empty()
        return self.server.url(self._used[directory], directory)

    def name(self, directory: Path) -> str:
        """The name of the directory's database."""
        return self._used[directory]

    def cut(self, directory: Path) -> None:
        """End every session of the directory's database."""
        self.server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self.name(directory)}'"
        )

    def give_back(self, *, spoilt: bool) -> None:
        """Make what a test used ready for the next one; `spoilt` tables are not used again."""
        for name in self._used.values():
            if spoilt:
                self.server.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            else:
                self._clean_up(name)
        self._used.clear()

    def _clean_up(self, name: str) -> None:
        self.server.sql(_CLEAN, name)
        self._clean.append(name)

    def _empty(self) -> str:
        if self._clean:
            return self._clean.pop()
        if not self._template:
            self._template = self.server.create()
            url = self.server.url(self._template, self.server.home)
            with ThreadPoolExecutor(1) as thread:  # a loop may run already
                thread.submit(lambda: asyncio.run(_make(url))).result()
            self.server.sql("DELETE FROM counters", self._template)
        return self.server.create(self._template)


@cache
def databases() -> Databases:
    """Those of the server that this process's tests share."""
    return Databases(server())


async def _make(url: PostgresUrl) -> None:
    await (await Store.open(url, now=0.0)).close()
