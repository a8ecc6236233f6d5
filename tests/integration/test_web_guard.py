"""Who is let in: nothing that a web page, a foreign name or a flood of requests brings."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.house import House, a_house
from watcher.simulator import Fate
from watcher.web.auth import WRONG_A_MINUTE
from watcher.web.connection_limit import MOST_CONNECTIONS
from watcher.web.guard import REQUESTS_AT_ONCE
from watcher.web.rate_limit import MOST_CLIENTS, ConcurrencyLimit, TokenBuckets, TooMany, client_of

TOKEN = "a-token-of-the-tests"
EVERYWHERE = ("/", "/metrics", "/healthz", "/readyz", "/v1/orders", "/v1/backup", "/nowhere")
OPEN = ("/metrics", "/healthz", "/readyz")


async def ask(house: House, path: str, method: str = "GET", **more: Any) -> tuple[int, str]:
    url = f"http://127.0.0.1:{house.daemon.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, **more) as answer:
        return answer.status, await answer.text()


async def raw(house: House, data: bytes) -> bytes:
    """What the daemon answers to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.daemon.port)
    writer.write(data)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(65536), 10)
    writer.close()
    return answer


async def reconfigure(house: House, daemon: str) -> None:
    text = house.path.read_text().replace("[daemon]", f"[daemon]\n{daemon}", 1)
    house.path.write_text(text)
    await house.daemon.reload()
    assert not house.daemon.config.problems


async def with_token(house: House) -> None:
    path = house.path.with_name("api.token")
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    await reconfigure(house, 'token_file = "api.token"')


# --- the host ------------------------------------------------------------------------------------


async def test_a_name_that_was_made_to_lead_here_gets_nothing(tmp_path: Path):
    """DNS rebinding: the page's own name resolves to 127.0.0.1, so its browser asks the daemon."""
    async with a_house(tmp_path) as house:
        for path in EVERYWHERE:
            for host in ("evil.example", f"evil.example:{house.daemon.port}", "", "a b", "["):
                status, text = await ask(house, path, headers={"Host": host})
                assert status == 421, (path, host)
                assert "allowed_hosts" in text


async def test_every_name_of_the_daemon_is_let_in(tmp_path: Path):
    async with a_house(tmp_path) as house:
        for name in ("127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::1]", "127.0.0.2"):
            host = f"{name}:{house.daemon.port}"
            assert (await ask(house, "/v1/orders", headers={"Host": host}))[0] == 200, name
            for wrong in (name, f"{name}:1"):
                assert (await ask(house, "/v1/orders", headers={"Host": wrong}))[0] == 421, wrong


async def test_names_behind_a_proxy_are_configured(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await reconfigure(house, 'allowed_hosts = ["Watcher.example.com", "other:8443"]')
        expected = {
            "watcher.example.com": 200,
            "watcher.example.com:443": 200,
            f"watcher.example.com:{house.daemon.port}": 200,
            "watcher.example.com:8443": 421,
            "other:8443": 200,
            "other": 421,
            "sub.watcher.example.com": 421,
        }
        for host, status in expected.items():
            assert (await ask(house, "/healthz", headers={"Host": host}))[0] == status, host
        origin = {"Origin": "https://watcher.example.com"}
        assert (await ask(house, "/v1/orders", headers=origin))[0] == 200


async def test_a_request_with_two_hosts_or_none_gets_nothing(tmp_path: Path):
    async with a_house(tmp_path) as house:
        own = f"Host: 127.0.0.1:{house.daemon.port}\r\n".encode()
        expected = {
            b"": b"400",
            own + b"Host: evil.example\r\n": b"400",
            b"Host: evil.example\r\n" + own: b"400",
        }
        for head, status in expected.items():
            answer = await raw(house, b"GET /v1/orders HTTP/1.1\r\n" + head + b"\r\n")
            assert answer.split()[1] == status, answer
        absolute = b"GET http://evil.example/v1/orders HTTP/1.1\r\nHost: evil.example\r\n\r\n"
        assert (await raw(house, absolute)).startswith(b"HTTP/1.1 421")


# --- the origin ----------------------------------------------------------------------------------

FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_page_of_another_site_reads_and_changes_nothing(tmp_path: Path, headers):
    async with a_house(tmp_path) as house:
        (order,) = await house.place(1, fate=Fate(pending=1e9))
        for path in EVERYWHERE:
            if path not in OPEN:
                assert (await ask(house, path, headers=headers))[0] == 403, path
        for action in ("refill", "cancel"):
            path = f"/v1/orders/standard/{order}/{action}"
            assert (await ask(house, path, "POST", headers=headers))[0] == 403
        for path in OPEN:
            assert (await ask(house, path, headers=headers))[0] == 200
            assert (await ask(house, path, "POST", headers=headers))[0] == 403
        preflight = {**headers, "Access-Control-Request-Method": "POST"}
        assert (await ask(house, "/v1/orders", "OPTIONS", headers=preflight))[0] == 403
        assert (await house.call("GET", "/v1/actions"))["actions"] == []


async def test_the_daemons_own_pages_are_let_in(tmp_path: Path):
    async with a_house(tmp_path) as house:
        own = {
            "Origin": f"http://localhost:{house.daemon.port}",
            "Sec-Fetch-Site": "same-origin",
        }
        assert (await ask(house, "/v1/orders", headers=own))[0] == 200
        assert (await ask(house, "/", headers={"Sec-Fetch-Site": "none"}))[0] == 200


async def test_no_answer_invites_other_origins(tmp_path: Path):
    async with a_house(tmp_path) as house:
        url = f"http://127.0.0.1:{house.daemon.port}"
        async with aiohttp.ClientSession() as session:
            for path in EVERYWHERE:
                async with session.get(url + path) as answer:
                    headers = answer.headers
                    assert not [name for name in headers if "access-control" in name.lower()]
                    assert headers["X-Content-Type-Options"] == "nosniff", path
                    assert headers["Cache-Control"] == "no-store", path
                    told = "same-origin" if path == "/" else "no-referrer"
                    assert headers["Referrer-Policy"] == told, path
                    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
                    assert headers["Cross-Origin-Resource-Policy"] == "same-origin", path
                    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
                    assert "unsafe" not in headers["Content-Security-Policy"], path
                    assert headers["Server"] == "watcher", path


# --- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
async def test_what_a_form_can_send_is_no_request(tmp_path: Path, kind: str | None):
    async with a_house(tmp_path) as house:
        (order,) = await house.place(1, fate=Fate(pending=1e9))
        headers = {"Content-Type": kind} if kind else {}
        for path in ("/v1/orders", "/v1/submit", f"/v1/orders/standard/{order}/cancel"):
            found = await ask(house, path, "POST", data=b'{"orders": []}', headers=headers)
            assert found[0] == 415, path
        assert (await house.call("GET", "/v1/actions"))["actions"] == []


async def test_a_refill_needs_no_body_and_takes_json(tmp_path: Path):
    async with a_house(tmp_path) as house:
        orders = await house.place(2, fate=Fate(pending=1e9))
        path = "/v1/orders/standard/{}/cancel"
        assert (await ask(house, path.format(orders[0]), "POST"))[0] == 202
        assert (await ask(house, path.format(orders[1]), "POST", json={}))[0] == 202


async def test_bodies_are_no_larger_than_they_need_to_be(tmp_path: Path):
    async with a_house(tmp_path) as house:
        path = "/v1/orders/standard/1/count"
        large = b'{"count": %s1}' % (b" " * 65536)
        headers = {"Content-Type": "application/json"}
        assert (await ask(house, path, "PUT", data=large, headers=headers))[0] == 413

        async def endless():
            for _ in range(40):
                yield b" " * 2**20

        for target, method in ((path, "PUT"), ("/v1/orders", "POST")):
            found = await ask(house, target, method, data=endless(), headers=headers)
            assert found[0] == 413, target
        packed = {**headers, "Content-Encoding": "deflate"}
        assert (await ask(house, "/v1/orders", "POST", data=b"x", headers=packed))[0] in (400, 415)


async def test_long_urls_and_headers_are_refused_and_not_logged(tmp_path: Path, capfd):
    async with a_house(tmp_path) as house:
        host = b"Host: 127.0.0.1:%d\r\n" % house.daemon.port
        for request in (
            b"GET /%s HTTP/1.1\r\n%s\r\n" % (b"x" * 9000, host),
            b"GET / HTTP/1.1\r\n%sX: %s\r\n\r\n" % (host, b"x" * 9000),
            b"GET / HTTP/1.1\r\n%s%s\r\n" % (host, b"X: y\r\n" * 100),
            b"\x16\x03\x01 not HTTP\r\n\r\n",
            b"GET / HTTP/1.1\r\n%sX\x00: y\r\n\r\n" % host,
        ):
            assert (await raw(house, request)).startswith(b"HTTP/1.0 400"), request[:40]
        assert "Traceback" not in capfd.readouterr().err


# --- how many ------------------------------------------------------------------------------------


async def test_a_flood_is_told_to_slow_down(tmp_path: Path):
    async with a_house(tmp_path) as house:
        url = f"http://127.0.0.1:{house.daemon.port}"
        async with aiohttp.ClientSession(url) as session:

            async def once() -> tuple[int, str | None]:
                async with session.get("/healthz") as answer:
                    return answer.status, answer.headers.get("Retry-After")

            answers = []
            for _ in range(60):
                answers += await asyncio.gather(*(once() for _ in range(50)))
            refused = [after for status, after in answers if status == 429]
            assert refused
            assert set(refused) == {"1"}
            assert sum(status == 200 for status, _ in answers) >= REQUESTS_AT_ONCE
            async with asyncio.timeout(10):
                while (await once())[0] != 200:
                    await asyncio.sleep(0.01)


async def test_wrong_tokens_slow_down_and_the_page_still_asks(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await with_token(house)
        right = {"Authorization": f"Bearer {TOKEN}"}
        wrong = {"Authorization": "Bearer wrong"}
        for _ in range(50):  # who gives none guesses nothing
            assert (await ask(house, "/"))[0] == 401
        found = [(await ask(house, "/v1/orders", headers=wrong))[0] for _ in range(30)]
        assert found.count(401) == WRONG_A_MINUTE
        assert found.count(429) == 30 - WRONG_A_MINUTE
        assert (await ask(house, "/v1/orders", headers=right))[0] == 200
        assert (await ask(house, "/metrics"))[0] == 200


async def test_a_replaced_token_is_good_no_more(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await with_token(house)
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (await ask(house, "/v1/orders", headers=right))[0] == 200
        house.path.with_name("api.token").write_text("another-token-of-the-tests")
        await house.daemon.reload()
        assert (await ask(house, "/v1/orders", headers=right))[0] == 401


async def test_backups_are_not_made_without_end(tmp_path: Path):
    """Who asks for copies and does not read them fills no disk."""
    async with a_house(tmp_path) as house:
        await house.place(3000)
        head = b"GET /v1/backup HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % house.daemon.port
        asked = [await asyncio.open_connection("127.0.0.1", house.daemon.port) for _ in range(8)]
        for _, writer in asked:
            writer.write(head)
        firsts = [await asyncio.wait_for(reader.readline(), 20) for reader, _ in asked]
        assert {line.split()[1] for line in firsts} <= {b"200", b"429"}
        assert b"429" in {line.split()[1] for line in firsts}
        for _, writer in asked:
            writer.close()


async def test_odd_tokens_are_wrong_tokens(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await with_token(house)
        for given in (
            b"",
            b"Bearer",
            b"Bearer \xff\xfe",
            b"Basic !!",
            b"Digest x",
            b"Bearer  " * 9,
        ):
            head = b"GET / HTTP/1.1\r\nHost: localhost:%d\r\n" % house.daemon.port
            answer = await raw(house, head + b"Authorization: " + given + b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 401"), given


async def test_no_more_connections_than_there_is_room_for(tmp_path: Path):
    async with a_house(tmp_path) as house:
        address = ("127.0.0.1", house.daemon.port)
        own = b"GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % house.daemon.port
        idle = [await asyncio.open_connection(*address) for _ in range(MOST_CONNECTIONS)]
        assert (await raw(house, b"")).startswith(b"HTTP/1.1 503")
        for _, writer in idle:
            writer.close()
        async with asyncio.timeout(10):
            while not (await raw(house, own)).startswith(b"HTTP/1.1 200"):
                await asyncio.sleep(0.01)


async def test_who_stops_waiting_for_an_action_is_forgotten(tmp_path: Path):
    """An action can stay planned for days, and be asked for again and again."""
    async with a_house(tmp_path) as house:
        (order,) = await house.place(1, fate=Fate(pending=1e9))
        await house.call("POST", f"/v1/orders/standard/{order}/cancel")
        commands = house.daemon.commands
        action = await house.daemon.store.actions.get(1)
        assert action is not None
        for _ in range(3):
            assert (await commands.wait_for(action, 0.01)).id == action.id
        assert not house.daemon.core.outcomes._awaited


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_with_time_and_clients_do_not_share_one():
    clock = Clock()
    buckets = TokenBuckets(rate=2.0, burst=3.0, clock=clock)
    for _ in range(3):
        buckets.take("a", "")
    with pytest.raises(TooMany, match="slow down") as caught:
        buckets.take("a", "slow down")
    assert caught.value.retry_after == 0.5
    buckets.take("b", "")
    clock.now = 0.5
    buckets.take("a", "")


def test_only_so_many_clients_are_remembered():
    buckets = TokenBuckets(rate=1.0, burst=1.0, clock=Clock())
    for number in range(3 * MOST_CLIENTS):
        buckets.take(str(number), "")
    assert len(buckets._levels) == MOST_CLIENTS
    with pytest.raises(TooMany):
        buckets.take(str(3 * MOST_CLIENTS - 1), "")


def test_seats_are_given_back_whatever_happens():
    seats = ConcurrencyLimit(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="x"), seats:
            raise ValueError("x")
    with seats, pytest.raises(TooMany), seats:
        pass


def test_whom_an_address_counts_as():
    assert client_of("10.0.0.1") == "10.0.0.1"
    assert client_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert client_of("2001:db8:1:2:3:4:5:6") == client_of("2001:db8:1:2::1") != client_of("::1")
    assert client_of("fe80::1%eth0") == "fe80::"
    assert client_of(None) == ""
