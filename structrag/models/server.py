"""The embedded chat model: llama.cpp in this process, on a loopback port, as an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from structrag.errors import MissingExtraError, ModelError

SLOTS = 4
"""Requests answered in parallel; on two cores four give 1.7 to 2 times the output of one."""
CONTEXT_TOKENS = 4096
"""For each slot."""

_lock = threading.Lock()
_servers: dict[Path, Any] = {}


def serve(weights: Path) -> str:
    """Start the server for these weights, once per process, and return its base URL.

    The server listens on 127.0.0.1 on a free port and ends with the process.

    Raises:
        MissingExtraError: xllamacpp is not installed.
        ModelError: llama.cpp cannot load the file.
    """
    with _lock:
        if weights not in _servers:
            _servers[weights] = _start(weights)
        return f"{_servers[weights].listening_address}/v1"


def _start(weights: Path) -> Any:
    # Idle OpenMP threads must sleep, not spin: the embedder and the user's other programs need the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtraError("xllamacpp", extra="local", purpose="The embedded chat model") from error
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
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"llama.cpp cannot load {weights}: {error}",
            hint="Run `structrag doctor`; about 3 GB of free memory are needed.",
        ) from error
