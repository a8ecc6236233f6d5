"""What clients and receivers do neither fills the log, nor shuts others out, nor delays a stop."""

import asyncio
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.test_page import TOKEN, a_browser, get, send, set_token
from tests.integration.test_web_guard import ask, with_token
from tests.support.house import KEY, House, a_house
from tests.support.process import ROOT, DaemonProcess
from watcher.model import ActionPlan, ActionState, Kind, Outcome
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel
from watcher.web import connection_limit
from watcher.web.auth import WRONG_A_MINUTE

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
JSON = b"Content-Type: application/json\r\n"
# What follows the first line and the host. None of it needs a token.
BROKEN = {
    "a body that is not gzip": b"POST /api/v2|" + FORM + b"Content-Encoding: gzip\r\n"
    b"Content-Length: 20\r\n\r\nkey=aaaaaaaaaaaaaaaa",
    "a GET whose body is not gzip": b"GET /v1/orders|Content-Encoding: gzip\r\n"
    b"Content-Length: 5\r\n\r\nhello",
    "a form cut off": b"POST /api/v2|" + FORM + b"Content-Length: 200\r\n\r\nkey=a",
    "JSON cut off": b"POST /v1/orders|" + JSON + b"Content-Length: 200\r\n\r\n{",
    "a chunk cut off": b"POST /v1/orders|" + JSON + b"Transfer-Encoding: chunked\r\n\r\n5\r\nke",
}
NONSENSE = (b"\x16\x03\x01\x02\x00\x01\xfc", b"GET / HT", b"GET http://[::1 HTTP/1.1\r\n\r\n")


async def connect(house: House, data: bytes, host: str = "127.0.0.1") -> socket.socket:
    """A connection from the address, on which the data was sent."""
    client = socket.socket()
    client.setblocking(False)
    client.bind((host, 0))
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", house.daemon.port))
    await loop.sock_sendall(client, data)
    return client


async def receive(client: socket.socket) -> bytes:
    """What comes next; nothing, where the connection is closed."""
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 65536), 10)
    except ConnectionError:
        return b""


async def until(house: House, reason: str, count: float) -> None:
    """Wait until so many faults were counted; without a connection of our own."""
    line = f'watcher_web_client_faults_total{{reason="{reason}"}} {count:.1f}\n'.encode()
    async with asyncio.timeout(10):
        while line not in (await house.daemon.metrics.scrape(""))[0]:
            await asyncio.sleep(0.01)


# --- the log --------------------------------------------------------------------------------------


async def test_what_a_client_sends_is_counted_and_not_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    async with a_house(tmp_path) as house:
        for count, text in enumerate(BROKEN.values(), 1):
            first, _, rest = text.partition(b"|")
            host = b" HTTP/1.1\r\nHost: localhost:%d\r\n" % house.daemon.port
            with await connect(house, first + host + rest):
                await asyncio.sleep(0.05)  # the body is being read when the connection breaks
            await until(house, "broken", count)
        for data in NONSENSE:
            (await connect(house, data)).close()
        assert (await ask(house, "/healthz"))[0] == 200
        found = capfd.readouterr()
        assert "Traceback" not in found.err + found.out
        assert "web.failed" not in found.err + found.out


# --- connections ----------------------------------------------------------------------------------


async def test_one_client_leaves_room_for_others(tmp_path: Path):
    async with a_house(tmp_path) as house:
        with ExitStack() as held:
            for _ in range(connection_limit.MOST_OF_A_CLIENT):
                held.enter_context(await connect(house, b""))
            with await connect(house, b"") as one_more:
                assert (await receive(one_more)).startswith(b"HTTP/1.1 503")
            request = b"GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % house.daemon.port
            with await connect(house, request, "127.0.0.2") as other:
                assert (await receive(other)).startswith(b"HTTP/1.1 200")
        await until(house, "crowded", 1)


async def test_a_connection_that_sends_no_request_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection_limit, "FIRST_HEAD_WITHIN", 0.2)
    async with a_house(tmp_path) as house:
        for count, data in enumerate((b"", b"GET /healthz HTTP/1.1\r\nHost: "), 1):
            with await connect(house, data) as client:
                assert await receive(client) == b""
            await until(house, "silent", count)


async def test_a_connection_that_sent_a_request_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection_limit, "FIRST_HEAD_WITHIN", 0.2)
    async with a_house(tmp_path) as house:
        request = b"GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % house.daemon.port
        with await connect(house, request) as client:
            assert (await receive(client)).startswith(b"HTTP/1.1 200")
            with await connect(house, b""):
                await until(house, "silent", 1)  # later than the first one's time
            client.sendall(request)
            assert (await receive(client)).startswith(b"HTTP/1.1 200")


# --- the token ------------------------------------------------------------------------------------


async def test_wrong_tokens_do_not_lock_out_the_right_one(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await with_token(house)
        wrong = {"Authorization": "Bearer wrong"}
        found = [
            (await ask(house, "/v1/orders", headers=wrong))[0]
            for _ in range(int(WRONG_A_MINUTE) + 5)
        ]
        assert found[-1] == 429
        right = {"Authorization": "Bearer a-token-of-the-tests"}
        assert (await ask(house, "/v1/orders", headers=right))[0] == 200
        assert (await ask(house, "/v1/orders", headers=wrong))[0] == 429
        status, _, _ = await send(session, "/login", {"token": "a-token-of-the-tests"})
        assert status == 303


async def test_a_logout_outlives_a_restart(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await set_token(house)
        async with a_browser(house) as session:
            _, _, headers = await send(session, "/login", {"token": TOKEN})
            name, _, value = headers["Set-Cookie"].split(";")[0].partition("=")
            _, _, headers = await send(session, "/login", {"token": TOKEN})
            other = headers["Set-Cookie"].split(";")[0].partition("=")[2]
            session.cookie_jar.clear()
            await send(session, "/logout", headers={"Cookie": f"{name}={value}"})
        await house.restart()
        async with a_browser(house) as session:
            name = f"watcher-{house.daemon.port}"
            held = {"Cookie": f"{name}={value}"}
            assert (await get(session, "/", headers=held))[0] == 401
            held = {"Cookie": f"{name}={other}"}
            assert (await get(session, "/", headers=held))[0] == 200


# --- a stop ---------------------------------------------------------------------------------------


@asynccontextmanager
async def a_dripping_receiver() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A receiver whose answers never end, and whether somebody waits for one."""
    asked = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        try:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"X-Drip: 1\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


@pytest.mark.parametrize("scheme", ["http", "json"])
async def test_a_receiver_that_never_answers_does_not_delay_a_stop(tmp_path: Path, scheme: str):
    async with (
        a_dripping_receiver() as (port, asked),
        SimulatedPanel(shipped()["standard"], key=KEY) as panel,
    ):
        daemon = DaemonProcess(
            tmp_path, {"standard": panel}, env={"HOOK": f"{scheme}://127.0.0.1:{port}/hook"}
        )
        text = daemon.config.read_text()
        daemon.config.write_text(
            text.replace("[daemon]", '[daemon]\nstop_timeout = "1s"', 1)
            + '\n[[notify]]\nname = "phone"\nurl_env = "HOOK"\n'
        )
        await daemon.start()
        testing = asyncio.ensure_future(
            asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "watcher", "notify", "test", "phone"],
                env={**os.environ, "WATCHER_URL": f"http://127.0.0.1:{daemon.port}"},
                cwd=ROOT,
                capture_output=True,
                check=False,
            )
        )
        await asyncio.wait_for(asked.wait(), 30)
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)
        # 6 s are allowed; the rest is for a machine that is busy.
        assert await asyncio.wait_for(daemon.process.wait(), 20) == 0
        await testing


# --- the terminal ---------------------------------------------------------------------------------


def run_on_a_terminal(daemon: DaemonProcess) -> tuple["subprocess.Popen[bytes]", int]:
    """Start the daemon as a shell does, as the leader of a terminal's session."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import fcntl, os, runpy, sys, termios; os.setsid();"
            "fcntl.ioctl(0, termios.TIOCSCTTY, 0); sys.argv[0] = 'watcher';"
            "runpy.run_module('watcher', run_name='__main__')",
            *("run", "--config", str(daemon.config)),
        ],
        cwd=ROOT,
        env={**os.environ, **daemon.env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    return process, ours


async def test_a_hang_up_of_the_terminal_ends_the_daemon(tmp_path: Path):
    async with SimulatedPanel(shipped()["standard"], key=KEY) as panel:
        daemon = DaemonProcess(tmp_path, {"standard": panel}, env={"TEST_KEY": KEY})
        process, terminal = run_on_a_terminal(daemon)
        try:
            await asyncio.to_thread(_read_until, terminal, b"daemon.started")
            process.send_signal(signal.SIGHUP)  # the terminal is there: a reload
            await asyncio.to_thread(_read_until, terminal, b"config.reloaded")
            assert process.poll() is None
            os.close(terminal)
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            process.kill()
            process.wait()


def _read_until(terminal: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 65536)


# --- forms ----------------------------------------------------------------------------------------


async def test_a_form_that_was_refused_is_shown_again(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        store, now = house.daemon.store, house.clock()
        plan = ActionPlan(kind=Kind.SUBMIT, panel="standard", params={"service": "1"})
        action = await store.actions.plan(plan, now=now)
        (claimed,) = await store.actions.claim([action.id], now=now)
        await store.actions.settle([Outcome(action=claimed, state=ActionState.UNRESOLVED)], now=now)
        status, text, _ = await send(
            session, f"/actions/{action.id}/resolve", {"state": "accepted", "back": "/actions"}
        )
        assert status == 400
        assert "an accepted submission needs the order id" in text
        assert f'<dialog id="resolve-{action.id}"' in text
        assert f'aria-labelledby="resolve-{action.id}-title" open>' in text


async def test_a_page_that_refuses_leads_back_to_where_one_came_from(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        own = f"http://127.0.0.1:{house.daemon.port}/orders?panel=standard"
        for referer, back in (
            (own, '<a class="button" href="/orders?panel=standard">Back</a>'),
            ("https://evil.example/", ""),
            ("http://[", ""),
        ):
            status, text = await get(session, "/orders/none/1", headers={"Referer": referer})
            assert status == 404
            assert (back in text) if back else (">Back<" not in text)
