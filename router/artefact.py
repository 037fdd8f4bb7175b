"""A trained policy as files: ``adapter.safetensors``, ``router.json`` and a model card. Loads without torch or trl."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structrag.errors import RoutingError
from structrag.router import template
from structrag.types import StructureType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ADAPTER = "adapter.safetensors"
SETTINGS = "router.json"
CARD = "MODEL_CARD.md"
_FORMAT = 1
_LARGEST_SETTINGS = 16 * 2**20
_LARGEST_ADAPTER = 2**30
_HASH = re.compile(r"[0-9a-f]{64}")
_MADE_FOR = (_FORMAT, template.VERSION, [str(s) for s in StructureType])


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """What the graph must know of the encoder."""

    layers: int
    heads: int
    hidden: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What stands in ``router.json``.

    Attributes:
        version: The artefact's name.
        base_model: ``embedded`` for the encoder that comes with the package, or a model's folder.
        encoder: ``None`` where the base is a causal language model.
        lora_scale: By what the product of the two LoRA matrices is multiplied.
        temperature: The logits are divided by it (Guo et al. 2017, arXiv 1706.04599).
        unsure_below: Routes with less confidence are unsure.
        adapter_sha256: Of the weights; others are refused.
        data_sha256: Of the preference pairs it was trained on.
        metrics: What was measured, by name.
        training: How it was trained, by name.
        corrections: Hashes of the corrected questions that it or a version before it was trained on: it must not be
            measured on them.
    """

    version: str
    base_model: str
    encoder: EncoderShape | None
    lora_scale: float
    temperature: float
    unsure_below: float
    adapter_sha256: str
    data_sha256: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    corrections: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        fixed = dict(zip(("format", "template", "labels"), _MADE_FOR, strict=True))
        return fixed | asdict(self)


def write_artefact(folder: Path, weights: bytes, settings: PolicySettings, card: str) -> None:
    """Write an artefact, whole or not at all: it appears under its name when all its files are there."""
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    (part / ADAPTER).write_bytes(weights)
    (part / SETTINGS).write_text(json.dumps(settings.to_dict(), indent=2) + "\n", encoding="utf-8")
    (part / CARD).write_text(card, encoding="utf-8")
    part.rename(folder)


def read_settings(folder: Path) -> PolicySettings:
    """Read ``router.json``.

    Raises:
        RoutingError: It is missing, damaged, or made for another template or another set of labels.
    """
    path = folder / SETTINGS
    try:
        data = dict(json.loads(_content(path, _LARGEST_SETTINGS).decode()))
        made_for = (data.pop("format"), data.pop("template"), data.pop("labels"))
        settings = _settings(data) if made_for == _MADE_FOR else None
    except OSError as error:
        raise RoutingError(f"The router at {folder} cannot be read: {error.strerror}.", hint=_HINT) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RoutingError(f"{path} is damaged: {error!r}.", hint=_HINT) from error
    if settings is None:
        raise RoutingError(f"The router at {folder} was made by another version of StructRAG.", hint=_HINT)
    return settings


def _settings(data: dict[str, Any]) -> PolicySettings:
    data["corrections"] = tuple(map(str, data["corrections"]))
    settings = PolicySettings(**data | {"encoder": EncoderShape(**data["encoder"]) if data["encoder"] else None})
    numbers = (settings.lora_scale, settings.temperature, settings.unsure_below)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise ValueError("a number is none")
    if settings.temperature <= 0:
        raise ValueError("the temperature must be above 0")
    shape = settings.encoder
    if shape and not all(type(size) is int and size > 0 for size in (shape.layers, shape.heads, shape.hidden)):
        raise ValueError("a size of the encoder is none")
    if not all(isinstance(value, str) for value in (settings.version, settings.base_model, settings.data_sha256)):
        raise TypeError("a name is none")
    if not (isinstance(settings.adapter_sha256, str) and _HASH.fullmatch(settings.adapter_sha256)):
        raise ValueError("the adapter's hash is none")
    if not (isinstance(settings.metrics, dict) and isinstance(settings.training, dict)):
        raise TypeError("metrics and training must be objects")
    return settings


def read_weights(folder: Path, settings: PolicySettings) -> dict[str, NDArray[np.float32]]:
    """Return the adapter's and the head's weights.

    Raises:
        RoutingError: The file is missing, is no safetensors file, or is not the one that ``router.json`` names.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / ADAPTER
    try:
        data = _content(path, _LARGEST_ADAPTER)
    except OSError as error:
        raise RoutingError(f"{path} cannot be read: {error.strerror}.", hint=_HINT) from error
    found = hashlib.sha256(data).hexdigest()
    if found != settings.adapter_sha256:
        raise RoutingError(f"{path} is not the file that {SETTINGS} names (its SHA-256 is {found[:12]}…).", hint=_HINT)
    try:
        weights = {name: value.astype(np.float32) for name, value in load(data).items()}
    except (SafetensorError, ValueError, TypeError, KeyError) as error:  # the last three: of types that numpy lacks
        raise RoutingError(f"{path} is no safetensors file: {error}.", hint=_HINT) from error
    if broken := [name for name, value in weights.items() if not np.isfinite(value).all()]:
        raise RoutingError(f"{path} is damaged: {broken[0]} holds what is no number.", hint=_HINT)
    return weights


def _content(path: Path, most: int) -> bytes:
    """Return a file's bytes; one that is larger than it can be is not read.

    Raises:
        OSError: It cannot be read, or is no file.
        RoutingError: It is too large.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise RoutingError(f"{path} is larger than {most // 2**20} MB, so it is none of a router's.", hint=_HINT)
    return content


_HINT = "Go back with `structrag router rollback`, or train again."
