"""What all screens share: keys and their settings, the palette, jumping, themes, the model that answers, help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import REPORT, SIZES, ScriptedCorpus, ask, footer_keys, painted, settle

import structrag.tui
from structrag.errors import ConfigError, ModelError
from structrag.tui.app import StructRAGApp
from structrag.tui.commands import ActionCommands
from structrag.tui.confirmation import Confirmation
from structrag.tui.corpus_screen import CorpusScreen
from structrag.tui.dialogs import HelpDialog
from structrag.tui.history_screen import HistoryScreen
from structrag.tui.jump import JumpOverlay
from structrag.tui.key_help import KeyHelp
from structrag.tui.known_actions import known_actions
from structrag.tui.model_picker import ModelPicker
from structrag.tui.router_screen import RouterScreen
from structrag.tui.rows import Column, Row, Rows
from structrag.tui.screen import QuestionScreen
from structrag.tui.settings_in_force import Appearance, read_appearance, read_in_force

pytestmark = pytest.mark.thorough

HOSTILE = "[bold]x[/bold]\x1b[2J\u202eevil\u202c"
SCREENS = {"f2": CorpusScreen, "f3": RouterScreen, "f4": HistoryScreen}


class KeepingCorpus(ScriptedCorpus):
    """A scripted corpus that keeps no preferences."""

    def preferences(self) -> dict[int, object]:
        return {}


class NoRouters:
    """Routers of which there are none."""

    def versions(self) -> list[object]:
        return []


@dataclass
class ModelShop:
    """Opens a corpus with any model but the one it does not have."""

    corpus: ScriptedCorpus
    missing: str = ""
    opened: list[str] = field(default_factory=list)

    def __call__(self, folder: Path, model: str) -> ScriptedCorpus:
        self.opened.append(model)
        if model == self.missing:
            raise ModelError(f"There is no model {model}.", hint="Choose another.")
        return self.corpus


def app_with(corpus: ScriptedCorpus | None = None, **given: object) -> StructRAGApp:
    held = corpus or KeepingCorpus()
    given = {"routers": lambda folder: NoRouters(), "demo": lambda: [Path("demo")], **given}
    return StructRAGApp(Path("my-corpus"), lambda folder: held, **given)  # type: ignore[arg-type]


async def calm(pilot: Pilot[None]) -> None:
    """Wait until no worker is left, some of which were cancelled by others of their group."""
    await pilot.pause()
    while list(pilot.app.workers):
        await pilot.pause(0.02)
    await pilot.pause()


def told(pilot: Pilot[None]) -> str:
    return " ".join(notification.message for notification in pilot.app._notifications)


# Going from screen to screen


@SIZES
async def test_function_keys_show_the_screens_and_go_back(size: tuple[int, int]) -> None:
    async with app_with().run_test(size=size) as pilot:
        await settle(pilot)
        for key, screen in SCREENS.items():
            await pilot.press(key)
            await settle(pilot)
            assert isinstance(pilot.app.screen, screen)
            assert f"[{key.upper()} " in painted(pilot)
            assert "Help" in footer_keys(pilot)
        await pilot.press("f4")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        await pilot.press("f2", "escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)


async def test_screens_may_be_changed_in_a_hurry() -> None:
    async with app_with().run_test() as pilot:
        app = pilot.app
        assert isinstance(app, StructRAGApp)
        for name in ("router", "history", "corpus", "router", "corpus", "corpus", "history", "router"):
            # None of them is composed before the next is wanted.
            app.action_show(name)
            app.screen.refresh_bindings()
            assert app.screen.active_bindings
        await calm(pilot)
        assert isinstance(app.screen, RouterScreen)
        assert "Version" in painted(pilot)
        for screen in [*SCREENS, *SCREENS]:
            await pilot.press(screen)
        await calm(pilot)
        assert isinstance(app.screen, HistoryScreen)


async def test_a_question_goes_on_while_another_screen_is_shown() -> None:
    corpus = KeepingCorpus()
    gate = corpus.hold("slow")
    async with app_with(corpus).run_test() as pilot:
        await settle(pilot)
        pilot.app.screen.query_one("#question", Input).value = "slow"
        await pilot.press("enter", "f2")
        await pilot.pause()
        gate.set()
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        assert "412 million EUR [1]" in painted(pilot)


async def test_s_on_the_corpus_screen_asks_over_that_document() -> None:
    corpus = KeepingCorpus()
    async with app_with(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        await pilot.press("s")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        await ask(pilot, "q")
        assert corpus.scopes == [(REPORT.id,)]


# Help and the palette


async def test_f1_lists_the_keys_of_the_screen_and_of_what_has_the_focus() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpDialog)
        await pilot.press("escape", "f2")
        await settle(pilot)
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(pilot.app.screen, KeyHelp)
        shown = painted(pilot)
        assert re.search(r"x, del +Remove", shown)
        assert re.search(r"f3 +See, teach and change the router", shown)
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CorpusScreen)


@pytest.mark.parametrize("key", ["f2", "f3", "f4"])
async def test_every_action_of_a_screen_is_in_the_palette(key: str) -> None:
    async with app_with().run_test() as pilot:
        await settle(pilot)
        await pilot.press(key)
        await settle(pilot)
        screen = pilot.app.screen
        possible = {b.description for b in SCREENS[key].BINDINGS if screen.check_action(b.action.partition("(")[0], ())}  # type: ignore[union-attr]
        provider = ActionCommands(screen)
        offered = {str(hit.display) async for hit in provider.discover()}  # type: ignore[union-attr]
        assert possible <= offered
        assert {"Corpus", "Router", "History", "Model", "Jump", "Help", "Quit"} <= offered
        found = [str(hit.text) async for hit in provider.search("histor")]  # type: ignore[union-attr]
        assert "History" in found


async def test_an_action_is_run_from_the_palette() -> None:
    async with app_with().run_test() as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CommandPalette)
        await pilot.press(*"earlier questions")
        for _ in range(100):
            await pilot.pause(0.02)
            if "See earlier questions" in painted(pilot):
                break
        await pilot.press("enter")
        await settle(pilot)
        await pilot.pause()
        assert isinstance(pilot.app.screen, HistoryScreen)


# Jump mode


@SIZES
async def test_a_letter_jumps_to_what_it_stands_on(size: tuple[int, int]) -> None:
    async with app_with().run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        assert isinstance(pilot.app.focused, Rows)
        await pilot.press("ctrl+o")
        await pilot.pause()
        assert isinstance(pilot.app.screen, JumpOverlay)
        assert re.search(r"^ a ", painted(pilot), re.MULTILINE)
        await pilot.press("a")
        await pilot.pause()
        assert pilot.app.focused is pilot.app.screen.query_one("#search")
        await pilot.press("ctrl+o", "s")
        await pilot.pause()
        assert isinstance(pilot.app.focused, Rows)
        for leave in ("escape", "ctrl+o", "0"):
            await pilot.press("ctrl+o", leave)
            await pilot.pause()
            assert isinstance(pilot.app.screen, CorpusScreen)
            assert isinstance(pilot.app.focused, Rows)


async def test_jumping_works_on_the_ask_screen_while_a_question_is_typed() -> None:
    async with app_with().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert isinstance(pilot.app.focused, Input)
        await pilot.press("ctrl+o")
        await pilot.pause()
        overlay = pilot.app.screen
        assert isinstance(overlay, JumpOverlay)
        letter = next(letter for letter, widget in overlay._targets.items() if widget.id == "documents")
        await pilot.press(letter)
        await pilot.pause()
        assert pilot.app.focused is not None
        assert pilot.app.focused.id == "documents"


# Keys from the settings


async def test_keys_are_remapped() -> None:
    keys = {"corpus.remove": "f9", "app.show_corpus": "f12"}
    async with app_with(appearance=Appearance(keys=keys)).run_test() as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        await pilot.press("f12")
        await settle(pilot)
        assert isinstance(pilot.app.screen, CorpusScreen)
        await pilot.press("x", "delete")
        await settle(pilot)
        assert isinstance(pilot.app.screen, CorpusScreen)
        await pilot.press("f9")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Confirmation)


async def test_what_shared_a_key_with_a_remapped_action_keeps_it(tmp_path: Path) -> None:
    write(tmp_path, '[tui.keys]\nask.cancel = "f9"\n')
    corpus = KeepingCorpus()
    gate = corpus.hold("slow")
    async with app_with(corpus, appearance=read_appearance(tmp_path)).run_test() as pilot:
        await settle(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(pilot.app.focused, Input)
        await pilot.press("slash", *"slow", "enter", "f9")
        await pilot.pause()
        assert "Cancelled" in painted(pilot)
        gate.set()
        await settle(pilot)


def test_every_action_has_a_name_of_its_own() -> None:
    names = known_actions()
    assert {"app.help", "app.jump", "ask.compare", "corpus.add", "router.train", "history.export"} <= names.keys()
    owners = (StructRAGApp, QuestionScreen, *SCREENS.values())
    bound = [binding for owner in owners for binding in owner.BINDINGS]
    assert len(names) == len(bound)


def write(folder: Path, text: str) -> Path:
    path = folder / "structrag.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_two_actions_may_change_places(tmp_path: Path) -> None:
    write(tmp_path, '[tui.keys]\ncorpus.add = "x"\ncorpus.remove = "a"\nhistory.copy = "t"\n')
    assert dict(read_appearance(tmp_path).keys) == {"corpus.add": "x", "corpus.remove": "a", "history.copy": "t"}


def test_keys_and_theme_are_read_from_the_settings(tmp_path: Path) -> None:
    assert read_appearance(tmp_path) == Appearance()
    write(tmp_path, '[tui]\ntheme = "high-contrast"\n[tui.keys]\ncorpus.add = "ctrl+n"\n"app.help" = "f1,f9"\n')
    read = read_appearance(tmp_path)
    assert (read.theme, dict(read.keys)) == ("high-contrast", {"corpus.add": "ctrl+n", "app.help": "f1,f9"})


def test_the_settings_in_the_docs_are_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "terminal-ui.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    write(tmp_path, block)
    read = read_appearance(tmp_path)
    assert read.theme == "high-contrast"
    assert dict(read.keys) == {"corpus.add": "ctrl+n", "app.help": "f1,question_mark"}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[tui.keys]\ncorpus.ad = "n"\n', "there is no action 'corpus.ad'", "Did you mean corpus.add?"),
        ('[tui.keys]\nzzz = "n"\n', "there is no action 'zzz'", "There are: app."),
        ('[tui]\ntheme = "textual-darc"\n', "there is no theme 'textual-darc'", "Did you mean textual-dark?"),
        ('[tui.keys]\ncorpus.add = "x"\n', "corpus.add is to have the key x, which corpus.remove has", "another key"),
        ('[tui.keys]\nrouter.train = "f1"\n', "router.train is to have the key f1, which app.help has", ""),
        ('[tui.keys]\ncorpus.add = " , "\n', "corpus.add would have no key", ""),
        ("[tui.keys]\ncorpus.add = 3\n", "the setting tui.keys.corpus.add is wrong", ""),
        ('[tui]\nkeys = "n"\n', "the setting tui.keys is wrong", ""),
        ("[tui]\ncolour = 1\n", "there is no setting tui.colour", ""),
    ],
)
def test_what_is_wrong_in_the_settings_is_an_error_before_the_ui_starts(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        structrag.tui.run(tmp_path)
    assert message in caught.value.message
    assert str(path) in caught.value.message
    assert hint in (caught.value.hint or "")


# Themes


@pytest.mark.parametrize("theme", ["textual-light", "textual-dark", "high-contrast"])
async def test_a_theme_is_put_in_force(theme: str) -> None:
    async with app_with(appearance=Appearance(theme=theme)).run_test() as pilot:
        await settle(pilot)
        assert pilot.app.theme == theme
        assert "high-contrast" in pilot.app.available_themes
        await pilot.press("f2")
        await settle(pilot)
        assert "Alder report" in painted(pilot)


async def test_the_high_contrast_theme_mutes_nothing() -> None:
    async with app_with(appearance=Appearance(theme="high-contrast")).run_test() as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        about = pilot.app.screen.query_one("#about")
        ratio = contrast(about.styles.color.rgb, about.background_colors[1].rgb)
        assert ratio >= 7  # what WCAG calls enhanced


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast ratio as WCAG defines it."""

    def luminance(rgb: tuple[int, int, int]) -> float:
        parts = [value / 255 for value in rgb]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("is_set", [True, False])
async def test_no_color_leaves_only_greys(monkeypatch: pytest.MonkeyPatch, is_set: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if is_set:
        monkeypatch.setenv("NO_COLOR", "1")
    async with app_with().run_test() as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        drawn = {
            colour.triplet
            for strip in pilot.app.screen._compositor.render_strips()
            for segment in strip.apply_filter(pilot.app._filters[-1], pilot.app.screen.background_colors[1])
            if segment.style
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None and colour.triplet is not None
        }
        assert all(red == green == blue for red, green, blue in drawn) is is_set
        # The states of documents are told apart all the same.
        assert "● Alder report" in " ".join(painted(pilot).split())


# The model that answers


@SIZES
async def test_another_model_is_chosen_and_the_corpus_opened_with_it(size: tuple[int, int]) -> None:
    corpus = KeepingCorpus()
    shop = ModelShop(corpus)
    async with app_with(corpus, open_with=shop).run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("f5")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ModelPicker)
        assert "embedded (in use)" in painted(pilot)
        await pilot.press("enter")  # the one in use: nothing changes
        await settle(pilot)
        assert shop.opened == []
        await pilot.press("f5", "tab", *"ollama:qwen3", "enter")
        await settle(pilot)
        assert shop.opened == ["ollama:qwen3"]
        assert corpus.closed == 1
        assert "ollama:qwen3 answers from now on." in told(pilot)
        await pilot.press("f2")
        await settle(pilot)
        assert "ollama:qwen3 · no budget" in painted(pilot)


async def test_a_model_that_there_is_not_leaves_the_old_one_in_use() -> None:
    corpus = KeepingCorpus()
    shop = ModelShop(corpus, missing=HOSTILE)
    async with app_with(corpus, open_with=shop).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("f5", "tab")
        await pilot.pause()
        pilot.app.screen.query_one("#model", Input).value = HOSTILE
        await pilot.press("enter")
        await settle(pilot)
        assert "There is no model" in told(pilot)
        assert "Choose another." in told(pilot)
        pilot.app.screen.query_one("#question", Input).focus()
        await ask(pilot, "q")
        assert corpus.asked == [("q", None)]
        assert shop.opened == [HOSTILE]


async def test_the_model_is_not_changed_under_a_question() -> None:
    corpus = KeepingCorpus()
    gate = corpus.hold("slow")
    shop = ModelShop(corpus)
    async with app_with(corpus, open_with=shop).run_test() as pilot:
        await settle(pilot)
        pilot.app.screen.query_one("#question", Input).value = "slow"
        await pilot.press("enter", "f5", "tab", *"x:y", "enter")
        await pilot.pause()
        assert "Something is under way." in told(pilot)
        assert (shop.opened, corpus.closed) == ([], 0)
        gate.set()
        await settle(pilot)


def test_model_and_budget_are_those_of_the_settings(tmp_path: Path) -> None:
    assert str(read_in_force(tmp_path, None)) == "embedded · no budget"
    write(tmp_path, "[budget]\ncalls = 20\ntokens = 12000\nseconds = 1.5\n[models]\nchat = 'openai:x'\n")
    assert str(read_in_force(tmp_path, None)) == "openai:x · budget 20 calls, 12,000 tokens, 1.5 s"
    assert read_in_force(tmp_path, "ollama:y").model == "ollama:y"


# Rows


async def test_rows_are_walked_by_keys_and_by_mouse() -> None:
    corpus = KeepingCorpus(held=[REPORT])
    async with app_with(corpus).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        rows = pilot.app.screen.query_one(Rows)
        rows.show([Row(("●", f"row {n}", "", "")) for n in range(5000)])
        for key, expected in {"down": 1, "j": 2, "k": 1, "end": 4999, "up": 4998, "home": 0}.items():
            await pilot.press(key)
            assert rows.highlighted == expected
        await pilot.press("pagedown")
        await pilot.pause()
        assert rows.highlighted is not None
        assert 5 < rows.highlighted < 24
        await pilot.press("end")
        await pilot.pause()
        assert "row 4999" in painted(pilot)
        await pilot.click(Rows, offset=(5, 3))  # below the border and the titles
        assert rows.highlighted is not None
        assert rows.highlighted < 4999
        clicked = rows.highlighted
        assert f"row {clicked}" in painted(pilot)


async def test_a_wide_list_shows_columns_that_a_narrow_one_leaves_out() -> None:
    rows = Rows("r", [Column("", 1), Column("a"), Column("b", 10), Column("c", wide_only=True)])
    assert rows.widths(80) == [1, 65, 10, 0]
    assert sum(rows.widths(120)) + 6 <= 120
    assert all(rows.widths(120))


# What it costs to start


LAZY = [
    "structrag.tui.corpus_screen",
    "structrag.tui.router_screen",
    "structrag.tui.history_screen",
    "structrag.router.versions",
    "structrag.config",
    "structrag.pipeline",
    "numpy",
    "pydantic",
    "torch",
    "chromadb",
    "langchain_core",
    "trl",
]


def test_nothing_heavy_is_imported_before_the_first_paint(tmp_path: Path) -> None:
    # In a process of its own; the corpus is opened after the first paint, and here never.
    script = """
import json, sys, threading
from pathlib import Path
from structrag.tui.app import StructRAGApp
from structrag.tui.settings_in_force import read_appearance

folder = Path("nothing-here")
seen = []
gate = threading.Event()

def open_late(folder):
    gate.wait(30)
    raise SystemExit

async def look(pilot):
    await pilot.pause()
    assert pilot.app.focused is not None and pilot.app.focused.id == "question", pilot.app.focused
    seen.extend(sys.modules)
    gate.set()
    pilot.app.exit()

StructRAGApp(folder, open_late, appearance=read_appearance(folder)).run(headless=True, auto_pilot=look)
print(json.dumps(seen))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.stdout, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert [name for name in LAZY if name in loaded] == []
