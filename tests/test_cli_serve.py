"""The command that shows the terminal UI in a browser; the package that serves is replaced by one that listens to nobody."""

from __future__ import annotations

import asyncio
import io
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from structrag.cli.app import build
from structrag.cli.serve import allowed_origins, command, is_loopback, is_wildcard
from structrag.cli.start import start_ui

SERVER = """
SERVED = []

class Server:
    def __init__(self, command, host="localhost", port=8000, title=None, public_url=None):
        self.given = {"command": command, "host": host, "port": port, "title": title, "public_url": public_url}

    async def handle_websocket(self, request):
        return "connected"

    def serve(self, debug=False):
        SERVED.append(self)
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A package `textual_serve` that only takes note."""
    package = tmp_path / "site" / "textual_serve"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "server.py").write_text(SERVER, encoding="utf-8")
    monkeypatch.syspath_prepend(str(package.parent))
    for name in ("textual_serve", "textual_serve.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from textual_serve import server

    kept: list[Any] = server.SERVED
    return kept


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build(), ["serve", *arguments])


def test_it_serves_this_machine_alone_unless_told(served: list[Any], tmp_path: Path) -> None:
    result = run("--corpus", str(tmp_path / "my corpus; rm -rf"))
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "http://127.0.0.1:8000" in result.stderr
    assert "WARNING" not in result.stderr
    [server] = served
    assert {name: server.given[name] for name in ("host", "port", "public_url", "title")} == {
        "host": "127.0.0.1",
        "port": 8000,
        "public_url": "http://127.0.0.1:8000",
        "title": "StructRAG",
    }
    # A shell splits the command into just these words, whatever the folder is called.
    words = [sys.executable, "-m", "structrag", "--corpus", str(tmp_path / "my corpus; rm -rf")]
    assert shlex.split(server.given["command"]) == words


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        (("--host", "192.168.0.7", "--port", "9000"), "http://192.168.0.7:9000"),
        (("--host", "0.0.0.0", "--public-url", "https://x.example/"), "https://x.example"),
    ],
)
def test_other_machines_are_let_in_with_a_warning(served: list[Any], arguments: tuple[str, ...], url: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith(f"WARNING: {arguments[1]} can be reached from other machines.")
    assert "There is no password" in result.stderr
    assert served[0].given["public_url"] == url


def test_a_public_url_is_warned_of_where_only_a_proxy_connects(served: list[Any]) -> None:
    result = run("--public-url", "https://x.example")
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("WARNING: x.example can be reached from other machines.")
    assert "WARNING" not in run("--public-url", "http://localhost:9000").stderr


@pytest.mark.parametrize("url", ["x.example", "ftp://x.example", "http://[", "http://x.example:port", "http://"])
def test_what_is_no_url_for_browsers_is_refused(served: list[Any], url: str) -> None:
    result = run("--public-url", url)
    assert result.exit_code == 2
    assert "no URL that browsers can be sent to" in result.stderr
    assert served == []


def test_a_port_in_use_is_told_with_what_to_do(served: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from textual_serve import server

    def serve(self: Any, debug: bool = False) -> None:
        raise OSError(98, "address already in use")

    monkeypatch.setattr(server.Server, "serve", serve)
    result = run("--port", "9000")
    assert result.exit_code == 2
    assert "Nothing can listen at 127.0.0.1, port 9000: address already in use." in result.stderr
    assert "--port 9001" in result.stderr


def test_all_addresses_need_a_url_for_browsers(served: list[Any]) -> None:
    result = run("--host", "0.0.0.0")
    assert result.exit_code == 2
    assert "--public-url" in result.stderr
    assert served == []


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    monkeypatch.setattr("structrag.cli.serve.find_spec", lambda name: None)
    result = run()
    assert result.exit_code == 2
    assert "'textual_serve', which is not installed" in result.stderr
    assert "pip install 'structrag[serve]'" in result.stderr


@dataclass
class Request:
    """As much of a request as is looked at."""

    headers: Mapping[str, str]


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        (None, True),  # no browser: what runs on this machine can do this anyway
        ("http://localhost:9999", False),
        ("https://evil.example", False),
        ("http://evil.example:8000", False),  # a name that was made to point to this machine
        ("null", False),
    ],
)
def test_pages_of_other_sites_may_not_connect(served: list[Any], origin: str | None, is_let_in: bool) -> None:
    run()
    connecting = served[0].handle_websocket(Request({"Origin": origin} if origin else {}))
    if is_let_in:
        assert asyncio.run(connecting) == "connected"
    else:
        with pytest.raises(web.HTTPForbidden, match="Forbidden"):
            asyncio.run(connecting)


def test_origins_are_those_of_the_url_and_of_this_machine() -> None:
    assert allowed_origins("192.168.0.7", 9000, "https://x.example/tui") == {"https://x.example"}
    assert allowed_origins("192.168.0.7", 9000, "HTTPS://X.Example:443/tui") == {"https://x.example"}
    assert allowed_origins("192.168.0.7", 9000, "http://X.example:443") == {"http://x.example:443"}
    assert "http://localhost" in allowed_origins("127.0.0.1", 80, "http://127.0.0.1")
    assert "http://[::1]:8000" in allowed_origins("::1", 8000, "http://[::1]:8000")


@pytest.mark.parametrize(
    ("host", "loopback", "wildcard"),
    [
        ("127.0.0.1", True, False),
        ("127.8.0.1", True, False),
        ("::1", True, False),
        ("localhost", True, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("", False, True),
        ("localhost.evil.example", False, False),
        ("192.168.0.7", False, False),
    ],
)
def test_addresses_are_told_apart(host: str, loopback: bool, wildcard: bool) -> None:
    assert (is_loopback(host), is_wildcard(host)) == (loopback, wildcard)


@pytest.mark.skipif(os.name == "nt", reason="the quoting of a POSIX shell")
def test_the_command_holds_the_folder_as_one_word(tmp_path: Path) -> None:
    odd = tmp_path / "it's $HOME `x`"
    assert shlex.split(command(odd))[-1] == str(odd)


def test_the_ui_starts_without_a_terminal_when_it_is_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[Path] = []
    monkeypatch.setattr("structrag.tui.run", started.append)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.web_driver:WebDriver")
    start_ui(tmp_path)
    assert started == [tmp_path]
