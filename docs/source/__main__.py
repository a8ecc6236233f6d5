"""`python -m docs.source` (`make api`) writes docs/api.md and the client's shapes anew."""

from pathlib import Path

from docs.source import client
from docs.source.api import text

PATH = Path(__file__).parents[1] / "api.md"

if __name__ == "__main__":
    PATH.write_text(text())
    client.PATH.write_text(client.text())
