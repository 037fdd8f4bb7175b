"""What this process once held in memory is in no file of the index."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from structrag.index.chroma import VectorIndex

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc only")
HELD = b"held in memory"


class Vectors:
    name = "vectors"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), 64), 0.5, dtype=np.float32)


def hold_and_free() -> list[bytearray]:
    """Leave holes in the heap that are full of old text; what is returned keeps them apart."""
    held = [bytearray(HELD * (size // len(HELD))) for _ in range(20) for size in range(1_000, 120_000, 900)]
    return held[::2]


def test_an_index_writes_no_memory_that_it_has_not_filled(tmp_path: Path) -> None:
    found = 0
    for number in range(8):
        folder = tmp_path / str(number)
        with VectorIndex(folder, Vectors()) as index:
            apart = hold_and_free()
            # Chroma works in threads, which have heaps of their own.
            threads = [threading.Thread(target=hold_and_free) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            index.add([1, 2], ["a", "b"], ["x", "y"])
            index.search("x", 1)
            index.add([3], ["a"], ["z"])
            index.search("x", 1)
            del apart
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert any(path.name == "data_level0.bin" for path in files)
        found += sum(path.read_bytes().count(HELD) for path in files)
    assert found == 0
