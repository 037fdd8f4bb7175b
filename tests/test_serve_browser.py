"""The terminal UI in a real browser: `structrag serve`, headless Chromium, and what travels between the two."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from structrag import StructRAG
from structrag.models.embedding import Embedder

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(os.name == "nt", reason="textual-serve needs a POSIX terminal"),
]
QUESTION = "Which company sold the most ladders?"
_PATIENCE = 60
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


class Tab:
    """A tab of the browser, driven by its DevTools protocol."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._shown = ""

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give an order and return its result; what the page receives in the meantime is kept."""
        number = next(self._numbers)
        await self._connection.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._next()
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])

    async def click(self, x: int, y: int) -> None:
        """Click on a place in the page, which gives it the keyboard."""
        for type_ in ("mousePressed", "mouseReleased"):
            await self.do("Input.dispatchMouseEvent", type=type_, x=x, y=y, button="left", clickCount=1)

    async def press(self, text: str) -> None:
        """Press the keys of a text; a line's end is Enter."""
        for character in text:
            key = {"key": character} if character != "\r" else {"key": "Enter", "windowsVirtualKeyCode": 13}
            await self.do("Input.dispatchKeyEvent", type="keyDown", text=character, **key)
            await self.do("Input.dispatchKeyEvent", type="keyUp", **key)

    async def sees(self, words: str) -> str:
        """Wait until the terminal in the page was sent these words, and return all that it was sent."""
        while words not in self._shown:
            await self._next()
        return self._shown

    async def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = await asyncio.wait_for(self._connection.receive_json(), _PATIENCE)
        if message.get("method") == "Network.webSocketFrameReceived":
            response = message["params"]["response"]
            data = response["payloadData"]
            text = data if response["opcode"] == 1 else base64.b64decode(data).decode("utf-8", "replace")
            self._shown += _ESCAPES.sub("", text)
        return message


@asynccontextmanager
async def browser_tab(folder: Path) -> AsyncIterator[Tab]:
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1280,800"]
    started = [str(CHROMIUM), *options, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    process = await asyncio.create_subprocess_exec(*started, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with aiohttp.ClientSession() as client:
            async with asyncio.timeout(_PATIENCE):
                while not (found := re.search(rb"ws://127\.0\.0\.1:(\d+)/", await process.stderr.readline())):
                    pass
            async with client.get(f"http://127.0.0.1:{int(found[1])}/json/list") as reply:
                page = next(tab for tab in await reply.json() if tab["type"] == "page")
            async with client.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as connection:
                yield Tab(connection)
    finally:
        process.kill()
        await process.wait()


@contextmanager
def served(corpus: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [sys.executable, "-m", "structrag", "--corpus", str(corpus), "serve", "--port", str(port)]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


async def answers(url: str) -> None:
    """Wait until the server answers."""
    async with aiohttp.ClientSession() as client, asyncio.timeout(_PATIENCE):
        while True:
            try:
                async with client.get(url) as reply:
                    assert reply.status == 200
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.1)


async def test_a_question_is_asked_and_its_route_seen(
    tmp_path: Path, embedder: Embedder, request: pytest.FixtureRequest
) -> None:
    corpus = tmp_path / "corpus"
    (tmp_path / "alder.md").write_text("# Alder report\n\nAlder sold 412 ladders.\n", encoding="utf-8")
    with StructRAG.open(corpus, embedder=embedder) as rag:
        rag.add([tmp_path / "alder.md"])
    # Nobody listens there: the route comes before the model is needed.
    settings = '[models]\nbase_url = "http://127.0.0.1:9/v1"\nretries = 0\n'
    (corpus / "structrag.toml").write_text(settings, encoding="utf-8")
    with served(corpus) as url:
        await answers(url)
        async with browser_tab(tmp_path / "browser") as tab:
            await tab.do("Network.enable")
            await tab.do("Page.enable")
            await tab.do("Page.navigate", url=url)
            await tab.sees("is open")
            await tab.click(640, 70)
            await tab.press(f"{QUESTION}\r")
            shown = await tab.sees("Chosen")
            assert re.search(r"Chosen +(?:table|graph|algorithm|catalogue|chunk) \(\d+%\)", shown)
            picture = await tab.do("Page.captureScreenshot", format="png")
    artefacts = request.config.rootpath / "build"
    artefacts.mkdir(exist_ok=True)
    (artefacts / "browser.png").write_bytes(base64.b64decode(picture["data"]))
