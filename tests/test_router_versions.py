"""Router versions: what is half written is not there, what is damaged is not promoted, what was in use comes back."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from structrag.errors import RoutingError
from structrag.router import versions
from structrag.router.artefact import ADAPTER, SETTINGS, EncoderShape, PolicySettings, write_artefact
from structrag.router.versions import SHIPPED, VersionStore, shipped_folder

WEIGHTS = save({"head.bias": np.arange(5, dtype=np.float32)})
GOOD = PolicySettings(
    version="v1",
    base_model="embedded",
    encoder=EncoderShape(layers=6, heads=12, hidden=384, epsilon=1e-12),
    lora_scale=2.0,
    temperature=1.5,
    unsure_below=0.4,
    adapter_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    data_sha256="0" * 64,
    metrics={"accuracy": 0.9},
    training={"rank": 16},
)


def written(home: Path, *names: str) -> VersionStore:
    for name in names:
        write_artefact(home / name, WEIGHTS, replace(GOOD, version=name), f"# {name}\n")
    return VersionStore(home)


def refusal(act: Callable[[], object]) -> RoutingError:
    with pytest.raises(RoutingError) as caught:
        act()
    return caught.value


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "routers"


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A router of our own in the place of the package's: what these tests say does not depend on its training."""
    folder = tmp_path / "package" / "shipped"
    written(folder.parent, "shipped")
    monkeypatch.setattr(versions, "shipped_folder", lambda: folder)
    return folder


# The versions


def test_without_a_home_the_shipped_version_is_in_use(home: Path, shipped: Path) -> None:
    store = VersionStore(home)
    assert store.active() == SHIPPED
    assert store.promotions() == []
    assert store.folder(SHIPPED) == shipped
    assert [(v.name, v.folder, v.is_active, v.problem) for v in store.versions()] == [(SHIPPED, shipped, True, "")]
    assert not home.exists()


def test_the_shipped_version_stands_inside_the_package() -> None:
    assert shipped_folder().name == "shipped"
    assert (shipped_folder().parent / "versions.py").is_file()


def test_versions_stand_in_order_and_one_is_in_use(home: Path) -> None:
    store = written(home, "v2", "v10", "v1")
    store.promote("v2", {})
    found = store.versions()
    assert [(v.name, v.is_active) for v in found] == [("shipped", False), ("v1", False), ("v10", False), ("v2", True)]
    assert [v.settings.version for v in found if v.settings] == ["shipped", "v1", "v10", "v2"]


def test_only_whole_folders_with_a_proper_name_are_versions(home: Path) -> None:
    store = written(home, "v1", ".v2.part", ".training-1f", "with space")
    (home / "notes.txt").write_text("no version", encoding="utf-8")
    assert [version.name for version in store.versions()] == [SHIPPED, "v1"]


def test_a_damaged_version_is_shown_with_its_problem(home: Path) -> None:
    store = written(home, "v1", "v2")
    (home / "v1" / SETTINGS).write_text("{", encoding="utf-8")
    _, damaged, good = store.versions()
    assert (damaged.name, damaged.settings) == ("v1", None)
    assert str(home / "v1") in damaged.problem
    assert good.problem == ""


def test_a_version_with_other_weights_is_shown_with_its_problem(home: Path) -> None:
    store = written(home, "v1")
    (home / "v1" / ADAPTER).write_bytes(b"other")
    assert store.versions()[1].problem


def test_a_version_with_other_weights_is_not_promoted(home: Path) -> None:
    store = written(home, "v1")
    (home / "v1" / ADAPTER).write_bytes(b"other")
    refusal(lambda: store.promote("v1", {}))


# Promotion


def test_a_promotion_is_in_force_and_remembered(home: Path) -> None:
    written(home, "v1").promote("v1", {"verdict": "Better: größer", "forced": False})
    store = VersionStore(home)
    assert store.active() == "v1"
    (entry,) = store.promotions()
    assert entry.pop("time").endswith("+00:00")
    assert entry == {"from": SHIPPED, "to": "v1", "verdict": "Better: größer", "forced": False}
    assert not [path.name for path in home.iterdir() if path.name.endswith(".part")]


BAD_NAMES = [
    "../x",
    "..",
    ".",
    "",
    "x/../../x",
    "a/b",
    "a\\b",
    "/",
    ".x",
    ".v1.part",
    " v1",
    "v1\n",
    "v1\0",
    "v" * 65,
    "v9",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_name_leads_out_of_the_home_or_to_what_is_no_version(home: Path, name: str) -> None:
    written(home.parent, "x")
    store = written(home, "v1", ".x", ".v1.part", "a/b")
    store.promote("v1", {})
    acts: list[Callable[[], object]] = [lambda: store.folder(name), lambda: store.promote(name, {})]
    for act in acts:
        error = refusal(act)
        assert repr(name) in error.message
        assert error.hint == "There are: shipped, a, v1. `structrag router rollback` goes back to the one before."
    assert store.active() == "v1"
    assert len(store.promotions()) == 1


def test_a_damaged_version_is_not_promoted(home: Path) -> None:
    store = written(home, "v1", "v2")
    store.promote("v1", {})
    (home / "v2" / SETTINGS).write_text(json.dumps(GOOD.to_dict() | {"template": 99}), encoding="utf-8")
    refusal(lambda: store.promote("v2", {}))
    assert (store.active(), len(store.promotions())) == ("v1", 1)


@pytest.mark.parametrize("pointer", ["gone\n", "../x\n"])
def test_a_pointer_to_nothing_is_no_silent_return_to_the_shipped_version(home: Path, pointer: str) -> None:
    store = written(home, "v1")
    written(home.parent, "x")
    (home / "active").write_text(pointer, encoding="utf-8")
    assert repr(pointer.strip()) in refusal(lambda: store.folder(store.active())).message
    assert not any(version.is_active for version in store.versions())


def test_a_pointer_that_cannot_be_read_is_named(home: Path) -> None:
    store = written(home, "active")
    assert str(home / "active") in refusal(store.active).message


def test_a_pointer_that_is_no_text_is_named(home: Path) -> None:
    store = written(home, "v1")
    (home / "active").write_bytes(b"\xff\xfe")
    assert str(home / "active") in refusal(store.active).message


# Rollback


def test_a_chain_of_promotions_is_gone_back_step_by_step(home: Path) -> None:
    store = written(home, "v1", "v2", "v3")
    for name in ("v1", "v2", "v3"):
        store.promote(name, {})
    gone_back = []
    for _ in range(3):
        gone_back.append(store.rollback())
        assert store.active() == gone_back[-1]
    assert gone_back == ["v2", "v1", SHIPPED]
    assert "'shipped'" in refusal(store.rollback).message
    assert store.active() == SHIPPED


def test_where_nothing_was_promoted_there_is_nothing_to_go_back_to(home: Path) -> None:
    error = refusal(written(home, "v1").rollback)
    assert "'shipped'" in error.message
    assert "structrag router list" in str(error.hint)


@given(st.lists(st.booleans(), max_size=10))
def test_promotions_and_rollbacks_are_a_stack(tmp_path_factory: pytest.TempPathFactory, promotes: list[bool]) -> None:
    names = [f"v{number}" for number in range(len(promotes))]
    store = written(tmp_path_factory.mktemp("stack"), *names)
    stack = [SHIPPED]
    for name, promoted in zip(names, promotes, strict=True):
        if promoted:
            store.promote(name, {})
            stack.append(name)
        elif len(stack) > 1:
            stack.pop()
            assert store.rollback() == stack[-1]
        else:
            refusal(store.rollback)
        assert store.active() == stack[-1]


def test_promoting_what_is_in_use_changes_nothing_about_the_way_back(home: Path) -> None:
    store = written(home, "v1", "v2")
    for name in ("v1", "v2", "v2"):
        store.promote(name, {})
    assert store.rollback() == "v1"


def test_a_version_that_was_in_use_twice_is_gone_back_from_twice(home: Path) -> None:
    store = written(home, "v1", "v2")
    for name in ("v1", "v2", "v1"):
        store.promote(name, {})
    assert [store.rollback() for _ in range(3)] == ["v2", "v1", SHIPPED]


def test_there_is_no_way_back_to_a_version_that_is_gone(home: Path) -> None:
    store = written(home, "v1", "v2")
    store.promote("v1", {})
    store.promote("v2", {})
    (home / "v1").rename(home / ".moved")
    assert "'v1'" in refusal(store.rollback).message
    assert store.active() == "v2"


# The log after a crash


@pytest.fixture
def cut_log(home: Path) -> tuple[VersionStore, Path]:
    """Two promotions, and a third that a crash cut short: its line is half written and the pointer is as before."""
    store = written(home, "v1", "v2", "v3")
    store.promote("v1", {})
    store.promote("v2", {})
    log = home / "promotions.jsonl"
    with log.open("a", encoding="utf-8") as file:
        file.write('{"time": "2026-01-01T00:00:00+00:00", "from": "v2", "to"')
    return store, log


def test_a_line_cut_short_is_left_out(cut_log: tuple[VersionStore, Path]) -> None:
    store, _ = cut_log
    assert [(entry["from"], entry["to"]) for entry in store.promotions()] == [(SHIPPED, "v1"), ("v1", "v2")]
    assert store.rollback() == "v1"


def test_wherever_the_last_line_is_cut_the_lines_before_it_stay(home: Path) -> None:
    store = written(home, "v1", "v2")
    store.promote("v1", {})
    store.promote("v2", {})
    log = home / "promotions.jsonl"
    first, second = log.read_bytes().splitlines(keepends=True)
    for length in range(len(second.rstrip())):
        log.write_bytes(first + second[:length])
        assert [entry["to"] for entry in store.promotions()] == ["v1"]


def test_the_promotion_after_a_line_cut_short_is_not_lost(cut_log: tuple[VersionStore, Path]) -> None:
    store, _ = cut_log
    store.promote("v3", {})
    assert [entry["to"] for entry in store.promotions()] == ["v1", "v2", "v3"]
    assert store.rollback() == "v2"


def test_a_promotion_that_was_logged_but_not_carried_out_does_not_count(home: Path) -> None:
    store = written(home, "v1", "v2")
    store.promote("v1", {})
    pointer = (home / "active").read_bytes()
    store.promote("v2", {})
    (home / "active").write_bytes(pointer)
    assert store.active() == "v1"
    assert store.rollback() == SHIPPED


def test_those_who_change_what_is_in_use_do_so_one_after_the_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = written(home, *(f"v{number}" for number in range(8)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: VersionStore(home).promote(f"v{number}", {}), range(8)))
    assert len(store.promotions()) == 8
    assert {store.active(), *(store.rollback() for _ in range(7))} == {f"v{number}" for number in range(8)}
    monkeypatch.setattr(versions, "_SECONDS_TO_WAIT", 0.01)
    with FileLock(home / ".active.lock"), pytest.raises(RoutingError, match="Another process is changing"):
        store.promote("v1", {})
