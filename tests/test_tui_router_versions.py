"""The router's versions as the router screen uses them: real folders and graphs; only training itself is replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tui_doubles import painted, settle

from structrag.errors import ConfigError, RoutingError
from structrag.router import questions, retraining, versions
from structrag.router.preferences import PreferencePair
from structrag.router.protocol import RoutingRequest
from structrag.router.questions import LabelledQuestion, ShippedQuestions
from structrag.router.versions import VersionStore
from structrag.tui.app import StructRAGApp
from structrag.tui.router_screen import RouterScreen
from structrag.tui.routers import InstalledRouters, reliability
from structrag.types import StructureType

pytestmark = pytest.mark.thorough

CHUNK, GRAPH = StructureType.CHUNK, StructureType.GRAPH
WriteRouter = Callable[..., Path]


def held_out(*structures: StructureType) -> tuple[LabelledQuestion, ...]:
    return tuple(
        LabelledQuestion(f"q{number}", RoutingRequest("?"), structure, frozenset(), "test")
        for number, structure in enumerate(structures)
    )


@pytest.fixture
def routers(
    tmp_path: Path, router_cache: Path, write_router: WriteRouter, score_once: None, monkeypatch: pytest.MonkeyPatch
) -> InstalledRouters:
    """A shipped version that always says chunk, `good` that always says graph; 60 % of the questions need a graph."""
    monkeypatch.setenv("STRUCTRAG_ROUTER__VERSIONS", str(tmp_path / "routers"))
    monkeypatch.setenv("STRUCTRAG_MODELS__CACHE", str(router_cache))
    shipped = write_router(tmp_path / "package" / "shipped", CHUNK)
    write_router(tmp_path / "routers" / "good", GRAPH)
    monkeypatch.setattr(versions, "shipped_folder", lambda: shipped)
    held = ShippedQuestions((), held_out(*[GRAPH] * 180, *[CHUNK] * 120))
    monkeypatch.setattr(questions, "shipped_questions", lambda: held)
    return InstalledRouters(tmp_path / "corpus")


def test_a_version_is_measured_a_few_questions_at_a_time(routers: InstalledRouters) -> None:
    told: list[tuple[int, int]] = []
    measured = routers.measure("shipped", told.append)
    assert measured.version == "shipped"
    assert measured.evaluation.accuracy == pytest.approx(0.4)
    assert measured.evaluation.confusion["graph"]["chunk"] == 180
    assert told[0] == (32, 300)
    assert told[-1] == (300, 300)
    assert len(told) == 10
    assert sum(each.routes for each in measured.reliability) == 300


def test_the_curve_says_how_often_routes_of_some_confidence_are_right() -> None:
    asked = held_out(*[GRAPH] * 10)
    unsure, sure = [0.0, 0.4, 0.6, 0.0, 0.0], [0.0, 0.9, 0.1, 0.0, 0.0]
    bins = reliability(np.array([unsure] * 5 + [sure] * 5), asked, bins=2)
    assert [(each.routes, round(each.confidence, 3), each.accuracy) for each in bins] == [(5, 0.6, 0.0), (5, 0.9, 1.0)]
    assert len(reliability(np.array([sure]), asked[:1])) == 1


def test_versions_are_compared_promoted_and_rolled_back(routers: InstalledRouters) -> None:
    compared = routers.compare("good")
    assert compared.passes
    assert compared.difference == pytest.approx(0.2)
    routers.promote("good", {"comparison": compared.to_dict(), "forced": False})
    assert [version.name for version in routers.versions() if version.is_active] == ["good"]
    assert not routers.compare("shipped").passes
    assert routers.rollback() == "shipped"
    with pytest.raises(RoutingError, match="No router was in use before"):
        routers.rollback()


def test_training_needs_preferences_and_trains_on_each_once(
    routers: InstalledRouters, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[tuple[VersionStore, Sequence[PreferencePair]]] = []

    def take_note(store: VersionStore, cache: Path, pairs: Sequence[PreferencePair], listener: Any) -> str:
        given.append((store, pairs))
        return "trained"

    monkeypatch.setattr(retraining, "retrain", take_note)
    with pytest.raises(ConfigError, match="no preferences to train on"):
        routers.train([], print)
    twice = PreferencePair(RoutingRequest("Who?"), GRAPH, CHUNK, "human", "a1")
    assert str(routers.train([twice, twice], print)) == "trained"
    [(store, pairs)] = given
    assert store.home == tmp_path / "routers"
    assert list(pairs) == [twice]


async def test_the_screen_measures_and_promotes_real_versions(routers: InstalledRouters) -> None:
    class Corpus:
        def documents(self) -> list[object]:
            return []

        def answers(self, limit: int = 50) -> list[object]:
            return []

        def preferences(self) -> dict[int, object]:
            return {}

        def close(self) -> None:
            pass

    app = StructRAGApp(Path("corpus"), lambda folder: Corpus(), routers=lambda folder: routers)  # type: ignore[arg-type,return-value]
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("f3")
        await settle(pilot)
        assert isinstance(pilot.app.screen, RouterScreen)
        await pilot.press("3")
        await settle(pilot)
        assert "Accuracy 40.0%" in painted(pilot)
        await pilot.press("1", "end", "p")
        await settle(pilot)
        assert [version.name for version in routers.versions() if version.is_active] == ["good"]
        await pilot.press("3")
        await settle(pilot)
        assert "Accuracy 60.0%" in painted(pilot)
