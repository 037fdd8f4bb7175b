"""What ``import structrag`` costs, and what it offers."""

import importlib
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import structrag
from structrag.types import Answer

MEASURED = """
import sys, time
started = time.process_time()
import structrag
print(time.process_time() - started)
print(*sys.modules)
"""
HEAVY = {"bm25s", "chromadb", "duckdb", "langchain", "langchain_core", "networkx", "numpy", "pydantic", "rich"}
HEAVY |= {"sentence_transformers", "sqlglot", "textual", "torch", "transformers", "trl"}


def run(code: str, cwd: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,  # the project's folder would put its raw packages first
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )
    return done.stdout.splitlines()


def test_importing_takes_less_than_a_fifth_of_a_second_and_loads_nothing_heavy(tmp_path: Path) -> None:
    runs = [run(MEASURED, tmp_path) for _ in range(3)]
    # Processor time, as the wall clock says more about what else the machine does.
    assert statistics.median(float(seconds) for seconds, _ in runs) < 0.2
    loaded = {name.partition(".")[0] for name in runs[0][1].split()}
    assert loaded & HEAVY == set()
    assert "structrag" in loaded


@pytest.mark.parametrize(
    "module",
    ["corpora", "models.chat", "models.embedding", "models.server", "models.weights", "router", "session", "types"],
)
def test_these_modules_load_no_library_that_is_heavy(tmp_path: Path, module: str) -> None:
    [loaded] = run(f"import sys, structrag.{module}; print(*sys.modules)", tmp_path)
    assert {name.partition(".")[0] for name in loaded.split()} & HEAVY == set()


def test_every_exported_name_resolves_and_every_name_that_resolves_is_exported() -> None:
    assert sorted(structrag.__all__) == dir(structrag)
    for name in structrag.__all__:
        assert getattr(structrag, name) is not None
    assert set(structrag._HOMES) | {"__version__"} == set(structrag.__all__)
    assert structrag.Answer is Answer


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        structrag.Nonsense  # noqa: B018


def test_the_parts_in_folders_of_their_own_are_importable_below_structrag() -> None:
    for name in ("router", "structures", "tui", "corpora"):
        module = importlib.import_module(f"structrag.{name}")
        assert module.__name__ == f"structrag.{name}"
