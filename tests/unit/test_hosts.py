"""By which names the daemon is reached."""

import pytest

from watcher.config import Hosts, authority

HOME = ("127.0.0.1", 9466)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("localhost", ("localhost", None)),
        ("LocalHost.:9466", ("localhost", 9466)),
        ("[::1]:80", ("::1", 80)),
        ("[fe80::1]", ("fe80::1", None)),
        ("a_b-c.example", ("a_b-c.example", None)),
        ("", None),
        ("a:", None),
        ("a:99999", None),
        ("a:1:2", None),
        ("::1", None),
        ("a b", None),
        ("user@a", None),
        ("a/b", None),
        ("*.a", None),
        ("[x]", None),
        ("a\n", None),
    ],
)
def test_authorities(text: str, found: object):
    assert authority(text) == found


def owned(hosts: Hosts, text: str, address: str = "127.0.0.1", port: int = 9466) -> bool:
    named = authority(text)
    assert named is not None
    return hosts.own(*named, address, port)


def test_one_that_listens_everywhere_answers_to_addresses_and_to_no_name():
    for listen in ("0.0.0.0", "::"):
        hosts = Hosts(listen)
        assert owned(hosts, "192.0.2.7:9466")
        assert owned(hosts, "[2001:db8::7]:9466")
        assert owned(hosts, "localhost:9466")
        assert not owned(hosts, "192.0.2.7:80")
        assert not owned(hosts, "server:9466")


def test_one_that_listens_at_one_place_answers_to_that():
    hosts = Hosts("Server.lan")
    assert owned(hosts, "server.lan:9466")
    assert owned(hosts, "192.0.2.7:9466", address="192.0.2.7")
    assert not owned(hosts, "192.0.2.8:9466", address="192.0.2.7")


def test_on_the_usual_port_a_host_has_none():
    assert owned(Hosts("127.0.0.1"), "localhost", port=80)
    assert not owned(Hosts("127.0.0.1"), "localhost", port=9466)
