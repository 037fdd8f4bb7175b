"""Runs one tool: reads requests as lines of JSON and replies with such lines.

    python -m peers.worker TOOL FOLDER

``{"do": "start"}`` loads the tool, ``{"do": "index"}`` takes up the documents of ``FOLDER/documents.jsonl``, and
``{"do": "ask", "question", "scope"}`` answers a question. The endpoint, the model's name and its context come from the
environment.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from peers.protocol import Place, Tool
from peers.tools import TOOLS
from structrag.evaluation.data import read_documents

if TYPE_CHECKING:
    from langchain_core.documents import Document

ENDPOINT, MODEL, CONTEXT = "PEERS_ENDPOINT", "PEERS_MODEL", "PEERS_CONTEXT"
DOCUMENTS = "documents.jsonl"


def main() -> None:
    """Serve requests until the input ends."""
    # What tools print must not get among the replies.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    name, folder = sys.argv[1], Path(sys.argv[2])
    documents = read_documents(folder / DOCUMENTS)
    place = Place(folder / name, documents, os.environ[ENDPOINT], os.environ[MODEL], int(os.environ[CONTEXT]))
    place.folder.mkdir(parents=True, exist_ok=True)
    tool: Tool | None = None
    for line in sys.stdin:
        try:
            tool = tool or TOOLS[name].make(place)
            _write(replies, _reply(tool, json.loads(line), documents, replies))
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is a line of the report
            import traceback

            traceback.print_exc()
            _write(replies, {"error": f"{type(error).__name__}: {error}"})


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: a tool at work would not see its input end."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _reply(tool: Tool, request: Mapping[str, Any], documents: Sequence[Document], replies: IO[str]) -> dict[str, Any]:
    if request["do"] == "start":
        return {}
    if request["do"] == "index":
        problem = tool.index(lambda done: _write(replies, {"progress": {"documents": done}}))
        return {"problem": problem}
    scope = request["scope"]
    asked_over = None if scope is None else [d for d in documents if d.id in set(scope)]
    said = tool.ask(request["question"], asked_over)
    return {"text": said.text, "values": list(said.values), "notes": list(said.notes)}


def _write(replies: IO[str], row: Mapping[str, Any]) -> None:
    replies.write(json.dumps(row) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
    # Threads that a tool left need not be waited for.
    os._exit(0)
