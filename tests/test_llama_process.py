"""The process of the embedded chat model ends with the one that started it, whatever it is at."""

from __future__ import annotations

import subprocess
import sys

import pytest

# As llama.cpp does while it loads: nothing of Python runs meanwhile, as the lock of the interpreter is held.
LOADING = """
import ctypes
from structrag.models.llama import end_with_input
end_with_input()
print("loading", flush=True)
ctypes.PyDLL(None).sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when it has loaded")
def test_it_ends_at_once_while_it_loads() -> None:
    with subprocess.Popen([sys.executable, "-c", LOADING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"loading\n"
        process.stdin.close()
        assert process.wait(30) != 0
