"""Receives watcher's events: checks signature and time, takes each event once. No dependencies.

    SHOP_SECRET=whsec_… python3 receiver.py 8088

then SHOP_URL=http://127.0.0.1:8088/ for the watcher. `handle` is yours to fill.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WINDOW = 300  # seconds by which a message's time may be off: older ones may be replayed by others
LARGEST = 1_000_000  # bytes


def handle(event):
    """What your shop does. Raise, and the watcher sends the event again later."""
    data = event["data"]
    print(event["type"], data["panel"], data["order"], json.dumps(data["changes"]), flush=True)


def is_genuine(secret, headers, body, now):
    """Whether the message was signed with our secret, a moment ago."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > WINDOW:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    found = headers.get("webhook-signature", "").split()  # several while a secret is exchanged
    return any(hmac.compare_digest(wanted, one) for one in found)


def take(database, message_id, event):
    """Handle the event unless it was handled before: both are one transaction."""
    with sqlite3.connect(database, timeout=30) as connection:  # commits, or undoes if it raises
        connection.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, at REAL)")
        new = connection.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?)", (message_id, time.time())
        )
        if new.rowcount:
            handle(event)
    connection.close()


class Receiver(BaseHTTPRequestHandler):
    secret = os.environ.get("SHOP_SECRET", "")
    database = os.environ.get("SHOP_DATABASE", "seen.db")

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > LARGEST:
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not is_genuine(self.secret, self.headers, body, time.time()):
            return self.answer(401)
        try:
            take(self.database, self.headers["webhook-id"], json.loads(body))
        except Exception as error:
            print(f"not taken: {error!r}", file=sys.stderr, flush=True)
            return self.answer(500)  # it comes again
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if not Receiver.secret:
        sys.exit("set SHOP_SECRET to the secret that the watcher signs with")
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8088
    print(f"http://127.0.0.1:{port}/", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
