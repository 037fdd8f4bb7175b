"""The embedded chat model: llama.cpp in a process of its own, on a loopback port, as an OpenAI-compatible endpoint.

In a process of its own, as loading the weights stops all threads of the process that does it for many seconds.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from structrag.errors import MissingExtraError, ModelError

_lock = threading.Lock()
_servers: dict[Path, tuple[subprocess.Popen[bytes], str]] = {}


def serve(weights: Path) -> str:
    """Start the server for these weights, once per process, and return its base URL.

    The server listens on 127.0.0.1 on a free port and ends with this process. One that has died is started anew.

    Raises:
        MissingExtraError: xllamacpp is not installed.
        ModelError: llama.cpp cannot load the file.
    """
    with _lock:
        if weights not in _servers or _servers[weights][0].poll() is not None:
            _servers[weights] = _start(weights)
        return f"{_servers[weights][1]}/v1"


def _start(weights: Path) -> tuple[subprocess.Popen[bytes], str]:
    if find_spec("xllamacpp") is None:
        raise MissingExtraError("xllamacpp", extra="local", purpose="The embedded chat model")
    # What is importable here is to be importable there, however this process came by it. Idle OpenMP threads must
    # sleep, not spin: the embedder and the user's other programs need the cores.
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [sys.executable, "-m", "structrag.models.llama", os.fspath(weights)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONPATH": paths},
        # Ctrl+C is for this process, which ends the other one.
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
    except BaseException:
        _stop(process)
        raise
    told = json.loads(line) if line.endswith(b"\n") else {"error": "its process has ended"}
    if "error" in told:
        _stop(process)
        raise ModelError(
            f"llama.cpp cannot load {weights}: {told['error']}",
            hint="Run `structrag doctor`; about 3 GB of free memory are needed.",
        )
    atexit.register(_stop, process)
    return process, str(told["address"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with process:  # waits for its end and closes the pipes
        pass
