"""Servers with certificates of these tests: `server` is for this machine, `other` for none."""

import ssl
from pathlib import Path

SERVER = Path(__file__).with_name("server.pem")
OTHER = Path(__file__).with_name("other.pem")


def context(file: Path) -> ssl.SSLContext:
    """What a server needs to show the certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context
