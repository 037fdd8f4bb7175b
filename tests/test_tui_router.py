"""The router screen, driven by keys; training, comparing and measuring are scripted at their protocol."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Sparkline
from tui_doubles import SIZES, footer_keys, painted, settle
from tui_routers import BETTER, WORSE, PreferringCorpus, ScriptedRouters, app_for, pair, steps

from structrag.errors import MissingExtraError, RoutingError
from structrag.tui.app import StructRAGApp
from structrag.tui.confirmation import Confirmation
from structrag.tui.router_messages import Compared
from structrag.tui.router_screen import RouterScreen
from structrag.tui.rows import Rows
from structrag.tui.screen import QuestionScreen

pytestmark = pytest.mark.thorough

HOSTILE = "[bold]x[/bold] [@click=app.quit]go[/] \x1b[2J\u202eright\u202c a\u200bb 👩‍👩‍👧 [/"


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    for _ in range(400):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never came to hold:\n{painted(pilot)}")


async def open_screen(pilot: Pilot[None]) -> RouterScreen:
    await settle(pilot)
    await pilot.press("f3")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, RouterScreen)
    return screen


def told(pilot: Pilot[None]) -> str:
    return " ".join(notification.message for notification in pilot.app._notifications)


@SIZES
async def test_shows_the_versions_and_which_is_in_use(size: tuple[int, int]) -> None:
    async with app_for(ScriptedRouters(damaged="v1")).run_test(size=size) as pilot:
        await open_screen(pilot)
        shown = painted(pilot)
        assert re.search(r"● +shipped +0\.930 +0\.014 +6460 pairs", shown)
        assert re.search(r"  v1 +damaged", shown)
        assert "shipped, in use" in shown
        assert "held out 625" in shown
        await pilot.press("down")
        await pilot.pause()
        assert "v1 is damaged." in painted(pilot)


@SIZES
async def test_shows_the_preferences_and_takes_one_back(size: tuple[int, int]) -> None:
    corpus = PreferringCorpus({3: pair("First?"), 7: pair(HOSTILE)})
    async with app_for(ScriptedRouters(), corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        await pilot.press("2")
        await pilot.pause()
        shown = painted(pilot)
        assert re.search(r"3 +First\? +graph +chunk", shown)
        assert "[bold]x[/bold] [@click=app.quit]go[/]" in shown
        assert "Undo" in footer_keys(pilot)
        await pilot.press("u")
        await settle(pilot)
        assert list(corpus.kept) == [7]
        assert pilot.app.screen.query_one("#preference-rows", Rows).row_count == 1
        await pilot.press("u")
        await settle(pilot)
        assert "None yet: on the ask screen" in painted(pilot)
        await pilot.press("u")
        await settle(pilot)
        assert pilot.app.is_running


async def test_a_preference_that_is_gone_is_said() -> None:
    corpus = PreferringCorpus({3: pair()})
    async with app_for(ScriptedRouters(), corpus).run_test() as pilot:
        await open_screen(pilot)
        corpus.kept.clear()
        await pilot.press("2", "u")
        await settle(pilot)
        assert "There is no preference 3." in painted(pilot)


@SIZES
async def test_the_version_in_use_is_measured_once_when_its_quality_is_looked_at(size: tuple[int, int]) -> None:
    routers = ScriptedRouters()
    async with app_for(routers).run_test(size=size) as pilot:
        await open_screen(pilot)
        assert routers.measured == []
        await pilot.press("3")
        await settle(pilot)
        shown = painted(pilot)
        assert "Accuracy 91.8% (89.0% to 94.0%) on 490 held-out questions" in shown
        assert "calibration error 0.021" in shown
        assert re.search(r"table +\[90\] +2 +2", shown)
        await pilot.press("1", "3")
        await settle(pilot)
        assert routers.measured == ["shipped"]
        await pilot.press("m")
        await settle(pilot)
        assert routers.measured == ["shipped", "shipped"]
        await pilot.press("end")
        await pilot.pause()
        assert "Reliability" in painted(pilot)
        assert "490 routes" in painted(pilot)


async def test_what_cannot_be_measured_is_said() -> None:
    async with app_for(ScriptedRouters(fails=RoutingError("[b]Gone[/b].", hint="Train."))).run_test() as pilot:
        await open_screen(pilot)
        await pilot.press("3")
        await settle(pilot)
        assert "[b]Gone[/b]." in painted(pilot)
        assert "Not measured." in painted(pilot)


@SIZES
async def test_a_training_shows_its_loss_its_margin_and_what_came_of_it(size: tuple[int, int]) -> None:
    routers = ScriptedRouters(steps=steps(), gate=threading.Event(), gate_before=3)
    corpus = PreferringCorpus({1: pair(), 2: pair("Other?")})
    async with app_for(routers, corpus).run_test(size=size) as pilot:
        screen = await open_screen(pilot)
        await pilot.press("t")
        await until(pilot, lambda: "step 15 of 20" in painted(pilot))
        shown = painted(pilot)
        assert "Learning the preferences: step 15 of 20, 20 s left" in shown
        assert "Loss: 0.233 (from 0.700; least 0.233, most 0.700)" in shown
        assert "Reward margin: 0.300 (from 0.100; least 0.100, most 0.300)" in shown
        assert screen.query_one("#loss", Sparkline).data == pytest.approx([0.7, 0.35, 0.7 / 3])
        assert "Train" not in footer_keys(pilot)
        # Asking goes on meanwhile.
        await pilot.press("f3")
        assert isinstance(pilot.app.screen, QuestionScreen)
        await pilot.press("f3")
        assert routers.gate is not None
        routers.gate.set()
        await settle(pilot)
        shown = painted(pilot)
        assert "Trained v2; it is not in use yet." in shown
        await pilot.press("end")
        assert "4 before, 9 now" in " ".join(painted(pilot).split())
        assert [len(each) for each in routers.trained] == [2]
        assert routers.way == ["shipped"]
        # What the training compared need not be compared again.
        await pilot.press("1", "end", "p")
        await settle(pilot)
        assert routers.compared == []
        assert routers.records == [("v2", {"comparison": BETTER.to_dict(), "forced": False})]


async def test_the_supervised_stage_has_a_curve_of_its_own_and_no_margin() -> None:
    supervised = [replace(step, stage="sft", margin=None) for step in steps(2)]
    routers = ScriptedRouters(steps=[*supervised, *steps(2)], gate=threading.Event(), gate_before=2)
    async with app_for(routers, PreferringCorpus({1: pair()})).run_test(size=(80, 24)) as pilot:
        screen = await open_screen(pilot)
        await pilot.press("t")
        await until(pilot, lambda: "step 10 of 10" in painted(pilot))
        assert "Learning the labels" in painted(pilot)
        assert "Reward margin: comes with the preferences" in painted(pilot)
        assert routers.gate is not None
        routers.gate.set()
        await settle(pilot)
        assert screen.query_one("#loss", Sparkline).data == pytest.approx([0.7, 0.35])
        assert screen.query_one("#margin", Sparkline).data == pytest.approx([0.1, 0.2])


async def test_escape_stops_a_training_at_its_next_step() -> None:
    routers = ScriptedRouters(steps=steps(), gate=threading.Event(), gate_before=2)
    async with app_for(routers, PreferringCorpus({1: pair()})).run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        await pilot.press("t")
        await until(pilot, lambda: "step 10 of 20" in painted(pilot))
        await pilot.press("escape")
        await pilot.pause()
        assert "Stopping at the next step" in painted(pilot)
        assert routers.gate is not None
        routers.gate.set()
        await until(pilot, lambda: "Stopped." in painted(pilot))
        assert routers.names == ["shipped", "v1"]
        assert "Train" in footer_keys(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MissingExtraError("trl", extra="train", purpose="Training the router"), "pip install 'structrag[train]'"),
        (RuntimeError("out of memory"), "RuntimeError('out of memory')"),
    ],
)
async def test_a_training_that_fails_is_said_and_can_be_tried_again(error: Exception, said: str) -> None:
    routers = ScriptedRouters(fails=error, steps=steps())
    async with app_for(routers, PreferringCorpus({1: pair()})).run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        await pilot.press("t")
        await until(pilot, lambda: said in painted(pilot))
        assert "No version was trained." in painted(pilot)
        routers.fails = None
        await pilot.press("t")
        await settle(pilot)
        assert "Trained v2" in painted(pilot)
        assert said not in painted(pilot)


@SIZES
async def test_a_version_that_is_not_worse_is_put_in_use(size: tuple[int, int]) -> None:
    routers, corpus = ScriptedRouters(), PreferringCorpus()
    async with app_for(routers, corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        await pilot.press("p")  # the first one is in use already
        await settle(pilot)
        assert routers.compared == []
        await pilot.press("down", "p")
        await settle(pilot)
        assert routers.compared == ["v1"]
        assert routers.records == [("v1", {"comparison": BETTER.to_dict(), "forced": False})]
        assert re.search(r"● +v1", painted(pilot))
        # The open corpus is opened again, or it would go on with the router of before.
        assert corpus.closed == 1
        assert "The router v1 is in use now." in told(pilot)
        await pilot.press("b")
        await settle(pilot)
        assert routers.way == ["shipped"]
        assert corpus.closed == 2
        await pilot.press("b")
        await settle(pilot)
        assert "No router was in use before" in painted(pilot)


@SIZES
async def test_a_version_that_may_be_worse_is_put_in_use_only_after_a_yes(size: tuple[int, int]) -> None:
    routers = ScriptedRouters(comparison=WORSE)
    async with app_for(routers).run_test(size=size) as pilot:
        await open_screen(pilot)
        await pilot.press("down", "p")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Confirmation)
        assert "May be worse: -13.0%" in painted(pilot)
        await pilot.press("n")
        await settle(pilot)
        assert routers.records == []
        await pilot.press("p", "y")
        await settle(pilot)
        assert routers.records == [("v1", {"comparison": WORSE.to_dict(), "forced": True})]
        assert routers.compared == ["v1"]


async def test_who_looks_at_something_else_is_not_asked_whether_to_force() -> None:
    routers = ScriptedRouters(comparison=WORSE)
    async with app_for(routers).run_test() as pilot:
        screen = await open_screen(pilot)
        await pilot.press("f1")
        await pilot.pause()
        screen.post_message(Compared("v1", WORSE, "It is worse."))
        await settle(pilot)
        assert not isinstance(pilot.app.screen, Confirmation)
        await pilot.press("escape", "down", "p")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Confirmation)
        assert routers.compared == []  # the comparison was kept


async def test_a_damaged_version_in_use_can_be_replaced_and_a_damaged_one_not_put_in_use() -> None:
    routers = ScriptedRouters(comparison=RoutingError("shipped is damaged."))
    async with app_for(routers).run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        await pilot.press("down", "p")
        await settle(pilot)
        assert "Not compared: shipped is damaged." in painted(pilot)
        routers.damaged = "v1"
        await pilot.press("y")
        await settle(pilot)
        assert routers.records == []
        assert "v1 is damaged." in painted(pilot)
        routers.damaged = ""
        await pilot.press("p")
        await settle(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert routers.records == [("v1", {"comparison": None, "forced": True})]


@SIZES
async def test_the_footer_shows_at_most_six_keys(size: tuple[int, int]) -> None:
    async with app_for(ScriptedRouters()).run_test(size=size) as pilot:
        await open_screen(pilot)
        for tab in "1234":
            await pilot.press(tab)
            await settle(pilot)
            keys = footer_keys(pilot)
            assert {"Help", "Quit"} <= set(keys)
            assert len(keys) <= 6, keys


async def test_routers_that_cannot_be_opened_are_said() -> None:
    def fail(folder: Path) -> Any:
        raise RoutingError("active cannot be read: [b]x[/b].", hint="Remove it.")

    corpus = PreferringCorpus()
    app = StructRAGApp(Path("my-corpus"), lambda folder: corpus, routers=fail)  # type: ignore[arg-type,return-value]
    async with app.run_test() as pilot:
        await open_screen(pilot)
        assert "active cannot be read: [b]x[/b]." in painted(pilot)
        assert "Remove it." in painted(pilot)
