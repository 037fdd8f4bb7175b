"""The run: every tool takes up the documents, then all are asked each question in turn; what has a line is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peers.counting import CountingProxy
from peers.lines import DONE, FAILED, INDEX, RUNNING, TIME_UP, Kept, Line
from peers.process import TimeUpError, ToolError, ToolProcess, worker_command
from peers.sampling import Sample
from peers.worker import CONTEXT, DOCUMENTS, ENDPOINT, MODEL
from structrag.errors import ConfigError
from structrag.evaluation.scoring import is_right, normalise

if TYPE_CHECKING:
    from structrag.evaluation.data import KnownQuestion

LINES, RUN = "lines.jsonl", "run.json"
_OFTEN = 30.0
"""Seconds between two lines that keep how far an index is."""
_LONGEST_ERROR = 300

Command = Callable[[str, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tool may take.

    Attributes:
        index_seconds: For all documents.
        question_seconds: For one question.
        context: Tokens that the endpoint takes, prompt and reply together.
        reply_tokens: Of a reply whose length the tool does not limit itself.
    """

    index_seconds: float
    question_seconds: float
    context: int
    reply_tokens: int


@dataclass(slots=True)
class Run:
    """One run in one folder.

    Attributes:
        command: Returns how a tool's worker is started.
        tell: Told in words what goes on.
    """

    folder: Path
    sample: Sample
    endpoint: str
    model: str
    limits: Limits
    command: Command = worker_command
    tell: Callable[[str], None] = print
    kept: Kept = field(init=False)
    _proxy: CountingProxy = field(init=False)
    _processes: dict[str, ToolProcess] = field(default_factory=dict)

    def run(self, tools: Sequence[str]) -> None:
        """Let the tools take up the documents, one after the other, and ask them every question, one after the other.

        Raises:
            ConfigError: The folder holds lines of another sample or model.
        """
        self._prepare()
        limits = {"temperature": 0, "max_tokens": self.limits.reply_tokens}
        with ExitStack() as stack:
            self._proxy = stack.enter_context(CountingProxy(self.endpoint, limits))
            self._processes = {tool: self._process(tool) for tool in tools}
            for process in self._processes.values():
                stack.callback(process.stop)
            for tool in tools:
                self._index(tool)
            for question in self.sample.questions:
                for tool in tools:
                    self._ask(tool, question)

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        made_with = {
            "sample": self.sample.described(),
            "questions": [f"{q.id} {q.digest}" for q in self.sample.questions],
            "documents": [str(document.id) for document in self.sample.documents],
            "model": self.model,
            "limits": {"context": self.limits.context, "reply_tokens": self.limits.reply_tokens},
        }
        path = self.folder / RUN
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            changed = [key for key, value in made_with.items() if before.get(key) != value]
            if changed:
                raise ConfigError(
                    f"{self.folder} holds a run with other {', '.join(changed)}.", hint="Give another --out."
                )
        caps = {"index": self.limits.index_seconds / 60, "question": self.limits.question_seconds / 60}
        path.write_text(json.dumps(made_with | {"minutes": caps}, indent=1), encoding="utf-8")
        rows = (
            {"id": str(d.id), "title": str(d.metadata.get("title", "")), "text": d.page_content}
            for d in self.sample.documents
        )
        (self.folder / DOCUMENTS).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.kept = Kept(self.folder / LINES)

    def _process(self, tool: str) -> ToolProcess:
        here = {ENDPOINT: self._proxy.url(tool), MODEL: self.model, CONTEXT: str(self.limits.context)}
        path = {"PYTHONPATH": str(Path(__file__).parents[1])}
        log = self.folder / "logs" / f"{tool}.log"
        return ToolProcess(self.command(tool, self.folder), here | path, log)

    def _index(self, tool: str) -> None:
        """Take up the documents, or go on with it where an earlier run was stopped."""
        line = self.kept.get(tool) or Line(tool, status=RUNNING)
        answered = any(each.tool == tool and each.id != INDEX for each in self.kept.lines())
        may_go_on = line.status == RUNNING or (line.status == TIME_UP and not answered)
        if may_go_on and line.seconds >= self.limits.index_seconds:
            self.kept.keep(replace(line, status=TIME_UP))
        elif may_go_on:
            self._take_up(tool, line)

    def _take_up(self, tool: str, line: Line) -> None:
        self.tell(f"{tool}: taking up the documents")
        spent_before, since = line.cost, line
        before = self._proxy.spent(tool)

        def now(seconds: float, documents: int, **changed: Any) -> Line:
            spent = spent_before + self._proxy.spent(tool) - before
            return replace(
                since,
                seconds=round(since.seconds + seconds, 1),
                documents=max(documents, since.documents),
                spent=spent.to_dict(),
                **changed,
            )

        progress = _Progress(lambda seconds, documents: self.kept.keep(now(seconds, documents)))
        try:
            said, seconds = self._processes[tool].ask(
                {"do": "index"}, self.limits.index_seconds - line.seconds, progress.hear
            )
            problem = str(said.get("problem", ""))
            made = now(seconds, progress.documents, status=DONE, error=problem[:_LONGEST_ERROR])
        except TimeUpError:
            self._proxy.cut_off(tool)
            made = now(progress.seconds, progress.documents, status=TIME_UP)
        except ToolError as error:
            made = now(progress.seconds, progress.documents, status=FAILED, error=str(error)[:_LONGEST_ERROR])
        self.kept.keep(made)
        self.tell(f"{tool}: {made.status}, {made.documents} documents, {made.seconds:.0f} s {made.error}")

    def _ask(self, tool: str, question: KnownQuestion) -> None:
        if self.kept.get(tool, question.id) is not None:
            return
        before, progress = self._proxy.spent(tool), _Progress(lambda seconds, documents: None)
        blank = Line(tool, question.id, str(question.labels[0]) if question.labels else "")
        request = {"do": "ask", "question": question.question, "scope": question.scope}
        try:
            said, seconds = self._processes[tool].ask(request, self.limits.question_seconds, progress.hear)
            line = replace(blank, **_scored(said, question), seconds=round(seconds, 1))
        except TimeUpError as error:
            self._proxy.cut_off(tool)
            line = replace(blank, status=TIME_UP, error=str(error), seconds=self.limits.question_seconds)
        except ToolError as error:
            line = replace(blank, status=FAILED, error=_told(str(error), question), seconds=round(progress.seconds, 1))
        spent = self._proxy.spent(tool) - before
        self.kept.keep(replace(line, spent=spent.to_dict()))
        verdict = "right" if line.correct else line.status if line.error else "wrong" if line.values else "nothing"
        self.tell(f"{verdict:<8} {tool:<14} {question.id:<30.30} {'; '.join(line.values) or line.error:.80}")


class _Progress:
    """Hears how far a tool is, and passes it on now and then."""

    def __init__(self, keep: Callable[[float, int], object]) -> None:
        self._keep = keep
        self._kept_at = 0.0
        self.seconds = 0.0
        self.documents = 0

    def hear(self, progress: Mapping[str, Any], seconds: float) -> None:
        self.seconds, self.documents = seconds, progress.get("documents", self.documents)
        if seconds - self._kept_at >= _OFTEN:
            self._kept_at = seconds
            self._keep(seconds, self.documents)


def _scored(said: Mapping[str, Any], question: KnownQuestion) -> dict[str, Any]:
    correct = is_right(said["values"], question.gold, question.answer_type)
    return {
        "answer": said["text"],
        "values": said["values"],
        "notes": said["notes"],
        "correct": correct,
        "names": correct or names_gold(said["text"], question),
    }


def names_gold(text: str, question: KnownQuestion) -> bool:
    """Return whether a text holds a gold answer word for word, or all items of a list, whatever else it says.

    Answers that have parts which must fit together are only right or wrong: topics, groups, advice.
    """
    if isinstance(question.gold, Mapping) or question.answer_type not in ("short", "span", "number", "list", "yes/no"):
        return False
    said = f" {normalise(text)} "
    held = [bool(normalise(gold)) and f" {normalise(gold)} " in said for gold in question.gold]
    return all(held) if question.answer_type == "list" else any(held)


def _told(error: str, question: KnownQuestion) -> str:
    """Return an error without the question in it: reports are published, questions are their owners'."""
    return error.replace(question.question, "(the question)")[:_LONGEST_ERROR]
