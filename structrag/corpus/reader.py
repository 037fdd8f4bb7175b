"""The process that `BoundedReader` starts: files in on standard input, documents out on standard output."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from structrag.corpus.loaders import load_bytes
from structrag.errors import DocumentError, MissingExtraError


def main() -> None:
    """Reply to each request, a line of JSON with the bytes after it, by a line of JSON; end with the input."""
    # What parsers print must not get between the replies.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        data = sys.stdin.buffer.read(request["size"])
        _limit(request["cpu"], request["memory"])
        replies.write(json.dumps(_reply(data, Path(request["path"]), request["id"])).encode() + b"\n")
        replies.flush()


def _reply(data: bytes, path: Path, document_id: str) -> dict[str, Any]:
    try:
        document = asdict(load_bytes(data, path, document_id))
    except (DocumentError, MissingExtraError) as error:
        return {"error": error.message, "hint": error.hint}
    document["locators"] = [(each["start"], each["end"], each["label"]) for each in document["locators"]]
    return {"document": document}


def _limit(cpu_seconds: int, memory: int) -> None:
    """Let the system end this process when it takes more for the next file; some systems have no such limits."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds, most))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except ValueError:  # macOS sets none
        return


if __name__ == "__main__":
    main()
