"""From preference pairs to a new router version: train, calibrate on held-out questions, write the artefact."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors.numpy import save

from structrag.errors import RoutingError, TrainingDataError
from structrag.router import template
from structrag.router.artefact import EncoderShape, PolicySettings, read_settings, read_weights, write_artefact
from structrag.router.base_model import EMBEDDED, model_folder
from structrag.router.calibration import (
    calibration_error,
    fit_temperature,
    selective_accuracy,
    softmax,
    unsure_threshold,
)
from structrag.router.card import model_card
from structrag.router.causal import is_causal, load_causal_policy
from structrag.router.policy import LORA_SCALE, EncoderPolicy, load_encoder_policy
from structrag.router.policy_router import PolicyRouter
from structrag.router.preferences import PreferencePair, data_hash, question_hash
from structrag.router.questions import LabelledQuestion
from structrag.router.trainable import TrainablePolicy, adapter_rank, adapter_weights, load_adapter
from structrag.router.training import quietly, train_policy
from structrag.router.training_settings import StepListener, TrainingSettings
from structrag.types import StructureType

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST_HELD = 100
_SHOWN = 6
"""Characters of a training's identity in its version's name."""
_RECIPE = 2
"""Counted up when what stands in the code alone changes a training: checkpoints of before are not gone on with."""


def fit(
    pairs: Sequence[PreferencePair],
    held: Sequence[LabelledQuestion],
    home: Path,
    settings: TrainingSettings,
    listener: StepListener = lambda step: None,
    *,
    start: Path | None = None,
    base_model: str = EMBEDDED,
) -> Path:
    """Train a new version below ``home`` and return its folder; one that was interrupted goes on where it was.

    Args:
        pairs: What to train on.
        held: Labelled questions to calibrate on; none of them may be in ``pairs``.
        home: Where versions are kept.
        settings: How to train.
        listener: Told every few steps.
        start: The artefact to train on from, which then says rank and base model; a fresh policy by default.
        base_model: ``embedded``, or the folder of a sentence encoder or of a causal language model.

    Raises:
        RoutingError: The artefact to start from is damaged, or the same training is under way already.
        TrainingDataError: There are too few held-out questions, or some of them are trained on.
        MissingExtraError: The encoder is not installed.
    """
    _check(pairs, held)
    origin = _Origin.of(start, base_model)
    if origin.weights:
        settings = replace(settings, rank=adapter_rank(origin.weights))
    identity = _identity(pairs, settings, origin)
    finished = next(home.glob(f"*-{identity[:_SHOWN]}"), None)
    if finished:
        return finished
    with _sole_training(home, identity) as work:
        started = time.monotonic()
        with quietly():
            policy = _policy(model_folder(origin.base_model), settings, origin.weights)
        train_policy(pairs, policy, work, settings, listener)
        weights = save(_weights(policy))
        seconds = round(time.monotonic() - started)
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{identity[:_SHOWN]}"
        draft = _draft(name, origin, policy, weights, pairs, settings.to_dict() | {"seconds": seconds})
        final = calibrated(draft, _trial(work, weights, draft), work, held)
        write_artefact(home / final.version, weights, final, model_card(final))
    return home / final.version


def _draft(
    name: str,
    origin: _Origin,
    policy: TrainablePolicy,
    weights: bytes,
    pairs: Sequence[PreferencePair],
    how: Mapping[str, Any],
) -> PolicySettings:
    """The settings before calibration."""
    corrected = (pair.request.question for pair in pairs if pair.kind != "label")
    record = {**how, "pairs": len(pairs), "sources": dict(Counter(pair.kind for pair in pairs))}
    return PolicySettings(
        version=name,
        base_model=origin.base_model,
        encoder=_shape(policy),
        lora_scale=LORA_SCALE,
        temperature=1.0,
        unsure_below=0.0,
        adapter_sha256=hashlib.sha256(weights).hexdigest(),
        data_sha256=data_hash(pairs),
        training=record | ({"started_from": origin.version} if origin.version else {}),
        corrections=tuple(sorted({*origin.corrections, *map(question_hash, corrected)})),
    )


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a training starts from."""

    base_model: str
    version: str = ""
    sha256: str = ""
    weights: Mapping[str, NDArray[np.float32]] | None = None
    corrections: tuple[str, ...] = ()

    @classmethod
    def of(cls, start: Path | None, base_model: str) -> _Origin:
        if start is None:
            return cls(base_model)
        settings = read_settings(start)
        weights = read_weights(start, settings)
        return cls(settings.base_model, settings.version, settings.adapter_sha256, weights, settings.corrections)


def _identity(pairs: Sequence[PreferencePair], settings: TrainingSettings, origin: _Origin) -> str:
    """By what a training that was interrupted is found again: all that a checkpoint depends on, in order."""
    rows = [json.dumps(pair.to_dict(), sort_keys=True) for pair in pairs]
    packages = [version(package) for package in ("trl", "transformers", "peft")]
    recipe = [_RECIPE, template.VERSION, *packages, settings.to_dict(), origin.base_model, origin.sha256]
    return hashlib.sha256(json.dumps([recipe, rows]).encode()).hexdigest()


@contextmanager
def _sole_training(home: Path, identity: str) -> Iterator[Path]:
    """Give a folder for checkpoints, gone when all went well; nobody else trains the same in the meantime.

    Folders of other trainings that nobody goes on with, as their pairs have changed since, are removed.
    """
    work = home / f".training-{identity[:16]}"
    lock = _lock(work)
    if lock is None:
        raise RoutingError(
            "The same training is under way in another process.", hint="Wait for it, or train on other pairs."
        )
    with lock:
        for other in home.glob(".training-*/"):
            abandoned = _lock(other) if other != work else None
            if abandoned:
                with abandoned:
                    shutil.rmtree(other)
        yield work
        shutil.rmtree(work, ignore_errors=True)


def _lock(work: Path) -> FileLock | None:
    """Return the lock of a training, taken, or ``None`` if somebody has it."""
    lock = FileLock(work.with_name(f"{work.name}.lock"))
    try:
        work.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except OSError as error:
        raise RoutingError(
            f"Router versions cannot be kept in {work.parent}: {error.strerror}.", hint="Set `router.versions`."
        ) from error
    return lock


def _trial(work: Path, weights: bytes, draft: PolicySettings) -> Path:
    """Write the artefact where only this training sees it: it is calibrated as it will be served."""
    folder = work / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    write_artefact(folder, weights, draft, "")
    return folder


def calibrated(settings: PolicySettings, folder: Path, cache: Path, held: Sequence[LabelledQuestion]) -> PolicySettings:
    """Return the settings with temperature, threshold and metrics set on held-out questions, as they are served."""
    logits = PolicyRouter(folder, cache).logits([question.request for question in held])
    accepted = np.array([[question.accepts(s) for s in StructureType] for question in held])
    temperature = fit_temperature(logits, accepted)
    probabilities = softmax(logits / temperature)
    right = accepted[np.arange(len(held)), probabilities.argmax(axis=1)]
    confidence = probabilities.max(axis=1)
    metrics: dict[str, Any] = {
        "held_out": len(held),
        "accuracy": round(float(right.mean()), 4),
        "calibration_error": round(calibration_error(confidence, right), 4),
        "accuracy_at_80": round(selective_accuracy(confidence, right, 0.8), 4),
    }
    threshold = unsure_threshold(confidence, right)
    return replace(settings, temperature=temperature, unsure_below=threshold, metrics=metrics)


def _policy(folder: Path, settings: TrainingSettings, before: Mapping[str, NDArray[Any]] | None) -> TrainablePolicy:
    """Return the policy to train: fresh, or with the weights of an earlier version."""
    torch.manual_seed(settings.seed)
    if is_causal(folder):
        policy = load_causal_policy(folder, rank=settings.rank)
        if before:
            load_adapter(policy.adapted, before)
        return policy
    policy = load_encoder_policy(folder, rank=settings.rank)
    if before:
        policy.model.start_from(before)
    return policy


def _weights(policy: TrainablePolicy) -> dict[str, NDArray[Any]]:
    """Return what was trained: the LoRA matrices, and the head of an encoder."""
    adapter = adapter_weights(policy.adapted)
    if not isinstance(policy.model, EncoderPolicy):
        return adapter
    return adapter | {name: value.numpy() for name, value in policy.model.head_weights().items()}


def _shape(policy: TrainablePolicy) -> EncoderShape | None:
    """What the graph of an encoder must know; a causal language model has no graph."""
    if not isinstance(policy.model, EncoderPolicy):
        return None
    config = policy.model.config
    return EncoderShape(config.num_hidden_layers, config.num_attention_heads, config.hidden_size, config.layer_norm_eps)


def _check(pairs: Sequence[PreferencePair], held: Sequence[LabelledQuestion]) -> None:
    if not pairs:
        raise TrainingDataError("There are no preference pairs to train on.", hint="Give a preference file.")
    if len(held) < FEWEST_HELD:
        raise TrainingDataError(
            f"{len(held)} held-out questions are too few to calibrate on; {FEWEST_HELD} are needed.",
            hint="Hold out more questions.",
        )
    trained = {pair.request.question.casefold() for pair in pairs}
    leaked = [question.id for question in held if question.request.question.casefold() in trained]
    if leaked:
        raise TrainingDataError(
            f"{len(leaked)} held-out questions are trained on as well, such as {leaked[0]}.",
            hint="Take them out of the one or the other.",
        )
