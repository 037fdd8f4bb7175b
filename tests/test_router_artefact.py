"""A router's files: what is damaged, tampered with or made for something else is refused, and half files are none."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from structrag.errors import RoutingError
from structrag.router import template
from structrag.router.artefact import (
    ADAPTER,
    CARD,
    SETTINGS,
    EncoderShape,
    PolicySettings,
    read_settings,
    read_weights,
    write_artefact,
)
from structrag.router.versions import VersionStore
from structrag.types import StructureType

WEIGHTS = save({"head.bias": np.arange(5, dtype=np.float32), "layer.lora_A": np.full((2, 3), 0.5, dtype=np.float16)})
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
Change = Callable[[dict[str, Any]], object]


def changed(folder: Path, change: Change) -> None:
    """Change the settings of an artefact behind its back."""
    data = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    change(data)
    (folder / SETTINGS).write_text(json.dumps(data), encoding="utf-8")


def refusal(act: Callable[[], object]) -> RoutingError:
    with pytest.raises(RoutingError) as caught:
        act()
    return caught.value


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "routers"


@pytest.fixture
def artefact(home: Path) -> Path:
    write_artefact(home / "v1", WEIGHTS, GOOD, "# v1\n")
    return home / "v1"


def test_an_artefact_is_read_as_it_was_written(artefact: Path) -> None:
    assert sorted(path.name for path in artefact.iterdir()) == sorted([ADAPTER, SETTINGS, CARD])
    assert read_settings(artefact) == GOOD
    weights = read_weights(artefact, GOOD)
    assert {name: value.dtype for name, value in weights.items()} == dict.fromkeys(weights, np.dtype(np.float32))
    assert weights["head.bias"].tolist() == [0, 1, 2, 3, 4]
    assert weights["layer.lora_A"].tolist() == [[0.5] * 3] * 2
    assert (artefact / CARD).read_text(encoding="utf-8") == "# v1\n"


def test_settings_say_for_what_they_were_made(artefact: Path) -> None:
    data = json.loads((artefact / SETTINGS).read_text(encoding="utf-8"))
    assert (data["format"], data["template"]) == (1, template.VERSION)
    assert data["labels"] == ["table", "graph", "algorithm", "catalogue", "chunk"]


@pytest.mark.parametrize("place", [0, 9, len(WEIGHTS) // 2, -1])
def test_one_changed_byte_in_the_weights_is_noticed(artefact: Path, place: int) -> None:
    data = bytearray(WEIGHTS)
    data[place] ^= 1
    (artefact / ADAPTER).write_bytes(data)
    error = refusal(lambda: read_weights(artefact, GOOD))
    assert str(artefact / ADAPTER) in error.message
    assert hashlib.sha256(data).hexdigest()[:12] in error.message
    assert "rollback" in str(error.hint)


@pytest.mark.parametrize("data", [b"", WEIGHTS[:-1], WEIGHTS + b"\0", save({"head.bias": np.zeros(5, np.float32)})])
def test_other_weights_are_refused(artefact: Path, data: bytes) -> None:
    (artefact / ADAPTER).write_bytes(data)
    assert "is not the file that router.json names" in refusal(lambda: read_weights(artefact, GOOD)).message


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x04\x95pickle", WEIGHTS[:-1], b"\xff" * 64])
def test_weights_that_are_no_safetensors_are_refused_also_with_the_right_hash(artefact: Path, data: bytes) -> None:
    (artefact / ADAPTER).write_bytes(data)
    settings = replace(GOOD, adapter_sha256=hashlib.sha256(data).hexdigest())
    error = refusal(lambda: read_weights(artefact, settings))
    assert str(artefact / ADAPTER) in error.message
    assert "is no safetensors file" in error.message


def test_missing_files_are_named(artefact: Path) -> None:
    (artefact / ADAPTER).unlink()
    (artefact / SETTINGS).unlink()
    assert str(artefact / ADAPTER) in refusal(lambda: read_weights(artefact, GOOD)).message
    assert f"The router at {artefact} cannot be read" in refusal(lambda: read_settings(artefact)).message


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"format": 1', b"[]", b"{}", b'{"format": 1}', b"\xff\xfe{\x00}\x00", b"\0" * 64]
    + [b"null", b"5", b'"router"', b"true"],
)
def test_damaged_settings_are_named(artefact: Path, text: bytes) -> None:
    (artefact / SETTINGS).write_bytes(text)
    error = refusal(lambda: read_settings(artefact))
    assert str(artefact / SETTINGS) in error.message
    assert "is damaged" in error.message
    assert error.hint


@given(st.integers(0, 10_000))
def test_settings_cut_short_anywhere_are_damaged(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    text = json.dumps(GOOD.to_dict(), indent=2)
    (folder / SETTINGS).write_text(text[: length % len(text)], encoding="utf-8")
    assert "is damaged" in refusal(lambda: read_settings(folder)).message


@pytest.mark.parametrize("field", sorted(set(GOOD.to_dict()) - {"metrics", "training"}))
def test_settings_without_a_field_are_damaged(artefact: Path, field: str) -> None:
    changed(artefact, lambda data: data.pop(field))
    error = refusal(lambda: read_settings(artefact))
    assert "is damaged" in error.message
    assert field in error.message


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": {"layers": 6}},
        {"encoder": [6, 12, 384]},
        {"surprise": 1},
        {"temperature": 0},
        {"temperature": "1"},
        {"lora_scale": None},
    ],
)
def test_settings_of_another_shape_are_damaged(artefact: Path, change: dict[str, Any]) -> None:
    changed(artefact, lambda data: data.update(change))
    assert "is damaged" in refusal(lambda: read_settings(artefact)).message


@pytest.mark.parametrize(
    "change",
    [
        {"template": template.VERSION + 1},
        {"template": None},
        {"format": 2},
        {"labels": ["table", "graph", "algorithm", "catalogue"]},
        {"labels": [str(s) for s in reversed(StructureType)]},
        {"format": 2, "new_field": 1},
    ],
)
def test_an_artefact_for_another_template_or_other_labels_is_refused(artefact: Path, change: dict[str, Any]) -> None:
    changed(artefact, lambda data: data.update(change))
    error = refusal(lambda: read_settings(artefact))
    assert f"The router at {artefact} was made by another version of StructRAG." in error.message
    assert error.hint


def test_a_writing_that_breaks_off_leaves_nothing_to_be_seen_and_can_be_repeated(home: Path) -> None:
    broken = replace(GOOD, metrics={"accuracy": object()})
    with pytest.raises(TypeError):
        write_artefact(home / "v2", WEIGHTS, broken, "")
    assert list(home.iterdir()), "Something was written, and it must not count."
    assert not (home / "v2").exists()
    assert "v2" not in [version.name for version in VersionStore(home).versions()]
    write_artefact(home / "v2", WEIGHTS, GOOD, "")
    assert read_settings(home / "v2") == GOOD
    assert [path.name for path in home.iterdir()] == ["v2"]


def test_a_version_is_not_written_over(home: Path) -> None:
    write_artefact(home / "v1", WEIGHTS, GOOD, "")
    with pytest.raises(OSError, match="v1"):
        write_artefact(home / "v1", b"other", replace(GOOD, temperature=3.0), "")
    assert read_settings(home / "v1") == GOOD
    assert read_weights(home / "v1", GOOD)
