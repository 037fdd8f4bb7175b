"""Router versions that a test prescribes, and a corpus that keeps preferences only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structrag.errors import RoutingError, StoreError
from structrag.router.artefact import PolicySettings
from structrag.router.comparison import Comparison
from structrag.router.evaluation import Evaluation
from structrag.router.preferences import PreferencePair
from structrag.router.protocol import RoutingRequest
from structrag.router.retraining import Retraining
from structrag.router.training_settings import StepListener, TrainingStep
from structrag.router.versions import RouterVersion
from structrag.tui.app import StructRAGApp
from structrag.tui.routers import Measurement, ReliabilityBin
from structrag.types import SourceDocument, StructureType

SETTINGS = PolicySettings(
    version="v1",
    base_model="embedded",
    encoder=None,
    lora_scale=2.0,
    temperature=1.0,
    unsure_below=0.5,
    adapter_sha256="0",
    data_sha256="0",
    metrics={"accuracy": 0.93, "calibration_error": 0.014, "held_out": 625},
    training={"pairs": 6460, "sft_epochs": 2},
)
BETTER = Comparison(900, 0.95, 0.93, 0.02, 0.01, 0.03)
WORSE = Comparison(900, 0.80, 0.93, -0.13, -0.15, -0.11)
CONFUSION = {
    str(needed): {str(chosen): 90 if chosen is needed else 2 for chosen in StructureType} for needed in StructureType
}
EVALUATION = Evaluation(
    questions=490,
    accuracy=0.918,
    low=0.89,
    high=0.94,
    macro_f1=0.917,
    macro_f1_low=0.89,
    macro_f1_high=0.94,
    recall={str(structure): 0.9 for structure in StructureType},
    calibration_error=0.021,
    accuracy_at_80=0.98,
    unsure=0.12,
    hard=None,
    confusion=CONFUSION,
)
BINS = (ReliabilityBin(245, 0.5, 0.5), ReliabilityBin(245, 0.9, 0.7))


def pair(question: str = "Who supplies it?") -> PreferencePair:
    return PreferencePair(RoutingRequest(question), StructureType.GRAPH, StructureType.CHUNK, "human", "a1")


@dataclass
class ScriptedRouters:
    """Versions whose training, measures and comparisons the test prescribes."""

    names: list[str] = field(default_factory=lambda: ["shipped", "v1"])
    way: list[str] = field(default_factory=lambda: ["shipped"])
    comparison: Comparison | Exception = BETTER
    steps: Sequence[TrainingStep] = ()
    gate: threading.Event | None = None
    gate_before: int = 0
    fails: Exception | None = None
    damaged: str = ""
    records: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    trained: list[Sequence[PreferencePair]] = field(default_factory=list)
    measured: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)

    def versions(self) -> Sequence[RouterVersion]:
        return [
            RouterVersion(name, Path(name), name == self.way[-1], None, f"{name} is damaged.")
            if name == self.damaged
            else RouterVersion(name, Path(name), name == self.way[-1], SETTINGS)
            for name in self.names
        ]

    def measure(self, version: str, progress: Callable[[tuple[int, int]], None]) -> Measurement:
        self.measured.append(version)
        for done in (245, 490):
            progress((done, 490))
        if self.fails:
            raise self.fails
        return Measurement(version, EVALUATION, BINS)

    def train(self, pairs: Sequence[PreferencePair], listener: StepListener) -> Retraining:
        self.trained.append(pairs)
        if self.fails:
            raise self.fails
        for number, step in enumerate(self.steps):
            if self.gate is not None and number == self.gate_before:
                assert self.gate.wait(30)
            listener(step)
        assert isinstance(self.comparison, Comparison)
        self.names.append("v2")
        return Retraining(Path("v2"), self.comparison, 10, 4, 9)

    def compare(self, version: str) -> Comparison:
        self.compared.append(version)
        if isinstance(self.comparison, Exception):
            raise self.comparison
        return self.comparison

    def promote(self, version: str, record: Mapping[str, Any]) -> None:
        if version == self.damaged:
            raise RoutingError(f"{version} is damaged.", hint="Train again.")
        self.records.append((version, record))
        self.way.append(version)

    def rollback(self) -> str:
        if len(self.way) < 2:
            raise RoutingError("No router was in use before 'shipped'.", hint="`structrag router list` shows all.")
        self.way.pop()
        return self.way[-1]


@dataclass
class PreferringCorpus:
    """An open corpus that only keeps preferences."""

    kept: dict[int, PreferencePair] = field(default_factory=dict)
    closed: int = 0

    def documents(self) -> Sequence[SourceDocument]:
        return []

    def answers(self, limit: int = 50) -> Sequence[Mapping[str, Any]]:
        return []

    def preferences(self) -> Mapping[int, PreferencePair]:
        return dict(self.kept)

    def undo_preference(self, preference_id: int) -> None:
        if preference_id not in self.kept:
            raise StoreError(f"There is no preference {preference_id}.")
        del self.kept[preference_id]

    def close(self) -> None:
        self.closed += 1


def app_for(routers: ScriptedRouters, corpus: PreferringCorpus | None = None) -> StructRAGApp:
    held = corpus or PreferringCorpus()
    return StructRAGApp(Path("my-corpus"), lambda folder: held, routers=lambda folder: routers)  # type: ignore[arg-type,return-value]


def steps(count: int = 4) -> list[TrainingStep]:
    return [TrainingStep("dpo", 5 * n, 5 * count, 0.7 / n, 0.1 * n, 60.0 / n) for n in range(1, count + 1)]
