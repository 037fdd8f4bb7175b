"""Which router a setting names, when its files are read, and what becomes of a route that is unsure."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from structrag import StructRAG
from structrag.config import Settings, load_settings
from structrag.errors import ConfigError, RoutingError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.pipeline.components import load_router
from structrag.router import ChatRouter, FixedRouter, Router, RoutingRequest, versions
from structrag.router.policy_router import PolicyRouter
from structrag.router.versions import VersionStore
from structrag.testing import scripted
from structrag.types import Answer, Route, StructureType
from structrag.usage import UsageMeter
from structrag.utilizer.reading import load_prompt

WriteRouter = Callable[..., Path]
GRAPH, ALGORITHM, CHUNK = StructureType.GRAPH, StructureType.ALGORITHM, StructureType.CHUNK
QUESTION = RoutingRequest("Who taught the teacher of Ann Lee?")
KILN = "# Kiln\n\n1. Open the damper by 3 turns.\n2. Light the burner.\n3. Wait until the gauge shows 80 degrees.\n"
NOTHING = {"item": 0, "answer": ""}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "routers"


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, write_router: WriteRouter, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A router of our own in the place of the package's."""
    folder = write_router(tmp_path / "package" / "shipped", GRAPH)
    monkeypatch.setattr(versions, "shipped_folder", lambda: folder)
    return folder


@pytest.fixture
def load(home: Path, router_cache: Path) -> Callable[..., Router]:
    """Load the router of these settings."""

    def make(name: str | None = None, **flags: Any) -> Router:
        given = {"router.versions": str(home), "models.cache": str(router_cache)}
        given |= {f"router.{key}": value for key, value in flags.items()}
        settings, _ = load_settings(None, given | ({"router.name": name} if name else {}))
        chat, _ = scripted({"": {"table": 1.0}})
        return load_router(settings, chat)

    return make


Load = Callable[..., Router]


def route(router: Router, request: RoutingRequest = QUESTION) -> Route:
    return router.route(request, UsageMeter())


# Names


def test_by_default_the_trained_router_in_use_routes(load: Load) -> None:
    chosen = route(load())
    assert Settings().router.name == "policy"
    assert (chosen.structure, chosen.router) == (GRAPH, "policy:shipped")
    assert sum(chosen.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert list(chosen.probabilities) == list(StructureType)


def test_a_promoted_version_routes_and_a_version_can_be_named(
    load: Load, home: Path, write_router: WriteRouter
) -> None:
    write_router(home / "v1", CHUNK)
    VersionStore(home).promote("v1", {})
    assert [route(load(name)).router for name in ("policy", "policy:", "policy:v1", "policy:shipped")] == [
        "policy:v1",
        "policy:v1",
        "policy:v1",
        "policy:shipped",
    ]
    assert [route(load(name)).structure for name in ("policy", "policy:shipped")] == [CHUNK, GRAPH]


def test_a_version_that_is_not_there_is_named_with_those_that_are(
    load: Load, home: Path, write_router: WriteRouter
) -> None:
    write_router(home / "v1", CHUNK)
    router = load("policy:v9")
    with pytest.raises(RoutingError, match="no router version 'v9'") as caught:
        route(router)
    assert caught.value.hint == "There are: shipped, v1. `structrag router rollback` goes back to the one before."


def test_the_few_shot_router_and_the_fixed_one_have_names(load: Load) -> None:
    assert isinstance(load("chat"), ChatRouter)
    assert load("fixed:table") == FixedRouter(StructureType.TABLE)


@pytest.mark.parametrize("name", ["chat:x", "coin", "Policy", "fix:table", "chat ", ":"])
def test_an_unknown_name_is_refused_with_those_that_are_known(load: Load, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(name)
    assert caught.value.message == f"There is no router {name!r}."
    assert caught.value.hint == "`router.name` is one of: policy, policy:<version>, chat, fixed:<structure>."


@pytest.mark.parametrize("name", ["fixed:tree", "fixed", "fixed:"])
def test_a_fixed_router_needs_a_structure(load: Load, name: str) -> None:
    with pytest.raises(ConfigError, match="is not a structure") as caught:
        load(name)
    assert "table, graph, algorithm, catalogue, chunk" in str(caught.value.hint)


# One's own


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers a router, as pip would have installed it."""
    site = tmp_path / "site"
    record = site / "structrag_coin-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: structrag-coin\nVersion: 1.0\n", encoding="utf-8")
    points = (
        "[structrag.routers]\ncoin = structrag_coin:Coin\npenny = structrag_coin:Coin\n[other]\ndie = nothing:Die\n"
    )
    (record / "entry_points.txt").write_text(points, encoding="utf-8")
    (site / "structrag_coin.py").write_text(
        "from structrag.router import FixedRouter\n"
        "from structrag.types import StructureType\n"
        "class Coin:\n"
        "    name = 'coin'\n"
        "    def route(self, request, meter):\n"
        "        heads = len(request.question) % 2\n"
        "        return FixedRouter(StructureType.TABLE if heads else StructureType.CHUNK).route(request, meter)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "structrag_coin", raising=False)


@pytest.mark.usefixtures("installed")
def test_a_router_of_ones_own_is_found_by_its_entry_point(load: Load) -> None:
    router = load("coin")
    assert router.name == "coin"
    assert [route(router, RoutingRequest(text)).structure for text in ("a", "aa")] == [StructureType.TABLE, CHUNK]
    with pytest.raises(ConfigError) as caught:
        load("die")
    assert str(caught.value.hint).endswith("chat, fixed:<structure>, coin, penny.")


@pytest.mark.usefixtures("installed")
def test_a_corpus_routes_by_a_router_of_ones_own(embedder: SentenceTransformerEmbedder) -> None:
    settings = {"router.name": "coin"}
    with StructRAG.from_documents([], settings=settings, chat=scripted({})[0], embedder=embedder) as rag:
        assert rag.route("odd").structure is StructureType.TABLE
        assert rag.route("even").structure is CHUNK


# When its files are read


@pytest.fixture
def opened(
    tmp_path: Path, home: Path, router_cache: Path, embedder: SentenceTransformerEmbedder
) -> Iterator[Callable[[], StructRAG]]:
    """Open the corpus of the test with the trained router."""
    made: list[StructRAG] = []

    def make() -> StructRAG:
        settings = {"router.versions": str(home), "models.cache": str(router_cache)}
        chat, _ = scripted({})
        rag = StructRAG.open(tmp_path / "corpus", settings=settings, chat=chat, embedder=embedder)
        made.append(rag)
        return rag

    yield make
    for rag in made:
        rag.close()


def test_a_pointer_to_nothing_stops_only_routes_and_they_work_again_when_it_is_mended(
    opened: Callable[[], StructRAG], home: Path
) -> None:
    home.mkdir()
    (home / "active").write_text("gone\n", encoding="utf-8")
    rag = opened()
    rag.add_documents([Document(KILN, id="kiln")])
    assert [document.id for document in rag.documents()] == ["kiln"]
    for _ in range(2):
        with pytest.raises(RoutingError, match="no router version 'gone'") as caught:
            rag.route("How hot?")
        assert caught.value.hint == "There are: shipped. `structrag router rollback` goes back to the one before."
    (home / "active").write_text("shipped\n", encoding="utf-8")
    assert rag.route("How hot?").router == "policy:shipped"


def test_a_pointer_that_cannot_be_read_says_what_to_do(opened: Callable[[], StructRAG], home: Path) -> None:
    (home / "active").mkdir(parents=True)
    rag = opened()
    assert rag.documents() == []
    with pytest.raises(RoutingError) as caught:
        rag.route("How hot?")
    assert str(home / "active") in caught.value.message
    assert caught.value.hint == "Move it aside: structrag doctor --repair"


@pytest.mark.parametrize("file", ["router.json", "adapter.safetensors"])
def test_a_damaged_router_stops_only_routes(
    opened: Callable[[], StructRAG], home: Path, write_router: WriteRouter, file: str
) -> None:
    # Weights that no other test uses, so that no graph was derived from them yet.
    write_router(home / "v1", ALGORITHM)
    VersionStore(home).promote("v1", {})
    (home / "v1" / file).write_bytes(b"{")
    rag = opened()
    assert rag.documents() == []
    with pytest.raises(RoutingError) as caught:
        rag.route("How hot?")
    assert str(home / "v1") in caught.value.message
    assert "structrag router rollback" in str(caught.value.hint)


# Unsure


@pytest.mark.parametrize(
    ("own", "setting", "is_unsure"),
    [(0.99, None, True), (0.01, None, False), (0.99, 0.01, False), (0.01, 0.99, True), (0.99, 0.0, False)],
)
def test_the_setting_goes_before_the_routers_own_threshold(
    load: Load, home: Path, write_router: WriteRouter, own: float, setting: float | None, is_unsure: bool
) -> None:
    write_router(home / "v1", GRAPH, unsure_below=own)
    flags = {} if setting is None else {"unsure_below": setting}
    assert route(load("policy:v1", **flags)).unsure is is_unsure


def test_the_setting_goes_before_the_few_shot_routers_threshold_as_well(load: Load) -> None:
    assert not route(load("chat")).unsure
    chat, _ = scripted({"": {"table": 0.7, "graph": 0.3}})
    for threshold, is_unsure in ((0.6, False), (0.8, True)):
        settings, _ = load_settings(None, {"router.name": "chat", "router.unsure_below": threshold})
        assert route(load_router(settings, chat)).unsure is is_unsure


class UnsureRouter:
    """Finds a graph hardly more likely than an algorithm, and says whether that is unsure."""

    name = "doubting"

    def __init__(self, *, unsure: bool = True) -> None:
        self._unsure = unsure

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        shares = dict(zip(StructureType, (0.1, 0.4, 0.3, 0.1, 0.1), strict=True))
        return Route(request.question, shares, unsure=self._unsure, router=self.name)


def read_gauge(prompt: str) -> Mapping[str, Any]:
    """Read as a model would: what the gauge shows."""
    listing = prompt[prompt.rindex("\n[1] ") :]
    items = re.findall(r"^\[(\d+)\] (.*)$", listing, re.MULTILINE)
    return {"item": next(int(number) for number, text in items if "gauge" in text), "answer": "80 degrees"}


@pytest.fixture
def asked(embedder: SentenceTransformerEmbedder) -> Callable[[UnsureRouter, Mapping[str, Any]], Answer]:
    """Ask a question to which the graph has no answer."""

    def ask(router: UnsureRouter, settings: Mapping[str, Any]) -> Answer:
        script = {
            load_prompt("graph_plan"): "none",
            load_prompt("algorithm_operation"): {"detail": 1.0},
            load_prompt("confirm"): {"yes": 1.0},
            load_prompt("read"): [NOTHING, read_gauge],
        }
        chat, _ = scripted(script)
        documents = [Document(KILN, id="kiln")]
        rag = StructRAG.from_documents(documents, settings=settings, chat=chat, router=router, embedder=embedder)
        with closing(rag):
            return rag.ask("How hot does the gauge get?")

    return ask


@pytest.mark.parametrize(
    ("when_unsure", "unsure", "tried"),
    [
        (None, True, ALGORITHM),
        ("runner_up", True, ALGORITHM),
        ("chosen", True, CHUNK),
        ("runner_up", False, CHUNK),
        ("chosen", False, CHUNK),
    ],
)
def test_the_runner_up_is_tried_where_the_route_is_unsure_and_the_settings_want_it(
    asked: Callable[[UnsureRouter, Mapping[str, Any]], Answer],
    when_unsure: str | None,
    unsure: bool,
    tried: StructureType,
) -> None:
    settings = {"router.when_unsure": when_unsure} if when_unsure else {}
    answer = asked(UnsureRouter(unsure=unsure), settings)
    assert answer.route.structure is GRAPH
    assert (answer.structure_type, answer.values) == (tried, ("80 degrees",))
    assert [s.detail for s in answer.trace if s.name == "fallback"] == [f"graph found nothing; trying {tried}"]


# Shared and repeated


def test_eight_threads_that_share_a_router_get_the_routes_that_one_gets(shipped: Path, router_cache: Path) -> None:
    requests = [
        RoutingRequest(f"{word} question number {number}?") for word in ("Which", "Whose") for number in range(12)
    ]
    alone = PolicyRouter(shipped, router_cache)
    wanted = [route(alone, request).probabilities for request in requests]
    assert len({tuple(shares.values()) for shares in wanted}) == len(requests)
    shared, start = PolicyRouter(shipped, router_cache), Barrier(8)

    def work(_: int) -> list[Mapping[StructureType, float]]:
        start.wait(timeout=60)
        return [route(shared, request).probabilities for request in requests]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(work, range(8)):
            assert found == wanted


def test_a_route_does_not_depend_on_what_else_is_asked(shipped: Path, router_cache: Path) -> None:
    router = PolicyRouter(shipped, router_cache)
    others = [RoutingRequest("word " * 60), RoutingRequest("?")]
    alone = router.probabilities([QUESTION])[0]
    assert np.abs(router.probabilities([QUESTION, *others])[0] - alone).max() < 1e-3
