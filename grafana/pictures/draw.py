"""Draw the dashboards from a demo that is scraped for some minutes: `make pictures`.

Needs Chromium and Prometheus: apt-get install chromium fonts-inter prometheus. Connects to loopback
only.
"""

import argparse
import itertools
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from grafana.pictures.query import Source
from grafana.pictures.render import height, page

HERE = Path(__file__).parent
DASHBOARDS = HERE.parent / "dashboards"
RULES = HERE.parent / "alerts" / "watcher.yml"
WIDTH = 1600
SCREEN = 1200  # the least height; longer dashboards get a longer picture
SERVICES = (1, 2, 3, 4)  # of the demo, sold by the thousand

CONFIG = """
global: {{scrape_interval: 5s, evaluation_interval: 5s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: watcher
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{instance: "localhost:9466"}}}}]
"""


def main() -> None:
    """Draw all, or say what is missing."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=12.0, help="how long the demo runs")
    arguments.add_argument("--panel", default="genzsmm", help="which the dashboard Panel shows")
    arguments.add_argument("--out", type=Path, default=HERE)
    arguments.add_argument("--prometheus", help="draw from this one instead of from a demo")
    given = arguments.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
        server = given.prometheus
        if server is None:
            daemon, server = stack.enter_context(demo(Path(directory)))
            order(daemon, given.minutes * 60)
        source = Source(server, given.minutes, given.panel)
        for path in sorted(DASHBOARDS.glob("*.json")):
            dashboard = json.loads(path.read_text("utf-8"))
            html = Path(directory) / f"{path.stem}.html"
            html.write_text(page(dashboard, source, WIDTH), "utf-8")
            draw(html.as_uri(), max(SCREEN, height(dashboard)), given.out / f"{path.stem}.png")


@contextmanager
def demo(directory: Path) -> Iterator[tuple[str, str]]:
    """A demo and a Prometheus that scrapes it; their addresses."""
    port, own = free_port(), free_port()
    config = directory / "prometheus.yml"
    config.write_text(CONFIG.format(rules=RULES, port=port))
    prometheus = [
        find("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=warn",
    ]
    watcher = [sys.executable, "-m", "watcher", "demo", "--port", str(port)]
    daemon, server = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{own}"
    with running(watcher), running(prometheus):
        wait_for(f"{daemon}/readyz")
        wait_for(f"{server}/-/ready")
        yield daemon, server


def order(daemon: str, seconds: float) -> None:
    """Place orders for as long, faster than the demo does by itself."""
    with urllib.request.urlopen(f"{daemon}/v1/panels") as answer:
        names = [panel["panel"] for panel in json.load(answer)["panels"]]
    until = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() > until:
            return
        body = {
            "panel": names[number % len(names)],
            "service": SERVICES[number % len(SERVICES)],
            "link": f"https://example.com/picture/{number}",
            "quantity": 300,
        }
        request = urllib.request.Request(
            f"{daemon}/v1/submit",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Idempotency-Key": f"picture-{number}"},
        )
        with suppress(urllib.error.HTTPError):  # a panel may refuse
            urllib.request.urlopen(request).close()
        time.sleep(0.2)


@contextmanager
def running(command: Sequence[str]) -> Iterator[None]:
    """The program, ended afterwards."""
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=HERE.parents[1], stdout=silent, stderr=silent) as process:
        try:
            yield
        finally:
            process.terminate()


def draw(address: str, high: int, out: Path) -> None:
    """A picture of the page."""
    run(
        (
            find("chromium", "chromium-browser", "google-chrome"),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={WIDTH},{high}",
            f"--screenshot={out}",
            address,
        )
    )
    print(out)


def wait_for(url: str, seconds: float = 60.0) -> None:
    """Until it answers."""
    until = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find(*names: str) -> str:
    """The first of the programs that is there."""
    for name in names:
        if path := shutil.which(name):
            return path
    sys.exit(f"{names[0]} is not installed")


def run(command: Sequence[str]) -> None:
    """Run it; what it says is only shown where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
