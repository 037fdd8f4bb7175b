"""The command line from outside: exit codes that need no model, what a process of it imports, and how long that takes."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from structrag.cli.app import build

HEAVY = {
    "bm25s",
    "chromadb",
    "duckdb",
    "langchain",
    "langchain_core",
    "networkx",
    "numpy",
    "pydantic",
    "rich",
    "sentence_transformers",
    "textual",
    "torch",
    "transformers",
    "trl",
}
MEASURE = """
import sys, time
{statement}
print(time.process_time())
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("STRUCTRAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build(), arguments)


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, which costs a second."""
    return subprocess.run(
        [sys.executable, "-m", "structrag", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def measure(statement: str, cwd: Path) -> tuple[float, set[str]]:
    """Return the least CPU seconds of some processes (wall time says more about their neighbours) and the imports."""
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE.format(statement=statement)],
            cwd=cwd,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=60,
        )
        *_, spent, modules = done.stdout.strip().split("\n")
        seconds.append(float(spent))
    return min(seconds), set(modules.split())


def test_help_is_fast_and_imports_nothing_heavy(tmp_path: Path) -> None:
    statement = "from structrag.cli.app import build\ntry: build()(['--help'])\nexcept SystemExit as done: assert done.code == 0\n"
    seconds, modules = measure(statement, tmp_path)
    assert not modules & HEAVY
    assert seconds < 0.5


def test_the_ui_is_started_without_importing_the_commands(tmp_path: Path) -> None:
    # Here it only complains that there is no terminal.
    statement = (
        "from structrag.cli import main\nsys.argv = ['structrag']\n"
        "try: main()\nexcept SystemExit as done: assert done.code == 2\n"
    )
    seconds, modules = measure(statement, tmp_path)
    assert not modules & {*HEAVY, "typer"}
    assert seconds < 0.3


def test_version_and_help_go_to_stdout() -> None:
    shown = process("--version")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"{version('structrag')}\n", "")
    helped = run("--help")
    assert helped.exit_code == 0
    assert helped.stdout.startswith("Usage: structrag ")
    for command in ("demo", "add", "ls", "rm", "ask", "route", "doctor", "models", "config"):
        assert f"\n  {command} " in helped.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ask", "x", "--structure", "spreadsheet"], "'spreadsheet' is not one of 'table', 'graph'"),
        (["ask", "x"], "There is no corpus at my-corpus."),
        (["ask"], "Missing argument"),
        (["lss"], "Did you mean 'ls'?"),
        (["route"], "Give either a question or --batch"),
        (["route", "x", "--batch", "y.jsonl"], "Give either a question or --batch"),
        (["route", "--batch", "missing.jsonl"], "missing.jsonl cannot be read: No such file"),
        (["config", "show", "--model", "a", "--corpus", "a-file"], "is a file"),
        ([], "The terminal UI needs a terminal."),
    ],
)
def test_bad_input_ends_with_2_and_says_why_on_stderr(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    done = run(*arguments)
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    assert done.stdout == ""
    assert complaint in " ".join(done.stderr.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-file"], "a failed command leaves nothing behind"


def test_a_process_with_bad_input_ends_with_2_and_without_a_traceback() -> None:
    done = process("ask", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: There is no corpus at my-corpus.\n")
    assert "Traceback" not in done.stderr


def test_unknown_setting_names_its_source_and_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRUCTRAG_MODELS__CHATT", "x")
    done = run("config", "show")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "Error: environment: there is no setting models.chatt.\nDid you mean models.chat?\n"


def test_config_show_says_where_each_value_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "structrag.toml").write_text("[retrieval]\npassages = 7\n", encoding="utf-8")
    monkeypatch.setenv("STRUCTRAG_BUDGET__CALLS", "9")
    monkeypatch.setenv("STRUCTRAG_CORPUS", str(corpus))
    done = run("config", "show", "--json", "--model", "ollama:qwen3")
    assert done.exit_code == 0
    settings = {line["key"]: (line["value"], line["source"]) for line in map(json.loads, done.stdout.splitlines())}
    assert settings["models.chat"] == ("ollama:qwen3", "flag")
    assert settings["budget.calls"] == ("9", "environment")
    assert settings["retrieval.passages"] == ("7", str(corpus / "structrag.toml"))
    assert settings["retrieval.overlap"] == ("80", "default")


def test_config_show_for_people_keeps_stdout_to_the_settings() -> None:
    done = run("config", "show")
    assert all(line.endswith("default") for line in done.stdout.splitlines())
    assert "structrag.toml" in done.stderr


@pytest.mark.parametrize("place", ["before", "after"])
def test_corpus_option_may_stand_before_or_after_the_command(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRUCTRAG_CORPUS", "not-this-one")
    option = ["--corpus", "elsewhere"]
    done = run(*([*option, "ls"] if place == "before" else ["ls", *option]))
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: There is no corpus at elsewhere.\n")


def test_models_of_an_empty_cache_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRUCTRAG_MODELS__CACHE", str(tmp_path / "cache"))
    record = json.loads(run("models", "--json").stdout)
    assert record["status"] == "missing"
    assert record["file"].startswith(str(tmp_path / "cache"))
    assert record["how_to_get"]
    shown = run("models").stdout
    assert shown.startswith(f"{record['name']}  missing\n")
    assert record["how_to_get"] in shown


def test_a_file_whose_hash_was_never_checked_is_not_called_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRUCTRAG_MODELS__CACHE", str(tmp_path))
    file = Path(json.loads(run("models", "--json").stdout)["file"])
    file.write_bytes(b"not the weights")
    assert json.loads(run("models", "--json").stdout)["status"] == "unverified"


@pytest.mark.skipif(os.name == "nt", reason="Windows reports a closed pipe as another error")
@pytest.mark.parametrize("arguments", [["config", "show"], ["config", "show", "--json"]])
def test_a_reader_that_has_seen_enough_is_no_error(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "structrag", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=120,
        )
    finally:
        os.close(writer)
    assert done.returncode == 0
    assert "Error" not in done.stderr
