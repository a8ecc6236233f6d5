"""compose.yaml, as far as it can be looked at without Docker: names, paths, ports, options."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from watcher.cli import app
from watcher.config import load

ROOT = Path(__file__).parents[2]
_FILES = ("postgresql", "cluster")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
MORE = [  # `!reset` is compose's own
    yaml.safe_load((ROOT / "compose" / f"{name}.yaml").read_text().replace("!reset", ""))
    for name in _FILES
]
OWN = [name for name, service in SERVICES.items() if "build" in service]


def test_there_is_something_to_look_at():
    """What the tests below go through one by one."""
    assert OWN
    assert sum(len(service.get("volumes", ())) for service in SERVICES.values()) > 1
    assert sum(len(service.get("ports", ())) for service in SERVICES.values()) > 1
    assert any(service.get("depends_on") for service in SERVICES.values())


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str):
    for volume in SERVICES[name].get("volumes", ()):
        source, target, *_ = volume.split(":")
        assert target.startswith("/")
        known = (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert known, volume


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name: str):
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:"), port


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_is_there(name: str):
    assert set(SERVICES[name].get("depends_on", ())) <= SERVICES.keys()


def test_images_have_a_version():
    for name in SERVICES.keys() - set(OWN):
        assert ":" in SERVICES[name]["image"], name


def test_the_configuration_is_accepted_and_leads_to_the_panels():
    env = {"CREDENTIALS_DIRECTORY": str(ROOT / "compose" / "credentials")}
    config = load(ROOT / "compose" / "watcher.toml", env)
    assert config.token is not None
    for name, panel in config.panels.items():
        command = SERVICES[name]["command"]
        port = command[command.index("--port") + 1]
        assert panel.url == f"http://{name}:{port}/api/v2"
        assert panel.profile.name == command[command.index("--profile") + 1]


@pytest.mark.parametrize("name", ["fast", "slow"])
def test_the_panels_options_exist(name: str):
    command, *rest = SERVICES[name]["command"]
    parser = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    parser.make_context(command, list(rest))


def test_prometheus_is_the_example_with_its_neighbours_names():
    example = yaml.safe_load((ROOT / "grafana" / "prometheus" / "prometheus.yml").read_text())
    composed = yaml.safe_load((ROOT / "compose" / "prometheus.yml").read_text())
    text = yaml.safe_dump(example)
    for host, port in (("watcher", 9466), ("alertmanager", 9093)):
        text = text.replace(f"127.0.0.1:{port}", f"{host}:{port}")
        assert host in SERVICES
    assert yaml.safe_load(text) == composed
    (target,) = composed["scrape_configs"][0]["static_configs"][0]["targets"]
    config = (ROOT / "compose" / "watcher.toml").read_text()
    assert f'allowed_hosts = ["{target}"]' in config


def test_grafana_finds_datasource_and_dashboards():
    grafana = SERVICES["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/watcher.yaml").read_text())[
        "providers"
    ][0]
    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (ROOT / "grafana" / "dashboards" / home.name).exists()
    (source,) = yaml.safe_load(
        (ROOT / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    )["datasources"]
    assert source["url"].removeprefix("$") in grafana["environment"]


def test_the_image_is_built_of_what_is_sent_to_the_builder():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    needed = {"pyproject.toml", "requirements.lock", "README.md", "LICENSE", "watcher"}
    more = {"systemd", "config.example.toml", "requirements-postgres.lock"}
    assert needed | more == sent
    assert all((ROOT / name).exists() for name in sent)
    last = (ROOT / "Dockerfile").read_text().rsplit("\nFROM ", 1)[1]
    assert "\nUSER watcher\n" in last
    assert shlex.split(last.split("\nCMD ")[1].strip("[]\n").replace(",", " ")) == [
        "run", "--config", "/etc/watcher/watcher.toml",
    ]  # fmt: skip


# --- compose/postgresql.yaml and compose/cluster.yaml, which are laid over compose.yaml ---


def known_services() -> set[str]:
    return set(SERVICES).union(*(more["services"] for more in MORE))


def volumes() -> Iterator[str]:
    for more in MORE:
        for service in more["services"].values():
            yield from service.get("volumes", ())


def test_what_is_laid_over_it_leads_somewhere():
    named = set(COMPOSE["volumes"]).union(*(more["volumes"] for more in MORE))
    for volume in volumes():
        source, target, *_ = volume.split(":")
        assert target.startswith("/")
        assert (ROOT / source).exists() if source.startswith(".") else source in named, volume
    for more in MORE:
        for service in more["services"].values():
            assert set(service.get("depends_on", ())) <= known_services()
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
            assert ":" in service.get("image", "watcher:local")


@pytest.mark.parametrize("name", _FILES)
def test_the_configuration_of_more_services_is_accepted(name: str, tmp_path: Path):
    config = configured(name, tmp_path)
    assert str(config.database) == "postgresql://watcher@postgres/watcher?sslmode=disable"
    assert config.panels.keys() == {"fast", "slow"}
    server = MORE[0]["services"]["postgres"]
    assert server["environment"]["POSTGRES_USER"] == "watcher"
    password = (ROOT / "compose" / "credentials" / "database.password").read_text()
    assert config.database.password == password


def test_both_nodes_are_behind_the_proxy_and_are_scraped():
    nodes = [name for name in MORE[1]["services"] if name.startswith("watcher")]
    assert [MORE[1]["services"][node]["hostname"] for node in nodes] == nodes
    addresses = [f"{node}:9466" for node in nodes]
    proxy = (ROOT / "compose" / "haproxy.cfg").read_text()
    servers = [line.split() for line in proxy.splitlines() if line.strip().startswith("server ")]
    assert servers == [["server", node, f"{node}:9466"] for node in nodes]
    alone = yaml.safe_load((ROOT / "compose" / "prometheus.yml").read_text())
    both = yaml.safe_load((ROOT / "compose" / "prometheus-cluster.yml").read_text())
    (targets,) = both["scrape_configs"][0]["static_configs"]
    assert targets["targets"] == addresses
    targets["targets"] = addresses[:1]
    assert both == alone
    for address in addresses:
        assert address in (ROOT / "compose" / "cluster.toml").read_text()


def configured(name: str, directory: Path) -> Any:
    """The configuration as a container reads it."""
    text = (ROOT / "compose" / f"{name}.toml").read_text().replace("NODE", "watcher")
    path = directory / "watcher.toml"
    path.write_text(text)
    return load(path, {"CREDENTIALS_DIRECTORY": str(ROOT / "compose" / "credentials")})
