"""Events, as lines for people and as JSON for programs, and answers as they are shown."""

import io
import json
import sys

import pytest

from structrag.cli.narration import Activity, describe, event_to_dict
from structrag.cli.rendering import answer_view, route_view, show, summary_table, usage_line
from structrag.events import (
    Answered,
    BuildProgressed,
    DocumentAdded,
    Event,
    PassagesRetrieved,
    ReplyGrew,
    RouteChosen,
    StepTaken,
    StructureBuilt,
)
from structrag.types import (
    AddedDocument,
    Answer,
    Citation,
    Evidence,
    Passage,
    Route,
    Span,
    StructureType,
    TraceStep,
)
from structrag.usage import Usage

HOSTILE = "[bold]x[/bold] \x1b[31mred\x1b[0m"
EVIDENCE = Evidence(Span("a.md", 0, 11), f"61 dB(A) {HOSTILE}")


class Passages:
    """A structure that renders what it is given."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def type(self) -> StructureType:
        return StructureType.CHUNK

    def render(self, limit: int | None = None) -> str:
        return self.text[:limit]

    def evidence(self) -> list[Evidence]:
        return [EVIDENCE]

    def to_dict(self) -> dict[str, object]:
        return {"text": self.text}


def make_route(*, unsure: bool = False) -> Route:
    shares = dict(zip(StructureType, (0.5, 0.3, 0.0, 0.15, 0.05), strict=True))
    return Route("q", shares, unsure=unsure, router="test", seconds=0.012)


def make_answer(*, grounded: bool = True, structure_type: StructureType = StructureType.TABLE) -> Answer:
    return Answer(
        id="answer-1",
        question="q",
        text=f"61 {HOSTILE}",
        values=("61",),
        grounded=grounded,
        route=make_route(),
        structure_type=structure_type,
        structure=Passages("\n".join(f"line {n} {HOSTILE}" for n in range(30))),
        citations=(Citation(1, EVIDENCE, f"Tern 40 {HOSTILE}", "page 2"),),
        usage=Usage(calls=3, cached=1, prompt_tokens=1204, completion_tokens=85, seconds=12.41),
    )


EVENTS: list[tuple[Event, str]] = [
    (DocumentAdded(AddedDocument("a.md", "failed", "no text"), 1, 2), "Failed a.md: no text"),
    (
        PassagesRetrieved((Passage(Span("a.md", 0, 4), "text", "A"), Passage(Span("a.md", 5, 9), "more", "A"))),
        "Retrieved 2 passages from 1 documents",
    ),
    (
        RouteChosen(make_route(unsure=True), StructureType.TABLE, overridden=False),
        "Route table (50%, unsure), runner-up graph",
    ),
    (
        RouteChosen(make_route(), StructureType.GRAPH, overridden=True),
        "Structure graph, as asked",
    ),
    (BuildProgressed(StructureType.TABLE, 1, 3, "from cache"), "Building the table: 1 of 3 documents, from cache"),
    (StructureBuilt(Passages("x")), "Built the chunk"),
    (StepTaken(TraceStep("sql", "SELECT\n 1")), "sql: SELECT 1"),
    (ReplyGrew("table.sql", '{"sql": "SEL'), 'Writing table.sql: {"sql": "SEL'),
    (Answered(make_answer()), "Answered after 12.4 s, grounded in 1 citations"),
    (Answered(make_answer(grounded=False)), "Answered after 12.4 s, not grounded"),
]


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_describes_each_event(event: Event, line: str) -> None:
    assert describe(event) == line


@pytest.mark.parametrize("event", [event for event, _ in EVENTS])
def test_each_event_has_a_json_form_that_names_it(event: Event) -> None:
    data = json.loads(json.dumps(event_to_dict(event)))
    assert data["event"].replace("_", "") == type(event).__name__.lower()
    assert len(data) > 1


def test_answered_carries_the_document_that_ask_json_prints() -> None:
    answer = make_answer()
    assert event_to_dict(Answered(answer))["answer"] == answer.to_dict()


def test_route_bars_are_in_the_order_of_their_probabilities() -> None:
    lines = route_view(make_route(unsure=True)).plain.splitlines()
    assert lines[0] == "Route  table, runner-up graph; unsure  (test, 12 ms)"
    assert [line.split()[0] for line in lines[1:]] == ["table", "graph", "catalogue", "chunk", "algorithm"]
    assert lines[1] == f"  table     {'█' * 12}{' ' * 12}  50%"
    assert lines[5].split() == ["algorithm", "0%"]


def test_a_sure_route_is_not_called_unsure() -> None:
    assert "unsure" not in route_view(make_route()).plain


def test_a_fixed_route_has_no_runner_up() -> None:
    shares = {structure: float(structure is StructureType.GRAPH) for structure in StructureType}
    title = route_view(Route("q", shares, unsure=False, router="fixed:graph")).plain.splitlines()[0]
    assert title == "Route  graph  (fixed:graph, 0 ms)"


def test_route_says_when_another_structure_answered() -> None:
    title = route_view(make_route(), answered_by=StructureType.CHUNK).plain.splitlines()[0]
    assert "; answered by chunk" in title
    assert "answered by" not in route_view(make_route(), answered_by=StructureType.TABLE).plain


def test_answer_shows_text_route_structure_citations_and_cost() -> None:
    plain = answer_view(make_answer()).plain
    text, route, structure, citations, cost = plain.split("\n\n")
    assert text == "61 [bold]x[/bold] red"
    assert route.startswith("Route  table")
    assert structure.splitlines()[0] == "Structure  chunk"
    assert structure.splitlines()[1] == "line 0 [bold]x[/bold] red"
    assert structure.splitlines()[-1] == "… 10 more lines"
    assert citations == "[1] Tern 40 [bold]x[/bold] red, page 2: “61 dB(A) [bold]x[/bold] red”"
    assert cost == "3 calls, 1 cached · 1,204 tokens in, 85 out · 12.4 s · answer answer-1"


def test_markup_of_others_has_no_effect() -> None:
    view = answer_view(make_answer())
    assert "\x1b" not in view.plain
    position = view.plain.index("x[/bold]")
    assert not [span for span in view.spans if span.start <= position < span.end and span.style == "bold"]


def test_usage_line_counts_in_and_out_apart() -> None:
    assert usage_line(Usage()) == "0 calls, 0 cached · 0 tokens in, 0 out · 0.0 s"


def test_summary_cells_are_text() -> None:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=80).print(summary_table(("question", "route"), [(HOSTILE, "table")]))
    assert "[bold]x[/bold] red" in out.getvalue()


def test_activity_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Activity("Opening") as activity:
        for event, _ in EVENTS:
            activity.listen(event)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_activity_announces_the_preparation_of_a_model_once(capsys: pytest.CaptureFixture[str]) -> None:
    activity = Activity("Opening")
    for done in (1, 2, 3):
        activity.prepare("Preparing Qwen", done, 1_117_320_768)
    assert capsys.readouterr().err == "Preparing Qwen (1.1 GB); this is done once.\n"


def test_activity_passes_every_event_on() -> None:
    heard: list[Event] = []
    with Activity("Opening", also=heard.append) as activity:
        for event, _ in EVENTS:
            activity.listen(event)
    assert heard == [event for event, _ in EVENTS]


def test_live_activity_draws_on_stderr_only_can_be_reused_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    activity = Activity("Opening [bold]x[/bold]", live=True)
    for _ in range(2):
        with activity:
            activity.prepare("Preparing Qwen", 1, 2)
            for event, _ in EVENTS:
                activity.listen(event)
            sys.stdout.write("data\n")
    captured = capsys.readouterr()
    assert captured.out == "data\ndata\n"
    assert "Answered after 12.4 s" in captured.err
    assert captured.err.endswith("\x1b[2K") or captured.err.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


def test_a_closed_pipe_is_left_to_the_command_group(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        show(route_view(make_route()))
