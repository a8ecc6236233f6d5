"""The wheel of the Python client: whole, typed, and in need of nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USES = """\
from watcher_client import Client
from watcher_client.aio import AsyncClient

number: int = Client().refill("p", 7)["action"]["id"]


async def follow() -> None:
    async for page in AsyncClient().follow(after="now", tag="vip"):
        print([change["state"]["status"] for change in page["changes"]], number)
"""
WRONG = """\
from watcher_client import Client

Client().submit("k", panel="p", service=1, quantty=100)
Client().refill(7)["action"]["id"].upper()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel that `make wheel` builds is unpacked."""
    directory = tmp_path_factory.mktemp("wheel")
    (line,) = (x for x in (ROOT / "Makefile").read_text().splitlines() if "$(PIP) wheel" in x)
    *options, _, project = line.split()[2:]
    options[options.index("dist")] = str(directory)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel"]
    subprocess.run([*pip, *options, project], cwd=ROOT, check=True)
    (wheel,) = directory.glob("watcher_client-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def test_it_is_whole(installed: Path) -> None:
    source = ROOT / "clients" / "python" / "watcher_client"
    names = {path.name for path in source.iterdir() if path.is_file()}
    assert {path.name for path in (installed / "watcher_client").iterdir()} == names
    (told,) = installed.glob("*.dist-info/METADATA")
    assert "\nRequires-Dist: aiohttp>=3.10; extra == 'aio'\n" in told.read_text()
    assert list(installed.glob("*.dist-info/licenses/LICENSE"))


def test_the_blocking_client_needs_nothing_else(installed: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); import watcher_client"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_a_type_checker_knows_what_is_taken_and_given(installed: Path, tmp_path: Path) -> None:
    def checked(text: str) -> list[str]:
        (tmp_path / "shop.py").write_text(text)
        run = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "shop.py"],
            cwd=tmp_path,
            env={"MYPYPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
        )
        return [line for line in run.stdout.splitlines() if "error:" in line]

    assert checked(USES) == []
    typo, missing, kind, *_ = checked(WRONG)
    assert 'Unexpected keyword argument "quantty"' in typo
    assert "shop.py:4" in missing
    assert "shop.py:4" in kind
