"""The commands on the router: versions made without training, on a corpus whose chat model is scripted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from structrag.cli.app import build
from structrag.models.weights import Progress
from structrag.pipeline import StructRAG
from structrag.router import FixedRouter, RoutingRequest, questions, versions
from structrag.router.preferences import PreferencePair, read_preferences, write_preferences
from structrag.router.questions import LabelledQuestion, ShippedQuestions
from structrag.router.versions import VersionStore
from structrag.testing import scripted
from structrag.types import Answer, Route, StructureType
from structrag.usage import Usage

TABLE, GRAPH, CHUNK = StructureType.TABLE, StructureType.GRAPH, StructureType.CHUNK
WriteRouter = Callable[..., Path]
OPTIONS = ["--corpus", "corpus"]


class FlatEmbedder:
    """Finds all texts alike, so that no test waits for a real model."""

    name = "flat"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), 4), 0.5, dtype=np.float32)


def open_corpus(
    folder: Path, *, settings: Mapping[str, Any] | None = None, progress: Progress = lambda *_: None
) -> StructRAG:
    return StructRAG.open(
        folder,
        settings=settings,
        progress=progress,
        chat=scripted({})[0],
        router=FixedRouter(CHUNK),
        embedder=FlatEmbedder(),
    )


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build(open_corpus), ["router", *map(str, arguments)])


def refused(result: Result, *told: str, code: int = 2) -> None:
    """Assert that a command ended with an error that tells all this, and gave out no data."""
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.count("Error: ") == 1
    for part in told:
        assert part in result.stderr


def json_lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "routers"


@pytest.fixture(autouse=True)
def _surroundings(
    tmp_path: Path, home: Path, router_cache: Path, write_router: WriteRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions and graphs in folders of the test's own, and a router of our own in the place of the package's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STRUCTRAG_CORPUS", raising=False)
    monkeypatch.setenv("STRUCTRAG_ROUTER__VERSIONS", str(home))
    monkeypatch.setenv("STRUCTRAG_MODELS__CACHE", str(router_cache))
    shipped = write_router(tmp_path / "package" / "shipped", CHUNK)
    monkeypatch.setattr(versions, "shipped_folder", lambda: shipped)


def held_out(*structures: StructureType) -> tuple[LabelledQuestion, ...]:
    return tuple(
        LabelledQuestion(f"q{number}", RoutingRequest("?"), structure, frozenset(), "test")
        for number, structure in enumerate(structures)
    )


@pytest.fixture
def mostly_graphs(score_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short questions in the place of the shipped ones: 60 % of those held out need a graph, the others passages."""
    shipped = ShippedQuestions(held_out(*[TABLE] * 3), held_out(*[GRAPH] * 180, *[CHUNK] * 120))
    monkeypatch.setattr(questions, "shipped_questions", lambda: shipped)


# list


def test_list_shows_every_version_and_marks_the_one_in_use(home: Path, write_router: WriteRouter) -> None:
    write_router(home / "v2", GRAPH, metrics={"accuracy": 0.5})
    write_router(home / "v1", GRAPH)
    VersionStore(home).promote("v1", {})
    result = run("list")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["version", "accuracy", "calibration", "error", "trained", "on"],
        ["shipped", "0.875", "0.062", "12", "pairs"],
        ["*", "v1", "0.875", "0.062", "12", "pairs"],
        ["v2", "0.500", "12", "pairs"],
    ]
    assert result.stderr == ""


def test_list_without_any_version_of_ones_own_shows_the_shipped_one(home: Path) -> None:
    (line,) = json_lines(run("list", "--json"))
    assert (line["version"], line["active"]) == ("shipped", True)
    assert not home.exists()


@pytest.mark.parametrize("file", ["router.json", "adapter.safetensors"])
def test_a_damaged_version_is_shown_as_such_and_does_not_stop_the_list(
    home: Path, write_router: WriteRouter, file: str
) -> None:
    for name in ("v1", "v2", "v3"):
        write_router(home / name, GRAPH)
    VersionStore(home).promote("v2", {})
    (home / "v2" / file).write_bytes(b"{")
    _, _, first, damaged, last = run("list").stdout.splitlines()
    assert damaged.split()[:3] == ["*", "v2", "damaged"]
    assert str(home / "v2") in damaged
    assert (first.split()[0], last.split()[0]) == ("v1", "v3")
    lines = json_lines(run("list", "--json"))
    assert [(line["version"], line["active"], "problem" in line) for line in lines] == [
        ("shipped", False, False),
        ("v1", False, False),
        ("v2", True, True),
        ("v3", False, False),
    ]
    assert lines[1]["metrics"] == {"accuracy": 0.875, "calibration_error": 0.0625}
    assert (lines[1]["training"], lines[1]["folder"]) == ({"pairs": 12}, str(home / "v1"))
    assert "metrics" not in lines[2]


# evaluate


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.jsonl"
    rows = [("graph", []), ("graph", []), ("table", ["graph"]), ("chunk", []), ("chunk", []), ("chunk", [])]
    lines = [
        json.dumps({"id": f"x{i}", "question": f"What is {i}?", "structure": s, "also_ok": ok, "hard": i == 5})
        for i, (s, ok) in enumerate(rows)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_evaluate_measures_the_version_in_use_on_ones_own_questions(
    home: Path, write_router: WriteRouter, labelled: Path
) -> None:
    write_router(home / "v1", GRAPH)
    VersionStore(home).promote("v1", {})
    (measured,) = json_lines(run("evaluate", labelled, "--json"))
    assert (measured["version"], measured["questions"], measured["accuracy"]) == ("v1", 6, 0.5)
    assert measured["recall"] == {"table": 1.0, "graph": 1.0, "chunk": 0.0}
    assert (measured["hard"], measured["unsure"]) == (0.0, 0.0)
    assert measured["milliseconds"] > 0


def test_evaluate_shows_one_part_for_each_version(home: Path, write_router: WriteRouter, labelled: Path) -> None:
    write_router(home / "v1", GRAPH)
    result = run("evaluate", labelled, "--version", "v1", "--version", "shipped")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == ["v1, 6 questions", "shipped, 6 questions"]
    accuracies = [line.split()[1] for line in lines if line.startswith("  accuracy  ")]
    assert accuracies == ["50.0%", "50.0%"]
    recalls = [line.split()[2] for line in lines if "recall, graph" in line]
    assert recalls == ["100.0%", "0.0%"]
    assert any(line.startswith("  milliseconds a route, median") for line in lines)


@pytest.mark.usefixtures("mostly_graphs")
def test_evaluate_without_a_file_takes_the_shipped_questions_that_were_not_trained_on() -> None:
    (measured,) = json_lines(run("evaluate", "--json"))
    assert (measured["version"], measured["questions"], measured["accuracy"]) == ("shipped", 300, 0.4)
    assert measured["hard"] is None


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{"id": "b", "question": "Why?", "structure": "tree"}', "is wrong"),
        ('{"id": "b", "structure": "graph"}', "is wrong"),
        ('{"id": "b", "question": "Why?"', "is not JSON"),
    ],
)
def test_evaluate_names_the_row_that_is_wrong(tmp_path: Path, row: str, told: str) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text(f'{{"id": "a", "question": "Who?", "structure": "graph"}}\n{row}\n', encoding="utf-8")
    refused(run("evaluate", path), f"Error: {path}, row 2", told)


def test_evaluate_needs_questions_and_a_version_that_is_there(tmp_path: Path, labelled: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text("\n", encoding="utf-8")
    refused(run("evaluate", path), f"{path} holds no questions.")
    refused(run("evaluate", tmp_path / "missing.jsonl"), "missing.jsonl cannot be read")
    refused(run("evaluate", labelled, "--version", "v9"), "'v9'", "There are: shipped.", code=3)


# promote, rollback


@pytest.mark.usefixtures("mostly_graphs")
def test_promote_puts_a_better_version_in_use_and_rollback_takes_it_back(home: Path, write_router: WriteRouter) -> None:
    write_router(home / "v1", GRAPH)
    result = run("promote", "v1")
    assert (result.exit_code, result.stdout) == (0, "in use  v1\n")
    assert result.stderr.startswith("Better: +20.0%")
    store = VersionStore(home)
    assert store.active() == "v1"
    (entry,) = store.promotions()
    assert (entry["from"], entry["to"], entry["forced"]) == ("shipped", "v1", False)
    assert (entry["comparison"]["candidate"], entry["comparison"]["active"]) == (0.6, 0.4)
    back = run("rollback")
    assert (back.exit_code, back.stdout) == (0, "in use  shipped\n")
    assert store.active() == "shipped"
    refused(run("rollback"), "No router was in use before 'shipped'", code=3)


@pytest.mark.usefixtures("mostly_graphs")
def test_promote_refuses_a_worse_version_unless_it_is_forced_and_that_is_recorded(
    home: Path, write_router: WriteRouter
) -> None:
    write_router(home / "good", GRAPH)
    write_router(home / "worse", CHUNK)
    store = VersionStore(home)
    store.promote("good", {})
    refused(run("promote", "worse"), "May be worse: -20.0%", "worse was not put in use.", "--force")
    assert (store.active(), len(store.promotions())) == ("good", 1)
    forced = run("promote", "worse", "--force")
    assert (forced.exit_code, forced.stdout) == (0, "in use  worse\n")
    assert store.active() == "worse"
    entry = json.loads((home / "promotions.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert (entry["from"], entry["to"], entry["forced"]) == ("good", "worse", True)
    assert entry["comparison"]["passes"] is False


@pytest.mark.usefixtures("mostly_graphs")
def test_force_is_not_recorded_where_it_was_not_needed(home: Path, write_router: WriteRouter) -> None:
    write_router(home / "v1", GRAPH)
    assert run("promote", "v1", "--force").exit_code == 0
    assert VersionStore(home).promotions()[0]["forced"] is False


@pytest.mark.usefixtures("score_once")
def test_a_better_version_is_not_promoted_on_few_questions(
    home: Path, write_router: WriteRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ShippedQuestions((), held_out(*[GRAPH] * 299))
    monkeypatch.setattr(questions, "shipped_questions", lambda: few)
    write_router(home / "v1", GRAPH)
    refused(run("promote", "v1"), "Only 299 held-out questions", "v1 was not put in use.")
    assert VersionStore(home).active() == "shipped"


@pytest.mark.usefixtures("mostly_graphs")
def test_a_version_that_is_damaged_or_not_there_is_not_promoted_even_by_force(
    home: Path, write_router: WriteRouter
) -> None:
    write_router(home / "v1", GRAPH)
    (home / "v1" / "router.json").write_text("{", encoding="utf-8")
    refused(run("promote", "v1", "--force"), str(home / "v1"), "is damaged", code=3)
    refused(run("promote", "../v1", "--force"), "no router version '../v1'", code=3)
    assert not (home / "active").exists()


# export


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (tmp_path / "pump.md").write_text("# Pump\n\nThe pump hums.\n\nIt is loud.\n", encoding="utf-8")
    with open_corpus(folder) as rag:
        rag.add([tmp_path / "pump.md"])
    return folder


def answer_to(question: str) -> Answer:
    shares = dict.fromkeys(StructureType, 0.2)
    route = Route(question, shares, unsure=False, router="test")
    return Answer("a1", question, "", (), False, route, CHUNK, None, (), Usage())


def test_export_writes_what_was_corrected_so_that_it_is_read_again(corpus: Path, tmp_path: Path) -> None:
    with open_corpus(corpus) as rag:
        for question, structure in (("How loud is the pump?", TABLE), ("Wer hört die Größe?", GRAPH)):
            rag.prefer(answer_to(question), structure)
        rag.undo_preference(rag.prefer(answer_to("Taken back?"), GRAPH))
        kept = tuple(rag.preferences().values())
    out = tmp_path / "pairs.jsonl"
    result = run("export", out, *OPTIONS)
    assert (result.exit_code, result.stdout) == (0, f"2 preference pairs  {out}\n")
    read = read_preferences(out)
    assert (read.pairs, read.warnings) == (kept, ())
    assert [(pair.request.question, pair.chosen, pair.rejected) for pair in read.pairs] == [
        ("How loud is the pump?", TABLE, CHUNK),  # the router was right, what answered was not
        ("Wer hört die Größe?", GRAPH, TABLE),
    ]
    assert [document.title for document in read.pairs[0].request.documents] == ["Pump"]


@pytest.mark.usefixtures("corpus")
def test_export_of_nothing_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    refused(run("export", out, *OPTIONS), "The corpus holds no preferences.", "Correct a route first")
    assert not out.exists()


def test_export_of_a_corpus_that_is_not_there_makes_none(tmp_path: Path) -> None:
    refused(run("export", tmp_path / "pairs.jsonl", *OPTIONS), "There is no corpus at corpus.")
    assert not (tmp_path / "corpus").exists()


def test_export_into_a_folder_that_is_not_there_names_it(corpus: Path, tmp_path: Path) -> None:
    with open_corpus(corpus) as rag:
        rag.prefer(answer_to("How loud?"), TABLE)
    refused(run("export", tmp_path / "missing" / "pairs.jsonl", *OPTIONS), "missing")


# train


def test_train_with_nothing_to_train_on_says_so(home: Path) -> None:
    refused(run("train", *OPTIONS), "There are no preferences to train on.", "--fresh")
    assert not home.exists()


@pytest.mark.usefixtures("corpus")
def test_train_looks_into_the_corpus(home: Path) -> None:
    result = run("train", *OPTIONS)
    refused(result, "There are no preferences to train on.")
    assert result.stderr.startswith("0 preferences are kept in corpus.\n")
    assert not home.exists()


def test_train_names_the_file_and_the_row_that_is_wrong(home: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    write_preferences(good, [PreferencePair(RoutingRequest("Who?"), GRAPH, CHUNK, "human")])
    bad.write_text('\n{"prompt": "Why?", "chosen": "graph", "rejected": "tree"}\n', encoding="utf-8")
    refused(run("train", good, bad, *OPTIONS), f"Error: {bad}, row 2, names 'tree'")
    refused(run("train", good, tmp_path / "missing.jsonl", *OPTIONS), "missing.jsonl cannot be read")
    assert not home.exists()


def process(code: list[str], cwd: Path, home: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, where nothing takes the place of anything."""
    settings = {"STRUCTRAG_ROUTER__VERSIONS": str(home), "STRUCTRAG_MODELS__CACHE": str(cache)}
    return subprocess.run(
        [sys.executable, *code],
        cwd=cwd,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=3600,
    )


def test_train_without_the_packages_for_it_names_the_extra(home: Path, router_cache: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['structrag', 'router', 'train', '--fresh']\n"
        "from structrag.cli import main; main()"
    )
    done = process(["-c", code], tmp_path, home, router_cache)
    assert (done.returncode, done.stdout) == (2, "")
    assert "structrag[train]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_train_learns_from_corrections_and_puts_the_new_version_in_use(
    home: Path, router_cache: Path, write_router: WriteRouter, tmp_path: Path
) -> None:
    """The whole way, in a process: from a router that finds a graph in everything, which the corrections deny."""
    write_router(home / "v1", GRAPH)
    VersionStore(home).promote("v1", {})
    pumps = [f"Which of the {number} pumps in hall {number % 7} is the cheapest?" for number in range(60)]
    pairs = tmp_path / "pairs.jsonl"
    write_preferences(pairs, [PreferencePair(RoutingRequest(pump), TABLE, GRAPH, "human") for pump in pumps])
    command = ["-m", "structrag", "router", "train", str(pairs), "--promote", "--json", *OPTIONS]
    done = process(command, tmp_path, home, router_cache)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "Training on 60 preference pairs.\n" in done.stderr
    assert "learning the preferences: step " in done.stderr
    assert "Traceback" not in done.stderr
    assert told["folder"] == str(home / told["version"])
    assert told["comparison"]["questions"] >= 300
    assert told["comparison"]["passes"], told["comparison"]["verdict"]
    kept_back = told["kept_back"]
    assert 4 <= kept_back["n"] <= 20
    assert kept_back["agreed_before"] == 0
    assert kept_back["agreed_after"] > kept_back["n"] / 2
    assert told["promoted"] is True
    store = VersionStore(home)
    assert store.active() == told["version"]
    assert (store.promotions()[-1]["from"], store.promotions()[-1]["forced"]) == ("v1", False)
    assert not list(home.glob(".training-*/")), "Checkpoints are left."
    (new,) = [version for version in store.versions() if version.is_active]
    assert new.settings is not None
    assert new.settings.training["started_from"] == "v1"
