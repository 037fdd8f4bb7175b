"""The corpus screen: adding, watching documents being read, removing, searching; driven by keys."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, Input, Static
from tui_doubles import SIZES, footer_keys, painted

from structrag.errors import ModelError, StoreError
from structrag.events import DocumentAdded, EventListener, ignore_event
from structrag.tui.app import StructRAGApp
from structrag.tui.confirmation import Confirmation
from structrag.tui.corpus_screen import CorpusScreen
from structrag.tui.dialogs import SourceDialog
from structrag.tui.path_dialog import FolderTree, PathDialog
from structrag.tui.paths import complete, near
from structrag.tui.rows import Rows
from structrag.tui.screen import QuestionScreen
from structrag.tui.shelf import ReadingState, Shelf, find
from structrag.types import AddedDocument, AddReport, SourceDocument

pytestmark = pytest.mark.thorough

FELT = 0.05
"""Seconds for which a key may wait before it is felt."""
HOSTILE = "[bold]x[/bold] [@click=app.quit]go[/] \x1b[2J\x1b]0;t\x07\u202eright\u202c a\u200bb 👩‍👩‍👧 [/"


def document(name: str, text: str = "Some text.", **changes: Any) -> SourceDocument:
    return SourceDocument(id=name, title=changes.pop("title", name), text=text, sha256="0", **changes)


@dataclass
class FolderCorpus:
    """An open corpus that holds what it is given, and reads files as slowly as the test wants."""

    held: dict[str, SourceDocument] = field(default_factory=dict)
    gate: threading.Event | None = None
    gate_before: int = 0
    fails: Mapping[str, str] = field(default_factory=dict)
    broken: Exception | None = None
    asked_to_add: list[Path] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def documents(self) -> Sequence[SourceDocument]:
        return list(self.held.values())

    def answers(self, limit: int = 50) -> Sequence[Mapping[str, Any]]:
        return []

    def add(self, paths: Sequence[str | Path], *, listener: EventListener = ignore_event) -> AddReport:
        from structrag.corpus.walk import collect

        self.asked_to_add += [Path(path) for path in paths]
        report = []
        try:
            files = collect([Path(path) for path in paths])
            for number, (path, name) in enumerate(files):
                if self.gate is not None and number == self.gate_before:
                    assert self.gate.wait(30)
                if self.broken is not None:
                    raise self.broken
                added = AddedDocument(name, "added", source=str(path))
                if name in self.fails:
                    added = AddedDocument(name, "failed", self.fails[name], str(path))
                else:
                    self.held[name] = document(name, path.read_text("utf-8"), source=str(path))
                report.append(added)
                listener(DocumentAdded(added, number + 1, len(files)))
        finally:
            self.ended.set()
        return AddReport(tuple(report))

    def remove(self, ids: Sequence[str]) -> None:
        for each in ids:
            if each not in self.held:
                raise StoreError(f"There is no document {each}.", hint="List them.")
            del self.held[each]

    def close(self) -> None:
        pass


def app_for(corpus: FolderCorpus, demo: Path = Path("demo")) -> StructRAGApp:
    return StructRAGApp(Path("my-corpus"), lambda folder: corpus, demo=lambda: [demo])  # type: ignore[arg-type,return-value]


async def settle(pilot: Pilot[None]) -> None:
    """Wait until no worker is left but those that keep the tree of a dialog up to date."""
    await pilot.pause()
    for _ in range(1000):
        under_way = [w for w in pilot.app.workers if not isinstance(w.node, DirectoryTree)]
        if not under_way:
            break
        await pilot.app.workers.wait_for_complete(under_way)
        await pilot.pause()
    await pilot.pause()


async def until(pilot: Pilot[None], holds: Any) -> None:
    """Wait until the screen shows what is expected."""
    for _ in range(400):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never came to hold:\n{painted(pilot)}")


def listed(pilot: Pilot[None]) -> list[str]:
    """Return dot and name of every row."""
    rows = pilot.app.screen.query_one(Rows)
    return [" ".join(rows.row_at(index).cells[:2]) for index in range(rows.row_count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"a.md": "About alder.", "b.md": "About birch.", "c.md": "About cedar."}.items():
        (tmp_path / "trees" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "trees" / name).write_text(text, encoding="utf-8")
    return tmp_path / "trees"


async def open_screen(pilot: Pilot[None]) -> None:
    await settle(pilot)
    await pilot.press("f2")
    await settle(pilot)
    assert isinstance(pilot.app.screen, CorpusScreen)


async def add_typed(pilot: Pilot[None], path: Path) -> None:
    await pilot.press("a")
    await pilot.pause()
    assert isinstance(pilot.app.screen, PathDialog)
    pilot.app.screen.query_one("#path", Input).value = str(path)
    await pilot.press("enter")
    await pilot.pause()


@SIZES
async def test_lists_the_documents_and_says_when_there_are_none(size: tuple[int, int]) -> None:
    corpus = FolderCorpus()
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        assert "There are no documents yet: a adds files or a folder" in painted(pilot)
        await pilot.press("f2")
        corpus.held = {"a.md": document("a.md", "x" * 1234, title="Alder", source="/trees/a.md")}
        await pilot.press("f2")
        await settle(pilot)
        assert listed(pilot) == ["● Alder"]
        assert "1,234 chars" in painted(pilot)
        assert "/trees/a.md" in painted(pilot)


@SIZES
async def test_a_typed_folder_is_added_with_one_dot_a_document(size: tuple[int, int], folder: Path) -> None:
    corpus = FolderCorpus(gate=threading.Event(), gate_before=1, fails={"b.md": "It holds no text."})
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        await add_typed(pilot, folder)
        await until(pilot, lambda: listed(pilot) == ["● a.md", "◐ b.md", "○ c.md"])
        assert "1 of 3" in painted(pilot)
        assert corpus.gate is not None
        corpus.gate.set()
        await settle(pilot)
        assert corpus.asked_to_add == [folder]
        # What failed stays, with its reason; the others are in the corpus.
        assert listed(pilot) == ["✗ b.md", "● a.md", "● c.md"]
        assert "It holds no text." in painted(pilot)
        assert "2 documents, 1 could not be read" in painted(pilot)
        # The ask screen knows of them too.
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        assert not pilot.app.screen.query_one("#question").disabled


@SIZES
async def test_escape_stops_adding_and_keeps_what_is_done(size: tuple[int, int], folder: Path) -> None:
    corpus = FolderCorpus(gate=threading.Event(), gate_before=1)
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        await add_typed(pilot, folder)
        await until(pilot, lambda: listed(pilot)[:1] == ["● a.md"])
        await pilot.press("a")  # nothing else can be added meanwhile
        assert isinstance(pilot.app.screen, CorpusScreen)
        await pilot.press("escape")
        await pilot.pause()
        assert "Stopping" in painted(pilot)
        assert corpus.gate is not None
        corpus.gate.set()
        assert await asyncio.to_thread(corpus.ended.wait, 30)
        await until(pilot, lambda: "Stopped; what was read is kept" in painted(pilot))
        # The document at which the work was stopped had been read.
        assert listed(pilot) == ["● a.md", "● b.md"]
        assert "c.md" not in corpus.held


async def test_what_is_wrong_with_the_corpus_is_said_and_adding_can_be_tried_again(folder: Path) -> None:
    corpus = FolderCorpus(broken=ModelError("The embedder [bold]fails[/bold].", hint="Run `structrag doctor`."))
    async with app_for(corpus).run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        await add_typed(pilot, folder)
        await settle(pilot)
        assert "The embedder [bold]fails[/bold]." in painted(pilot)
        assert "Run `structrag doctor`." in painted(pilot)
        assert listed(pilot) == []
        corpus.broken = None
        await add_typed(pilot, folder)
        await settle(pilot)
        assert len(listed(pilot)) == 3


async def test_a_corpus_that_does_not_open_is_said() -> None:
    def fail(path: Path) -> Any:
        raise StoreError("corpus.sqlite is locked.", hint="Close the other program.")

    async with StructRAGApp(Path("my-corpus"), fail).run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        assert "corpus.sqlite is locked." in painted(pilot)
        assert "Close the other program." in painted(pilot)


async def test_d_adds_the_demo(folder: Path) -> None:
    corpus = FolderCorpus()
    async with app_for(corpus, demo=folder).run_test() as pilot:
        await open_screen(pilot)
        await pilot.press("d")
        await settle(pilot)
        assert corpus.asked_to_add == [folder]
        assert len(listed(pilot)) == 3


@SIZES
async def test_files_and_folders_are_picked_in_a_tree(size: tuple[int, int], folder: Path) -> None:
    corpus = FolderCorpus()
    (folder / HOSTILE.replace("/", "_").replace("\x07", "")).write_text("Hostile name.", encoding="utf-8")
    (folder / ".hidden").write_text("Hidden.", encoding="utf-8")
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, CorpusScreen)
        screen._folder = folder
        await pilot.press("a", "tab")
        tree = pilot.app.screen.query_one(FolderTree)
        await until(pilot, lambda: len(tree.root.children) == 4)
        assert "[bold]x[_bold]" in painted(pilot)
        assert ".hidden" not in painted(pilot)
        await pilot.press("down", "down", "a")
        await settle(pilot)
        assert [path.name for path in corpus.asked_to_add] == [sorted(p.name for p in folder.glob("[!.]*"))[1]]
        await pilot.press("a", "tab", "a")  # the folder itself, which is marked at first
        await settle(pilot)
        assert corpus.asked_to_add[-1] == folder


async def test_a_path_that_is_not_there_is_said_and_escape_adds_nothing(folder: Path) -> None:
    corpus = FolderCorpus()
    async with app_for(corpus).run_test() as pilot:
        await open_screen(pilot)
        await add_typed(pilot, folder / "[bold]no[/bold]")
        assert "[bold]no[/bold]." in painted(pilot)
        pilot.app.screen.query_one("#path", Input).value = "x\x00y"
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, PathDialog)
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, CorpusScreen)
        assert corpus.asked_to_add == []


async def test_ctrl_up_shows_the_folder_above(folder: Path) -> None:
    async with app_for(FolderCorpus()).run_test() as pilot:
        await open_screen(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, CorpusScreen)
        screen._folder = folder
        await pilot.press("a", "tab", "ctrl+up")
        await pilot.pause()
        assert Path(pilot.app.screen.query_one(FolderTree).path) == folder.parent


def test_paths_are_completed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".secret").mkdir()
    (folder / "ab\x1b[31m.md").write_text("x", encoding="utf-8")
    assert complete(str(folder.parent / "tre")) == f"{folder}/"
    assert complete(str(folder / "b")) == str(folder / "b.md")
    assert complete(str(folder / "ab")) is None  # its name would steer the terminal
    assert complete(str(folder / ".s")) == f"{folder / '.secret'}/"
    assert complete(f"{folder}/") is None
    assert complete(str(folder / "zzz")) is None
    assert complete("/no/such/folder/x") is None
    assert complete("") is None
    assert complete("x\x00y/z") is None
    monkeypatch.setenv("HOME", str(folder.parent))
    assert complete("~/tre") == "~/trees/"
    monkeypatch.chdir(folder)
    assert complete("c") == "c.md"


async def test_the_completion_is_taken_with_the_right_arrow(folder: Path) -> None:
    corpus = FolderCorpus()
    async with app_for(corpus).run_test() as pilot:
        await open_screen(pilot)
        await pilot.press("a")
        await pilot.pause()
        field_ = pilot.app.screen.query_one("#path", Input)
        field_.value = str(folder / "b")
        field_.cursor_position = len(field_.value)
        await until(pilot, lambda: field_._suggestion == str(folder / "b.md"))
        await pilot.press("right", "enter")
        await settle(pilot)
        assert corpus.asked_to_add == [folder / "b.md"]


@SIZES
async def test_a_document_is_removed_only_after_a_yes(size: tuple[int, int]) -> None:
    corpus = FolderCorpus({name: document(name, title=HOSTILE) for name in ("a.md", "b.md")})
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        await pilot.press("down", "x")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Confirmation)
        assert "[bold]x[/bold]" in painted(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert set(corpus.held) == {"a.md", "b.md"}
        await pilot.press("x", "enter")  # the focus is on No
        await settle(pilot)
        assert set(corpus.held) == {"a.md", "b.md"}
        await pilot.press("x", "y")
        await settle(pilot)
        assert set(corpus.held) == {"a.md"}
        assert len(listed(pilot)) == 1


async def test_removing_what_is_gone_is_said() -> None:
    corpus = FolderCorpus({"a.md": document("a.md")})
    async with app_for(corpus).run_test() as pilot:
        await open_screen(pilot)
        await pilot.press("x")
        corpus.held.clear()
        await pilot.press("y")
        await settle(pilot)
        assert "There is no document a.md." in painted(pilot)


async def test_removing_what_could_not_be_read_only_forgets_it(folder: Path) -> None:
    corpus = FolderCorpus(fails={"a.md": "It is empty."})
    async with app_for(corpus).run_test() as pilot:
        await open_screen(pilot)
        await add_typed(pilot, folder)
        await settle(pilot)
        await pilot.press("x")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CorpusScreen)
        assert listed(pilot) == ["● b.md", "● c.md"]


@SIZES
async def test_search_looks_in_titles_and_texts(size: tuple[int, int]) -> None:
    held = [document("a.md", "The Alder is a tree.", title="One"), document("b.md", "x", title="Alderman")]
    corpus = FolderCorpus({each.id: each for each in [*held, document("c.md", "Neither.")]})
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        await pilot.press("slash", *"alder")
        await settle(pilot)
        assert listed(pilot) == ["● One", "● Alderman"]
        await pilot.press("enter", "enter")  # to the list, and open what is highlighted
        await pilot.pause()
        assert isinstance(pilot.app.screen, SourceDialog)
        quoted = pilot.app.screen.query_one("#quoted", Static)
        assert "Alder" in str(quoted.content)
        await pilot.press("escape")
        await pilot.press("slash", *"qq")
        await settle(pilot)
        assert listed(pilot) == []
        assert "Nothing holds “qq”" in painted(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert len(listed(pilot)) == 3
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, QuestionScreen)


@SIZES
async def test_hostile_names_and_texts_are_shown_as_text(size: tuple[int, int]) -> None:
    odd = document(
        HOSTILE, f"{HOSTILE} {'long ' * 200_000}", title=HOSTILE, source=f"/x/{HOSTILE}", warnings=(HOSTILE,)
    )
    async with app_for(FolderCorpus({odd.id: odd})).run_test(size=size) as pilot:
        await open_screen(pilot)
        await pilot.press("slash", *"bold")
        await settle(pilot)
        shown = painted(pilot)
        assert "[bold]x[/bold] [@click=app.quit]go[/]" in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        await pilot.press("enter", "enter")
        await pilot.pause()
        assert "[bold]x[/bold]" in painted(pilot)
        assert pilot.app.is_running


@SIZES
async def test_the_footer_shows_at_most_six_keys(size: tuple[int, int]) -> None:
    async with app_for(FolderCorpus({"a.md": document("a.md")})).run_test(size=size) as pilot:
        await open_screen(pilot)
        assert footer_keys(pilot) == ["Add", "Remove", "Search", "Back", "Quit", "Help"]


async def test_adding_500_documents_never_keeps_a_key_waiting(tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(500):
        (many / f"{number:03}.md").write_text(f"Document {number}. " * 50, encoding="utf-8")
    # A busy machine can only make a step longer, so what is short in one of a few tries is short.
    for _ in range(4):
        if (longest := await longest_step_of_adding(many)) < FELT:
            break
    assert longest < FELT


async def longest_step_of_adding(many: Path) -> float:
    corpus = FolderCorpus()
    longest = 0.0

    async def watch() -> None:
        # Processor time of this thread between two turns of its loop: what a key press would wait for,
        # whatever else the machine does.
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        await add_typed(pilot, many)
        watching = asyncio.create_task(watch())
        await until(pilot, lambda: len(corpus.held) == 500)
        await settle(pilot)
        watching.cancel()
        assert len(listed(pilot)) == 500
    return longest


# The entries, without a screen


def test_news_of_documents_are_taken_in_one_by_one() -> None:
    shelf = Shelf()
    kept = document("kept.md", source="/t/kept.md")
    shelf.put([kept, document("gone.md", source="/t/gone.md")])
    shelf.expect([(Path("/t/kept.md"), "kept.md"), (Path("/t/new.md"), "new.md"), (Path("/t/bad.pdf"), "bad.pdf")])
    assert [(e.id, e.state) for e in shelf.entries] == [
        ("kept.md", ReadingState.WORKING),
        ("new.md", ReadingState.WAITING),
        ("bad.pdf", ReadingState.WAITING),
        ("gone.md", ReadingState.DONE),
    ]
    shelf.note(DocumentAdded(AddedDocument("gone.md", "removed", source="/t/gone.md"), 1, 4))
    shelf.note(DocumentAdded(AddedDocument("kept.md", "unchanged", source="/t/kept.md"), 2, 4))
    shelf.note(DocumentAdded(AddedDocument("t/new.md", "added", source="/t/new.md"), 3, 4))
    assert [(e.id, e.state, e.note) for e in shelf.entries] == [
        ("kept.md", ReadingState.DONE, "unchanged"),
        ("t/new.md", ReadingState.DONE, "added"),
        ("bad.pdf", ReadingState.WORKING, ""),
    ]
    shelf.note(DocumentAdded(AddedDocument("bad.pdf", "failed", "No text.", "/t/bad.pdf"), 4, 4))
    shelf.put([kept, document("t/new.md", source="/t/new.md")])
    assert [(e.id, e.note) for e in shelf.entries] == [("bad.pdf", "No text."), ("kept.md", ""), ("t/new.md", "")]


def test_a_path_is_called_as_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert near(f"{tmp_path}/firms/a.md") == "firms/a.md"
    monkeypatch.chdir("/")
    assert near(f"{tmp_path}/home/a.md") == "~/a.md"
    assert near("elsewhere/a.md") == "elsewhere/a.md"


def test_finding_says_where() -> None:
    found = find("(tree", document("a", "An alder (TREE) it is."))
    assert found is not None
    assert "An alder (TREE) it is."[found.start : found.end] == "(TREE"
    assert "(TREE) it is." in found.snippet
    named = find("ALD", document("a", "none", title="Alder"))
    assert named is not None
    assert named.start == -1
    assert find("zzz", document("a", "none")) is None
