"""The process that `serve` starts: llama.cpp on a loopback port, until its input ends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from structrag.models.processors import allowed_processors

SLOTS = 4
"""Requests answered in parallel; on two cores four give 1.7 to 2 times the output of one."""
CONTEXT_TOKENS = 4096
"""For each slot."""


def main() -> None:
    """Load the weights named by the first argument, tell the address or the error in a line of JSON, and serve."""
    end_with_input()
    # What llama.cpp prints must not get into that line.
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    try:
        server = _load(Path(sys.argv[1]))
    except (RuntimeError, ValueError) as error:
        told.write(json.dumps({"error": str(error)}) + "\n")
        told.flush()
        return
    told.write(json.dumps({"address": server.listening_address}) + "\n")
    told.flush()
    # The input ends when the process that started this one does, however that ends.
    sys.stdin.buffer.read()


def end_with_input() -> None:
    """Have the kernel end this process when its input ends, so also while llama.cpp loads and no Python runs.

    Only Linux does; elsewhere the process ends when it has loaded.
    """
    if sys.platform == "linux":
        import fcntl

        # SIGIO, which ends a process that does not handle it, is sent when the last writer of the pipe is gone.
        fcntl.fcntl(sys.stdin, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sys.stdin, fcntl.F_SETFL, fcntl.fcntl(sys.stdin, fcntl.F_GETFL) | os.O_ASYNC)


def _load(weights: Path) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT_TOKENS * SLOTS
    params.n_gpu_layers = 0
    params.ui = False
    params.verbosity = 0
    params.cont_batching = True
    params.cache_prompt = True
    if (allowed := allowed_processors()) < (os.cpu_count() or 1):
        # llama.cpp counts those of the machine, and its threads wait for each other by spinning.
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = allowed
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
    # Not through the interpreter's end: the server's threads need not be waited for.
    os._exit(0)
