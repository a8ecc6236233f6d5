"""`watcher init` against simulated panels: what it finds, what it writes, what it never does."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs

import msgspec
import pytest
from typer.testing import CliRunner, Result

from tests.integration.cli_daemon import in_thread
from tests.support.ports import free_port
from tests.support.shell import Terminal
from watcher.cli import app
from watcher.cli.detect import INVENTED_ACTION
from watcher.cli.init_file import Choice, panel_text
from watcher.config import PanelConfig, load
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, Trait

KEY = "key-of-the-tests"
SEEDS = [name for name in shipped() if name != "standard"]
READING = {"balance", "services", "status", "refill_status", INVENTED_ACTION}


def init(*args: object) -> Result:
    env = {"PANEL_KEY": KEY, "EMPTY_KEY": "", "COLUMNS": None, "STATE_DIRECTORY": None}
    return CliRunner().invoke(app, ("init", *map(str, args)), env=env)


def asked(panel: SimulatedPanel, file: Path, *args: str) -> Result:
    """Run it against the panel, which runs meanwhile, with the key that the panel may know."""
    with in_thread(panel):
        return init(file, "--url", panel.url, "--key-env", "PANEL_KEY", *args)


def written(file: Path) -> PanelConfig:
    [panel] = load(file, {"PANEL_KEY": KEY}).panels.values()
    return panel


def carried_out(panel: SimulatedPanel) -> list[object]:
    return [entry for entry in panel.journal.requests() if entry.carried_out]


@pytest.mark.parametrize("profile", SEEDS)
def test_what_it_finds_is_what_the_panel_can(profile: str, tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    panel = SimulatedPanel(shipped()[profile], key=KEY)
    result = asked(panel, file, "--try-cancel")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "balance 1000.00000 USD" in result.stdout
    assert written(file).profile.has == shipped()[profile].has
    assert carried_out(panel) == []
    assert {entry.action for entry in panel.journal.requests()} == READING | {"cancel"}
    assert KEY not in file.read_text() + result.stdout


@pytest.mark.parametrize("profile", SEEDS)
def test_only_reading_calls_unless_it_may_try(profile: str, tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    panel = SimulatedPanel(shipped()[profile], key=KEY)
    result = asked(panel, file)
    assert result.exit_code == 0
    assert {entry.action for entry in panel.journal.requests()} == READING
    assert written(file).profile.has == shipped()[profile].has | {"cancel"}  # is assumed
    assert "not tested: whether it can cancel" in result.stdout
    assert "# Not tested: cancel. If it can't" in file.read_text()


@pytest.mark.parametrize("profile", SEEDS)
def test_a_profile_that_is_named_is_kept(profile: str, tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    panel = SimulatedPanel(shipped()[profile], key=KEY)
    assert asked(panel, file, "--profile", profile).exit_code == 0
    config = load(file, {"PANEL_KEY": KEY})
    assert config.panels[profile].profile == shipped()[profile]
    assert not any(line.startswith(("has", "lacks")) for line in file.read_text().splitlines())
    env = {"PANEL_KEY": KEY, "STATE_DIRECTORY": None}
    checked = CliRunner().invoke(app, ("check-config", str(file)), env=env)
    assert checked.exit_code == 0


@pytest.mark.parametrize(
    "trait",
    [
        Trait.ERRORS_400,
        Trait.ERROR_CODES,
        Trait.UNKNOWN_AS_STRING,
        Trait.UNKNOWN_LEFT_OUT,
        Trait.ALL_UNKNOWN_400,
        Trait.BAD_ID_FAILS_BATCH,
        Trait.LIST_WITHOUT_IDS,
        Trait.EMPTY_LIST,
        Trait.JSON_AS_HTML,
        Trait.WRAPPED_IN_DATA,
    ],
)
@pytest.mark.parametrize("profile", ["smmgenie", "smmxz"])
def test_panels_that_deviate(profile: str, trait: Trait, tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    panel = SimulatedPanel(shipped()[profile], key=KEY, traits=[trait])
    assert asked(panel, file).exit_code == 0
    assert written(file).profile.has == shipped()[profile].has | {"cancel"}


@pytest.mark.parametrize(
    ("trait", "cause"),
    [
        (Trait.HTML_200, "a web firewall answers in the panel's place"),
        (Trait.HTML_BLOCKED, "a web firewall answers in the panel's place (HTTP 403: a page"),
        (Trait.WANTS_USER_AGENT, "give the User-Agent that it lets through (--user-agent)"),
        (Trait.HTML_503, "HTTP 503"),
        (Trait.RATE_LIMITED, "429"),
        (Trait.CLOSE_BEFORE, "the connection broke: the server closed the connection without an"),
        (Trait.WANTS_HEADER, "it refuses every request with 'X-Panel-Token is missing': is the"),
        (Trait.WANTS_FIELD, "it refuses every request with 'The source field is required.'"),
    ],
)
def test_where_nothing_can_be_learnt_nothing_is_written(
    trait: Trait, cause: str, tmp_path: Path
) -> None:
    panel = SimulatedPanel(shipped()["standard"], key=KEY, traits=[trait])
    result = asked(panel, tmp_path / "a.toml")
    assert result.exit_code == 1
    assert cause in result.stderr
    assert "nothing was written" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_key(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["standard"], key="another")
    result = asked(panel, tmp_path / "a.toml")
    assert result.exit_code == 1
    assert result.stderr.startswith("the panel does not take this key: ")
    assert KEY not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        (("--key-env", "PANEL_KEY"), "nobody is there to ask"),
        (("--url", "http://127.0.0.1:1"), "nobody is there to ask"),
        (("--url", "http://127.0.0.1:1", "--key-env", "EMPTY_KEY"), "$EMPTY_KEY is not set"),
        (("--profile", "nonsense"), "there is no 'nonsense'"),
        (("--profile", "smmxz", "--name", "a b"), "a panel's name is letters"),
    ],
)
def test_used_wrongly_where_nobody_can_be_asked(
    args: tuple[str, ...], cause: str, tmp_path: Path
) -> None:
    result = init(tmp_path / "a.toml", *args)
    assert result.exit_code == 2
    assert cause.replace("\n", " ") in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "url", ["ftp://panel.example", "http://", "https://u:pw@x.example/", "a b"]
)
def test_a_url_is_looked_at_before_the_key_is_asked_for(url: str, tmp_path: Path) -> None:
    result = init(tmp_path / "a.toml", "--url", url)
    assert result.exit_code == 1
    assert "nothing was written" in result.stderr
    assert "http(s) URL" in result.stderr or "may hold a secret" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_http_to_another_machine_becomes_https(tmp_path: Path) -> None:
    result = init(tmp_path / "a.toml", "--url", "http://x.invalid/api/v2", "--key-env", "PANEL_KEY")
    assert result.exit_code == 1
    assert "trying https://" in result.stderr
    assert "https://x.invalid/api/v2: no connection to x.invalid: " in result.stderr


@pytest.mark.parametrize("ending", ["", "/", "/api", "/api/v2/", "/api/v1"])
def test_the_url_is_repaired(ending: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    with in_thread(panel):
        base = panel.url.removesuffix("/api/v2")
        result = init(file, "--url", base + ending, "--key-env", "PANEL_KEY")
        configured = written(file)
    assert result.exit_code == 0
    assert configured.url == (f"{base}/api/v2/" if ending == "/api/v2/" else panel.url)


@pytest.mark.parametrize("typed", ["127.0.0.1:{port}/api/v2", "https://127.0.0.1:{port}/api/v2"])
def test_the_scheme_is_repaired(typed: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    with in_thread(panel):
        url = typed.format(port=panel.url.split(":")[2].split("/")[0])
        assert init(file, "--url", url, "--key-env", "PANEL_KEY").exit_code == 0
        assert written(file).url == panel.url


def test_a_redirection_to_the_slash_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    panel = SimulatedPanel(shipped()["standard"], key=KEY, traits=[Trait.REDIRECTS_SLASH])
    assert asked(panel, file).exit_code == 0
    assert written(file).url == f"{panel.url}/"


@pytest.mark.parametrize("place", ["/login", "https://other.example/"])
def test_a_redirection_elsewhere_is_not_followed_but_the_usual_path_tried(
    place: str, tmp_path: Path
) -> None:
    with Speaking("Not found", 200, "Incorrect request", home=place) as panel:
        base = panel.url.removesuffix("/api/v2")
        result = init(tmp_path / "a.toml", "--url", base, "--key-env", "PANEL_KEY")
    assert result.exit_code == 0, result.stderr
    assert written(tmp_path / "a.toml").url == panel.url
    assert set(panel.paths) == {"/", "/api/v2"}


def test_a_panel_that_wants_json_is_found_out(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    panel = SimulatedPanel(shipped()["standard"], key=KEY, traits=[Trait.WANTS_JSON])
    result = asked(panel, file)
    configured = written(file)
    assert (result.exit_code, configured.request.body) == (0, "json")
    assert "JSON bodies are wanted there" in result.stderr


def test_a_firewall_lets_a_browsers_name_through(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    panel = SimulatedPanel(shipped()["standard"], key=KEY, traits=[Trait.WANTS_USER_AGENT])
    assert asked(panel, file, "--user-agent", "Mozilla/5.0 (X11)").exit_code == 0
    assert written(file).request.user_agent == "Mozilla/5.0 (X11)"


def test_nothing_listens(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/api/v2"
    result = init(tmp_path / "a.toml", "--url", url, "--key-env", "PANEL_KEY")
    assert result.exit_code == 1
    assert "the connection is refused: nothing listens on that port" in result.stderr


# --- what panels say in their own words ---

SAID = [
    ("Incorrect order ID", 200),
    ("Not found", 404),
    ("Đơn hàng không tồn tại", 200),
    ("Pedido não encontrado", 200),
    ("The selected order is invalid.", 422),
    ("Заказ не найден", 400),
    ("invalid", 200),
]


@pytest.mark.parametrize("unknown_action", ["Incorrect request", "Not found", "Ação inválida: {}"])
@pytest.mark.parametrize(("text", "code"), SAID)
def test_unknown_orders_in_any_words(
    text: str, code: int, unknown_action: str, tmp_path: Path
) -> None:
    with Speaking(text, code, unknown_action) as panel:
        result = init(
            tmp_path / "a.toml", "--url", panel.url, "--key-env", "PANEL_KEY", "--no-try-cancel"
        )
    assert result.exit_code == 0, result.stderr
    assert written(tmp_path / "a.toml").profile.has == shipped()["standard"].has
    assert panel.changed == []


@pytest.mark.parametrize(("text", "code"), SAID)
def test_what_it_lacks_in_any_words(text: str, code: int, tmp_path: Path) -> None:
    """It reads one order's status; `orders` and refills are as unknown as the invented action."""
    with Speaking(text, code, "Ação inválida: {}", only_one=True) as panel:
        result = init(
            tmp_path / "a.toml", "--url", panel.url, "--key-env", "PANEL_KEY", "--try-cancel"
        )
    assert result.exit_code == 0, result.stderr
    assert written(tmp_path / "a.toml").profile.has == {"add", "balance", "services", "status"}


def test_where_all_words_are_the_same_all_is_assumed(tmp_path: Path) -> None:
    with Speaking("Erreur", 200, "Erreur", only_one=True) as panel:
        result = init(tmp_path / "a.toml", "--url", panel.url, "--key-env", "PANEL_KEY")
    assert result.exit_code == 0
    assert "answers unknown orders and unknown actions alike (Erreur)" in result.stdout
    assert written(tmp_path / "a.toml").profile.has == shipped()["standard"].has


def test_a_panel_that_refuses_everything_keeps_its_words(tmp_path: Path) -> None:
    with Speaking("Chave inválida", 200, "Chave inválida", refuses=True) as panel:
        result = init(tmp_path / "a.toml", "--url", panel.url, "--key-env", "PANEL_KEY")
    assert result.exit_code == 1
    assert "it refuses every request with 'Chave inválida': is the key right" in result.stderr


class Speaking:
    """A panel of few words of its own, in a thread."""

    def __init__(
        self,
        text: str,
        code: int,
        action: str,
        *,
        only_one: bool = False,
        refuses: bool = False,
        home: str | None = None,
    ) -> None:
        self.changed: list[str] = []
        self.paths: list[str] = []
        panel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                form = {name: values[0] for name, values in fields.items()}
                status, body = panel.answer(form)
                raw = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
                panel.paths.append(self.path)
                away = home is not None and self.path == "/"
                self.send_response(302 if away else status)
                if home is not None and away:
                    self.send_header("Location", home)
                sent = raw.encode()
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *args: object) -> None:
                pass

        self._said, self._code, self._action = text, code, action
        self._only_one, self._refuses = only_one, refuses
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v2"

    def answer(self, form: dict[str, str]) -> tuple[int, object]:
        action = form.get("action", "")
        said = {"error": self._said}
        if self._refuses:
            return 200, said
        if action == "balance":
            return 200, {"balance": "1", "currency": "USD"}
        if action == "services":
            return 200, [{"service": 1, "name": "a", "rate": "1", "min": "1", "max": "2"}]
        if action == "status" and "orders" in form and not self._only_one:
            return 200, dict.fromkeys(form["orders"].split(","), said)
        if action == "refill_status" and "refills" in form and not self._only_one:
            return 200, [{"refill": int(n), "status": said} for n in form["refills"].split(",")]
        if action == "status" or (action == "refill_status" and not self._only_one):
            return self._code, said
        if action in ("add", "refill", "cancel") and not self._only_one:
            self.changed.append(action)
        return 200, {"error": self._action.format(action)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Picky(Speaking):
    """It shows a page to whoever has not the key."""

    def __init__(self) -> None:
        super().__init__("Incorrect order ID", 200, "Incorrect request")

    def answer(self, form: dict[str, str]) -> tuple[int, object]:
        return super().answer(form) if form.get("key") == KEY else (404, "<html>no</html>")


# --- one more panel ---

MINE = """# mine
[panels.a]
url = "https://example.com/api/v2"   # a remark
key_env = "A_KEY"
"""


def test_a_panel_is_added_and_all_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    file.write_bytes(MINE.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    panel = SimulatedPanel(shipped()["smmxz"], key=KEY)
    result = asked(panel, link, "--add", "--name", "b")
    assert result.exit_code == 0, result.stderr
    assert file.read_bytes().startswith(MINE.replace("\n", "\r\n").encode())
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert set(load(file, {"PANEL_KEY": KEY, "A_KEY": "k"}).panels) == {"a", "b"}
    assert "can: add, balance" in result.stdout
    assert "after a reload" in result.stdout


@pytest.mark.parametrize(
    ("text", "args", "cause"),
    [
        (MINE, ("--name", "a"), "has a panel 'a' already: give this one another name"),
        (MINE + "[panels", ("--name", "b"), "correct it first"),
        ("\ufeff" + MINE, ("--name", "b"), "correct it first"),
        ("[[panels]]\na = 1\n", ("--name", "b"), "no [panels.<name>] can be added"),
        ('panels = {a = {profile = "smmxz"}}', ("--name", "b"), "Cannot"),
        (None, ("--name", "b"), "No such file"),
    ],
)
def test_a_file_that_a_panel_can_not_be_added_to(
    text: str | None, args: tuple[str, ...], cause: str, tmp_path: Path
) -> None:
    file = tmp_path / "watcher.toml"
    if text is not None:
        file.write_text(text)
    panel = SimulatedPanel(shipped()["smmxz"], key=KEY)
    result = asked(panel, file, "--add", *args)
    assert result.exit_code == 1
    assert cause in result.stderr
    assert not file.exists() if text is None else file.read_text() == text


def test_a_file_whose_other_keys_are_out_of_reach_can_be_added_to(tmp_path: Path) -> None:
    """The daemon's credentials are not a shell's; what was wrong before is no fault of this."""
    file = tmp_path / "watcher.toml"
    file.write_text(MINE)
    panel = SimulatedPanel(shipped()["smmxz"], key=KEY)
    result = asked(panel, file, "--add", "--name", "b")
    assert result.exit_code == 0
    assert "had this problem before: panels.a.key_env: no key: set $A_KEY" in result.stderr
    assert file.read_text().startswith(MINE)


def test_without_a_key_variable_the_name_of_the_key_file_has_to_be_free(tmp_path: Path) -> None:
    (tmp_path / "x.key").write_text("of another")
    result = init(tmp_path / "a.toml", "--url", "http://127.0.0.1:1/", "--name", "x")
    assert result.exit_code == 1
    assert "x.key is there already" in result.stderr


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    file.write_text("mine")
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    with in_thread(panel):
        args = ("--url", panel.url, "--key-env", "PANEL_KEY")
        assert init(file, *args).exit_code == 1
        assert (file.read_text(), panel.journal.requests()) == ("mine", [])
        assert init(file, *args, "--force").exit_code == 0
    assert "[panels." in file.read_text()


def test_a_known_url_tells_the_profile_and_the_name(tmp_path: Path) -> None:
    from watcher.cli import init_questions as module

    options = module.Options(
        file=tmp_path / "a.toml",
        before=None,
        profile=None,
        name=None,
        key_env="PANEL_KEY",
        user_agent=None,
        force=False,
    )
    choice = module.choose("https://my.smmxz.com/api/v2", None, options)
    assert (choice.name, choice.profile.name, choice.is_guess) == ("smmxz", "smmxz", False)
    other = module.choose("https://www.best-panel.example/api/v2", None, options)
    assert (other.name, other.profile.name, other.is_guess) == ("best-panel", "standard", True)


def test_somebody_answers_the_questions(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["smmxz"], key=KEY)
    with in_thread(panel):
        terminal = Terminal(tmp_path)
        terminal.answer("API URL", panel.url)
        terminal.answer("API key", KEY, hidden=True)
        terminal.answer("can cancel", "y")
        assert terminal.end() == 0, terminal.told
    assert KEY not in terminal.told
    key_file = tmp_path / "panel.key"
    assert key_file.read_text() == f"{KEY}\n"
    assert key_file.stat().st_mode & 0o777 == 0o600
    file = tmp_path / "watcher.toml"
    assert KEY not in file.read_text()
    [configured] = load(file, {}).panels.values()
    assert configured.key.reveal() == KEY
    assert configured.profile.has == shipped()["smmxz"].has
    assert carried_out(panel) == []


def test_only_what_was_wrong_is_asked_again(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    with in_thread(panel):
        terminal = Terminal(tmp_path, "--name", "p")
        terminal.answer("API URL, or one of", "ftp://x")
        terminal.answer("API URL: ", f"http://127.0.0.1:{free_port()}/api/v2")
        terminal.answer("nothing listens on that port", panel.url)
        terminal.answer("API key", "a-wrong-key-of-nobody", hidden=True)
        terminal.answer("does not take this key", "two words", hidden=True)
        terminal.answer("a key has no blanks in it", f"'{KEY}'\r", hidden=True)
        terminal.answer("can cancel", "")
        assert terminal.end() == 0, terminal.told
    assert "can: " in terminal.told
    assert terminal.told.count("The API key") == 3
    assert "the quotes around the key are left out" in terminal.told
    [configured] = load(tmp_path / "watcher.toml", {}).panels.values()
    assert (configured.url, configured.key.reveal()) == (panel.url, KEY)
    assert configured.profile.can("cancel")
    assert "cancel" not in {entry.action for entry in panel.journal.requests()}


def test_the_panel_is_found_before_its_key_is_asked_for(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    with in_thread(panel):
        base = panel.url.removesuffix("/api/v2").replace("http://", "https://")
        terminal = Terminal(tmp_path, "--name", "p", "--no-try-cancel")
        terminal.answer("API URL", base)
        terminal.answer("API key", KEY, hidden=True)
        before = terminal.told
        assert terminal.end() == 0, terminal.told
    assert f"the panel answers at {panel.url}" in before
    assert [entry.action for entry in panel.journal.requests()].count("balance") == 2
    assert written(tmp_path / "watcher.toml").url == panel.url


def test_somebody_may_insist_on_a_url(tmp_path: Path) -> None:
    """Some panels answer a wrong key with a page: only the right one tells."""
    with Picky() as panel:
        terminal = Terminal(tmp_path, "--name", "p", "--no-try-cancel")
        terminal.answer("API URL", panel.url)
        terminal.answer("is this its API's URL, with its path?", "")
        terminal.answer("API key", KEY, hidden=True)
        assert terminal.end() == 0, terminal.told


def test_a_name_that_is_taken_is_asked_for_again(tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    file.write_text(MINE)
    (tmp_path / "b.key").write_text("of another")
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    with in_thread(panel):
        terminal = Terminal(tmp_path, "--add", "--name", "a", "--url", panel.url)
        terminal.answer("has a panel 'a' already", "b")
        terminal.answer("b.key is there already", "c d")
        terminal.answer("a panel's name is letters", "c")
        terminal.answer("API key", KEY, hidden=True)
        terminal.answer("can cancel", "")
        assert terminal.end() == 0, terminal.told
    assert set(load(file, {"A_KEY": "k"}).panels) == {"a", "c"}
    assert "next: watcher reload" in terminal.told


def test_http_to_another_machine_is_taken_only_if_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watcher.cli import init_questions as module
    from watcher.cli import init_search

    options = module.Options(
        file=tmp_path / "a.toml", before=None, profile=None, name="p", key_env=None,
        user_agent=None, force=False,
    )  # fmt: skip
    typed = "http://panel.example/api/v2"
    choice = module.choose(typed.replace("http:", "https:"), None, options)

    async def answers(tried: Choice) -> Choice:
        return tried

    for wanted in (True, False):
        monkeypatch.setattr(init_search, "reach", answers)
        monkeypatch.setattr(module.typer, "confirm", lambda *question, **how: wanted)  # noqa: B023
        plain = module._over_http(choice, typed)
        assert (plain is not None) is wanted
    plain = msgspec.structs.replace(choice, url=typed, allow_http=True)
    assert "allow_http = true" in panel_text(plain, None)
    assert module._over_http(choice, choice.url) is None
    assert module._over_http(choice, "http://127.0.0.1/api/v2") is None
    assert module._over_http(plain, typed) is None
