"""A router's files that somebody has changed: refused with an error that says which file, and no code of theirs is run."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from structrag.errors import RoutingError
from structrag.router import RoutingRequest, artefact
from structrag.router.artefact import ADAPTER, SETTINGS, read_settings, read_weights
from structrag.router.policy_router import PolicyRouter
from structrag.router.versions import VersionStore
from structrag.types import StructureType
from structrag.usage import UsageMeter

WriteRouter = Callable[..., Path]
Weights = dict[str, Any]
FIRST = "encoder.layer.0.attention.self.query"


class Planted:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.fixture
def folder(tmp_path: Path, write_router: WriteRouter) -> Path:
    return write_router(tmp_path / "routers" / "v1", StructureType.GRAPH)


def change(folder: Path, **values: Any) -> None:
    data = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    (folder / SETTINGS).write_text(json.dumps(data | values), encoding="utf-8")


def put(folder: Path, weights: bytes) -> None:
    """Put other weights in, and their hash with them: as somebody would who makes both."""
    (folder / ADAPTER).write_bytes(weights)
    change(folder, adapter_sha256=hashlib.sha256(weights).hexdigest())


def refusal(folder: Path, cache: Path) -> str:
    with pytest.raises(RoutingError) as refused:
        PolicyRouter(folder, cache).route(RoutingRequest("Who taught the teacher of Ann Lee?"), UsageMeter())
    return refused.value.message


def altered(folder: Path, alter: Callable[[Weights], object]) -> None:
    weights: Weights = dict(load((folder / ADAPTER).read_bytes()))
    alter(weights)
    put(folder, save(weights))


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_in_the_place_of_the_weights_is_never_opened(folder: Path, tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "run"
    data = pickle.dumps(Planted(mark))
    if kind == "torch":
        with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
            archive.writestr("archive/data.pkl", data)
        data = (tmp_path / "zip").read_bytes()
    put(folder, data)
    for name in ("adapter_model.bin", "pytorch_model.bin", "adapter.pt", "model.pkl"):
        (folder / name).write_bytes(pickle.dumps(Planted(mark)))
    assert "is no safetensors file" in refusal(folder, tmp_path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Planted(mark)))
    assert mark.exists(), "The pickle does nothing, so this test would not see it opened."


@pytest.mark.parametrize(
    "alter",
    [
        lambda weights: weights.pop("head.weight"),
        lambda weights: weights.pop(f"{FIRST}.lora_B"),
        lambda weights: weights.update({"head.weight": np.zeros((6, 384), np.float32)}),
        lambda weights: weights.update({"head.bias": np.zeros((5, 1), np.float32)}),
        lambda weights: weights.update({"head.weight": np.zeros((5, 768), np.float32)}),
        lambda weights: weights.update({f"{FIRST}.lora_A": np.zeros((2, 768), np.float16)}),
        lambda weights: weights.update({f"{FIRST}.lora_A": np.zeros((2, 2, 384), np.float16)}),
        lambda weights: weights.update({f"{FIRST}.lora_B": np.zeros(2, np.float16)}),
        lambda weights: weights.update({"embeddings.word_embeddings.weight": np.zeros((9, 9), np.float32)}),
        lambda weights: weights.update({"model.layers.0.self_attn.q_proj.lora_A": np.zeros((2, 9), np.float16)}),
        lambda weights: weights.clear(),
    ],
    ids=lambda alter: "",
)
def test_weights_of_another_architecture_are_refused(
    folder: Path, tmp_path: Path, alter: Callable[[Weights], object]
) -> None:
    altered(folder, alter)
    assert refusal(folder, tmp_path) == "The router's adapter does not fit its encoder."


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(folder: Path, tmp_path: Path, value: float) -> None:
    altered(folder, lambda weights: weights.update({"head.bias": np.full(5, value, np.float32)}))
    assert refusal(folder, tmp_path).endswith("head.bias holds what is no number.")


@pytest.mark.parametrize(
    "encoder",
    [
        {"layers": 12, "heads": 12, "hidden": 384, "epsilon": 1e-12},
        {"layers": 6, "heads": 7, "hidden": 384, "epsilon": 1e-12},
        {"layers": 6, "heads": 12, "hidden": 768, "epsilon": 1e-12},
        {"layers": 10**9, "heads": 12, "hidden": 384, "epsilon": 1e-12},
        {"layers": 6, "heads": 12, "hidden": 384, "epsilon": 1.0},
    ],
)
def test_an_encoder_of_another_shape_is_refused(folder: Path, tmp_path: Path, encoder: dict[str, Any]) -> None:
    change(folder, encoder=encoder)
    assert "was made for another encoder" in refusal(folder, tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"encoder": {"layers": 0, "heads": 12, "hidden": 384, "epsilon": 1e-12}},
        {"encoder": {"layers": 6, "heads": True, "hidden": 384, "epsilon": 1e-12}},
        {"encoder": {"layers": "6", "heads": 12, "hidden": 384, "epsilon": 1e-12}},
        {"adapter_sha256": ""},
        {"adapter_sha256": "../../etc/passwd"},
        {"adapter_sha256": ["0" * 64]},
        {"base_model": None},
        {"base_model": ["embedded"]},
        {"version": {"name": "v1"}},
        {"metrics": "good"},
        {"training": [1]},
        {"temperature": float("nan")},
        {"lora_scale": float("inf")},
        {"auto_map": {"AutoModel": "evil.Model"}},
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_damaged(folder: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    change(folder, **values)
    assert "router.json is damaged" in refusal(folder, tmp_path)


@pytest.mark.parametrize(
    "place", ["/nowhere", "../../..", "//host/share", "\\\\host\\share", "", "https://evil.example"]
)
def test_a_base_model_elsewhere_is_refused(folder: Path, tmp_path: Path, place: str) -> None:
    change(folder, base_model=place)
    message = refusal(folder, tmp_path)
    assert "There is no model at" in message or "cannot be read" in message


def test_a_base_model_that_brings_code_along_is_not_run(folder: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    mark = tmp_path / "run"
    (base / "modeling_evil.py").write_text(f"open({str(mark)!r}, 'w')\n", encoding="utf-8")
    config = {"model_type": "evil", "auto_map": {"AutoConfig": "modeling_evil.C", "AutoModel": "modeling_evil.M"}}
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (base / "tokenizer.json").write_text("{}", encoding="utf-8")
    (base / "pytorch_model.bin").write_bytes(pickle.dumps(Planted(mark)))
    change(folder, base_model=str(base))
    assert str(base) in refusal(folder, tmp_path)
    from structrag.router.causal import load_causal_policy

    with pytest.raises((ValueError, OSError, KeyError)):
        load_causal_policy(base, rank=2)
    assert not mark.exists()


def test_files_that_are_too_large_are_not_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefact, "_LARGEST_ADAPTER", 1000)
    assert "is larger than" in refusal(folder, tmp_path)
    monkeypatch.setattr(artefact, "_LARGEST_SETTINGS", 10)
    assert refusal(folder, tmp_path).startswith(str(folder / SETTINGS))


@pytest.mark.parametrize("name", ["../v1", "..", "a/../../v1", "/etc", "v1\0", "", ".hidden", "C:\\x", "a" * 65])
def test_no_name_of_a_version_leads_out_of_the_folder(folder: Path, name: str) -> None:
    store = VersionStore(folder.parent / "inner")
    (folder.parent / "inner").mkdir()
    with pytest.raises(RoutingError, match="There is no router version"):
        store.folder(name)


def test_a_tampered_version_is_listed_as_such_and_cannot_be_promoted(folder: Path) -> None:
    data = bytearray((folder / ADAPTER).read_bytes())
    data[-1] ^= 1
    (folder / ADAPTER).write_bytes(data)
    store = VersionStore(folder.parent)
    listed = next(version for version in store.versions() if version.name == "v1")
    assert "is not the file that router.json names" in listed.problem
    with pytest.raises(RoutingError, match="is not the file"):
        store.promote("v1", {})
    assert store.active() == "shipped"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = "format template labels version base_model encoder lora_scale temperature unsure_below adapter_sha256".split()


@settings(max_examples=60)
@given(st.sampled_from([*FIELDS, "data_sha256", "metrics", "training", "corrections"]), JSON)
def test_any_value_in_the_settings_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any
) -> None:
    shipped = VersionStore(Path("/nowhere")).folder("shipped")
    folder = tmp_path_factory.mktemp("artefact")
    data = json.loads((shipped / SETTINGS).read_text(encoding="utf-8")) | {field: value}
    (folder / SETTINGS).write_text(json.dumps(data), encoding="utf-8")
    try:
        read_settings(folder)
    except RoutingError as error:
        assert str(folder) in error.message  # noqa: PT017


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_are_weights_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    shipped = VersionStore(Path("/nowhere")).folder("shipped")
    folder = tmp_path_factory.mktemp("artefact")
    found = json.loads((shipped / SETTINGS).read_text(encoding="utf-8"))
    found["adapter_sha256"] = hashlib.sha256(data).hexdigest()
    (folder / SETTINGS).write_text(json.dumps(found), encoding="utf-8")
    (folder / ADAPTER).write_bytes(data)
    try:
        read_weights(folder, read_settings(folder))
    except RoutingError as error:
        assert str(folder) in error.message  # noqa: PT017
