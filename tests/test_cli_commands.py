"""The commands over the real pipeline, with a scripted chat model, a fixed route and a small embedder."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hashing_embedder import HashingEmbedder
from typer.testing import CliRunner, Result

from structrag.cli.app import build
from structrag.cli.demo import QUESTIONS
from structrag.cli.start import start_ui
from structrag.corpora import shipped
from structrag.errors import ModelError, ModelOutputError, RoutingError, StructRAGError
from structrag.models.weights import Progress
from structrag.pipeline import StructRAG
from structrag.router import RoutingRequest
from structrag.testing import scripted
from structrag.types import Route, StructureType
from structrag.usage import UsageMeter

HOSTILE_NOTE = "The pump \x1b[31mhums[/bold]\x1b[0m at 61 dB(A) in the hall."
QUESTION = "How loud is the pump?"
FOUND: dict[str, Any] = {"item": 1, "answer": "61 dB(A)"}
NOT_FOUND: dict[str, Any] = {"item": 0, "answer": ""}
CONFIRMED: dict[str, Any] = {"You check an answer": {"yes": 0.95, "no": 0.05}}


class StubRouter:
    """Finds passages most fitting, and says so at once."""

    name = "stub"

    def __init__(self) -> None:
        self.requests: list[RoutingRequest] = []

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        self.requests.append(request)
        if "unroutable" in request.question:
            raise RoutingError("No route for this question.", hint="Ask another one.")
        shares = dict(zip(StructureType, (0.2, 0.04, 0.03, 0.03, 0.7), strict=True))
        return Route(request.question, shares, unsure=False, router=self.name)


class Shell:
    """Runs commands on one corpus, as one would type them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script: dict[str, Any] = {**CONFIRMED, f"Question: {QUESTION}": FOUND}
        self.router = StubRouter()
        self.settings: list[Mapping[str, Any]] = []

    def __call__(self, *arguments: str | Path) -> Result:
        command, *rest = map(str, arguments)
        return self.raw(command, "--corpus", str(self.folder), *rest)

    def raw(self, *arguments: str) -> Result:
        return CliRunner().invoke(build(self._open), arguments)

    def _open(self, folder: Path, *, settings: Mapping[str, Any], progress: Progress) -> StructRAG:
        self.settings.append(settings)
        chat, _ = scripted(self.script)
        return StructRAG.open(
            folder,
            settings=settings,
            progress=progress,
            chat=chat,
            router=self.router,
            embedder=HashingEmbedder(),
        )


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STRUCTRAG_CORPUS", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "corpus")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "pump.md").write_text(f"# Pump\n\n{HOSTILE_NOTE}\n", encoding="utf-8")
    (folder / "boiler.md").write_text("# Boiler\n\nThe boiler was made in Tarnwick.\n", encoding="utf-8")
    return folder


@pytest.fixture
def filled(shell: Shell, notes: Path) -> Shell:
    assert shell("add", notes).exit_code == 0
    return shell


def json_lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


# add, ls, rm


def test_add_reports_each_document_on_stdout_and_the_sum_on_stderr(shell: Shell, notes: Path) -> None:
    first = shell("add", notes)
    assert first.exit_code == 0
    assert first.stdout == "added      boiler.md\nadded      pump.md\n"
    assert first.stderr == "2 added\n"
    (notes / "pump.md").write_text("# Pump\n\nSilent now.\n", encoding="utf-8")
    (notes / "boiler.md").unlink()
    second = shell("add", notes, "--json")
    assert {line["id"]: line["status"] for line in json_lines(second)} == {
        "pump.md": "changed",
        "boiler.md": "removed",
    }


def test_add_keeps_the_good_files_and_ends_with_2_when_one_is_bad(shell: Shell, notes: Path) -> None:
    (notes / "empty.md").touch()
    result = shell("add", notes, "--json")
    assert result.exit_code == 2
    lines = {line["id"]: line for line in json_lines(result)}
    assert lines["empty.md"]["status"] == "failed"
    assert lines["empty.md"]["reason"]
    assert "Error: 1 of 3 could not be added" in result.stderr
    assert [line["id"] for line in json_lines(shell("ls", "--json"))] == ["boiler.md", "pump.md"]


def test_add_of_a_missing_file_names_it_and_ends_with_2(shell: Shell, tmp_path: Path) -> None:
    result = shell("add", tmp_path / "missing.md")
    assert result.exit_code == 2
    assert "missing.md" in result.stdout
    assert result.stdout.startswith("failed")


def test_add_of_nothing_ends_with_2(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    result = shell("add", tmp_path / "bare")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: There is nothing to add in ")


def test_ls_shows_ids_titles_and_words(filled: Shell) -> None:
    assert filled("ls").stdout == "boiler.md  Boiler  8 words\npump.md    Pump    11 words\n"


def test_rm_removes_documents(filled: Shell) -> None:
    result = filled("rm", "pump.md")
    assert (result.exit_code, result.stdout) == (0, "removed  pump.md\n")
    assert [line["id"] for line in json_lines(filled("ls", "--json"))] == ["boiler.md"]
    assert json_lines(filled("rm", "--json", "boiler.md")) == [{"id": "boiler.md", "status": "removed"}]
    emptied = filled("ls")
    assert (emptied.exit_code, emptied.stdout) == (0, "")
    assert "holds no documents" in emptied.stderr


def test_rm_of_an_unknown_document_removes_none(filled: Shell) -> None:
    result = filled("rm", "pump.md", "pumpe.md")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: There is no document 'pumpe.md'" in result.stderr
    assert len(json_lines(filled("ls", "--json"))) == 2


# ask


def test_ask_shows_the_answer_and_what_it_rests_on(filled: Shell) -> None:
    result = filled("ask", QUESTION)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.startswith("61 dB(A) [1]\n\nRoute  chunk, runner-up table")
    assert "\nStructure  chunk\n" in result.stdout
    assert "[1] Pump: “The pump hums[/bold] at 61 dB(A) in the hall.”" in result.stdout
    assert "2 calls, 0 cached" in result.stdout
    assert "\x1b" not in result.stdout


def test_ask_json_is_one_document_and_nothing_else(filled: Shell) -> None:
    result = filled("ask", QUESTION, "--json")
    (answer,) = json_lines(result)
    assert answer["values"] == ["61 dB(A)"]
    assert answer["grounded"] is True
    assert answer["route"]["structure"] == answer["structure"] == "chunk"
    assert answer["citations"][0]["document"] == "pump.md"
    assert answer["usage"]["calls"] == 2


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_ask_ends_with_4_when_nothing_supports_an_answer(filled: Shell, extra: list[str]) -> None:
    filled.script = {"Question:": NOT_FOUND}
    result = filled("ask", QUESTION, *extra)
    assert result.exit_code == 4
    assert "The documents do not say." in result.stdout


def test_an_answer_that_does_not_follow_from_the_documents_is_not_grounded(filled: Shell) -> None:
    filled.script = {"Question:": {"item": 1, "answer": "99 dB(A)"}}
    result = filled("ask", QUESTION, "--json")
    assert result.exit_code == 4
    assert json_lines(result)[0]["values"] == []


def test_stream_narrates_on_stderr(filled: Shell) -> None:
    result = filled("ask", QUESTION, "--stream")
    narration = result.stderr.splitlines()
    assert narration[0].startswith("Retrieved ")
    assert narration[1] == "Route chunk (70%), runner-up table"
    assert narration[-1].startswith("Answered after ")
    assert result.stdout.startswith("61 dB(A) [1]\n")


def test_stream_json_prints_events_and_ends_with_the_answer(filled: Shell) -> None:
    result = filled("ask", QUESTION, "--stream", "--json")
    events = json_lines(result)
    names = [event["event"] for event in events]
    assert names[:2] == ["passages_retrieved", "route_chosen"]
    assert "structure_built" in names
    assert names.count("answered") == 1
    assert names[-1] == "answered"
    assert events[-1]["answer"]["values"] == ["61 dB(A)"]
    assert len(result.stderr.splitlines()) == len(events)


def test_structure_and_scope_are_passed_on(filled: Shell) -> None:
    result = filled("ask", QUESTION, "--structure", "CHUNK", "--scope", "boiler.md", "--json")
    (answer,) = json_lines(result)
    assert answer["route"]["router"] == "fixed:chunk"
    assert result.exit_code == 4, "only the boiler was asked"


def test_ask_about_an_unknown_document_ends_with_2(filled: Shell) -> None:
    result = filled("ask", QUESTION, "--scope", "pumpe.md")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'pump.md'" in result.stderr


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_ends_with_2(filled: Shell, question: str) -> None:
    result = filled("ask", question)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: The question is empty.\n")


def test_model_option_becomes_a_setting(filled: Shell) -> None:
    filled("ask", QUESTION, "--model", "ollama:qwen3")
    assert filled.settings[-1] == {"models.chat": "ollama:qwen3"}


def test_a_failing_model_ends_with_3_and_its_hint(filled: Shell) -> None:
    filled.script = {"Question:": ModelError("It is gone.", hint="Fetch it.\x1b[2J")}
    result = filled("ask", QUESTION)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr


# route


def test_route_shows_five_bars(shell: Shell) -> None:
    result = shell("route", "Which is loudest?")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 6
    assert result.stdout.startswith("Route  chunk, runner-up table")


def test_route_without_a_corpus_makes_none(shell: Shell) -> None:
    (route,) = json_lines(shell("route", "Which is loudest?", "--json"))
    assert route["structure"] == "chunk"
    assert set(route["probabilities"]) == set(StructureType)
    assert shell.router.requests[0].documents == ()
    assert not shell.folder.exists()


def test_batch_routes_line_by_line(filled: Shell, tmp_path: Path) -> None:
    batch = tmp_path / "batch.jsonl"
    questions = ["Which pump\u2028or boiler?", "Is the pump in the boiler?"]
    lines = [{"question": questions[0], "id": 7}, {"question": questions[1], "documents": ["boiler.md"]}]
    batch.write_text("\ufeff" + "\n\n".join(map(json.dumps, lines)) + "\r\n", encoding="utf-8")
    result = filled("route", "--batch", batch)
    assert [route["question"] for route in json_lines(result)] == questions
    first, second = filled.router.requests
    assert len(first.documents) == 2
    assert [document.title for document in second.documents] == ["Boiler"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"question": "x"', "this is not JSON: "),
        ('"x"', 'an object with a text under "question" is expected'),
        ('{"question": ""}', 'an object with a text under "question" is expected'),
        ('{"question": 3}', 'an object with a text under "question" is expected'),
        ('{"documents": []}', 'an object with a text under "question" is expected'),
        ('{"question": "x", "documents": "a.md"}', '"documents" must be a list'),
        ('{"question": "x", "documents": [1]}', '"documents" must be a list'),
    ],
)
def test_a_bad_line_is_named_before_anything_is_routed(shell: Shell, tmp_path: Path, line: str, complaint: str) -> None:
    batch = tmp_path / "batch.jsonl"
    batch.write_text(f'{{"question": "fine"}}\n{line}\n', encoding="utf-8")
    result = shell("route", "--batch", batch)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {batch}, line 2: {complaint}")
    assert shell.router.requests == []


def test_a_batch_line_with_an_unknown_document_is_named(filled: Shell, tmp_path: Path) -> None:
    batch = tmp_path / "batch.jsonl"
    batch.write_text('{"question": "x"}\n{"question": "x", "documents": ["gone.md"]}\n', encoding="utf-8")
    result = filled("route", "--batch", batch)
    assert result.exit_code == 2
    assert len(json_lines(result)) == 1
    assert f"Error: {batch}, line 2: " in result.stderr
    assert "'gone.md'" in result.stderr


def test_a_batch_that_is_not_utf8_is_refused(shell: Shell, tmp_path: Path) -> None:
    batch = tmp_path / "batch.jsonl"
    batch.write_bytes(b'{"question": "\xe9"}\n')
    result = shell("route", "--batch", batch)
    assert result.exit_code == 2
    assert "is not UTF-8 text" in result.stderr


def test_a_router_that_cannot_route_ends_with_3(shell: Shell) -> None:
    result = shell("route", "unroutable")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "Error: No route for this question.\nAsk another one.\n"


# demo


def test_demo_questions_cover_the_structures_and_come_from_the_dev_split() -> None:
    assert {item.expected for item in QUESTIONS} == set(StructureType)
    known = {}
    for corpus in shipped():
        for line in corpus.questions.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            known[corpus.name, record["question"]] = record
    for item in QUESTIONS:
        record = known[item.corpus, item.question]
        assert record["split"] == "dev"
        assert record["structure"] == item.expected


def read_first_item(prompt: str) -> dict[str, Any]:
    """Answer with the last words of the first item, which it supports whatever was retrieved."""
    first = next(line for line in prompt.splitlines() if line.startswith("[1] "))
    return {"item": 1, "answer": " ".join(first.split()[-6:])}


@pytest.fixture(scope="module")
def first_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The demo's first run, whose indexed corpora the other tests of it use."""
    shell = Shell(tmp_path_factory.mktemp("demo"))
    shell.script = {**CONFIRMED, f"Question: {QUESTIONS[-1].question}": read_first_item, "Question:": NOT_FOUND}
    return shell.folder, shell("demo")


def test_demo_shows_each_answer_and_ends_with_a_summary(first_demo: tuple[Path, Result]) -> None:
    folder, result = first_demo
    assert result.exit_code == 0, result.output
    answers, summary = result.stdout.split("\nSummary\n")
    assert answers.count("The documents do not say.") == len(QUESTIONS) - 1
    grounded = [line.split("chunk")[-1].split()[0] for line in summary.splitlines() if " chunk " in line]
    assert sorted(grounded) == ["no"] * (len(QUESTIONS) - 1) + ["yes"]
    assert f"\nTogether: {len(QUESTIONS) + 1} calls" in summary
    assert sorted(path.name for path in folder.iterdir()) == sorted({item.corpus for item in QUESTIONS})


def test_demo_indexes_once_and_says_so_on_stderr(first_demo: tuple[Path, Result]) -> None:
    folder, first = first_demo
    corpora = {item.corpus for item in QUESTIONS}
    assert "Corpus companies: " in first.stderr
    assert " 0 of them indexed now" not in first.stderr
    again = Shell(folder)
    again.script = {"Question:": NOT_FOUND}
    assert again("demo").stderr.count(" 0 of them indexed now") == len(corpora)


def test_demo_json_leaves_the_choice_to_the_router(first_demo: tuple[Path, Result]) -> None:
    shell = Shell(first_demo[0])
    shell.script = {"Question:": NOT_FOUND}
    result = shell("demo", "--json")
    assert result.exit_code == 0, result.output
    (document,) = json_lines(result)
    entries = document["questions"]
    assert [entry["expected"] for entry in entries] == [str(item.expected) for item in QUESTIONS]
    assert [entry["answer"]["route"]["router"] for entry in entries] == ["stub"] * len(QUESTIONS)
    assert document["usage"]["calls"] == sum(entry["answer"]["usage"]["calls"] for entry in entries) > 0


def test_demo_goes_on_after_a_reply_that_cannot_be_used(first_demo: tuple[Path, Result]) -> None:
    shell = Shell(first_demo[0])
    bad = f"Question: {QUESTIONS[0].question}"
    shell.script = {bad: ModelOutputError("Not JSON.", reply="x"), "Question:": NOT_FOUND}
    result = shell("demo", "--json")
    assert result.exit_code == 3
    (document,) = json_lines(result)
    assert document["questions"][0]["answer"] is None
    assert document["questions"][0]["error"]
    assert all(entry["answer"] for entry in document["questions"][1:])


def test_shipped_corpora_are_complete() -> None:
    corpora = shipped()
    assert [corpus.name for corpus in corpora] == sorted({corpus.name for corpus in corpora})
    assert {item.corpus for item in QUESTIONS} <= {corpus.name for corpus in corpora}
    for corpus in corpora:
        assert corpus.title
        assert corpus.description
        manifest = json.loads((corpus.folder.parent / "manifest.json").read_text(encoding="utf-8"))
        listed = {document["path"] for document in manifest["documents"]}
        assert listed == {file.name for file in corpus.folder.iterdir()}


# the terminal UI


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def be_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stdout", Terminal())


def test_the_ui_is_started_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[Path] = []
    monkeypatch.setattr("structrag.tui.run", opened.append)
    be_on_a_terminal(monkeypatch)
    start_ui(tmp_path)
    assert opened == [tmp_path]


# how commands end


def failing(error: BaseException) -> Callable[..., StructRAG]:
    def open_corpus(folder: Path, *, settings: Mapping[str, Any], progress: Progress) -> StructRAG:
        raise error

    return open_corpus


def add_with(error: BaseException, path: Path) -> Result:
    return CliRunner().invoke(build(failing(error)), ["add", str(path)])


@pytest.mark.parametrize("kind", StructRAGError.__subclasses__())
def test_every_error_becomes_its_exit_code(kind: type[StructRAGError], tmp_path: Path) -> None:
    error = kind.__new__(kind)
    StructRAGError.__init__(error, "What happened.", hint="What to do.")
    result = add_with(error, tmp_path)
    assert result.exit_code == kind.exit_code
    assert result.stderr == "Error: What happened.\nWhat to do.\n"
    assert result.stdout == ""


def test_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    result = add_with(KeyboardInterrupt(), tmp_path)
    assert (result.exit_code, result.stderr) == (130, "Interrupted; finished work is kept.\n")


def test_a_fault_of_ours_keeps_its_traceback(tmp_path: Path) -> None:
    fault = ZeroDivisionError("ours")
    result = add_with(fault, tmp_path)
    assert result.exception is fault
