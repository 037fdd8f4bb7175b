"""How a policy is trained and how far a training is; without the packages that train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from structrag.errors import MissingExtraError

_PACKAGES = ("torch", "transformers", "datasets", "peft", "trl")


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How the policy is trained.

    Attributes:
        rank: Of the LoRA layers.
        sft_epochs: Passes over the preferred labels; 0 for none.
        dpo_epochs: Passes over the pairs; 0 for none.
        body_rate: Learning rate of the LoRA layers.
        head_rate: Learning rate of the head.
        dpo_share: By what both rates are multiplied for DPO.
        beta: DPO's; the smaller, the further the policy may go from its start.
        batch: Rows a step.
        seed: For the first weights, the order and the dropout.
    """

    rank: int = 16
    sft_epochs: int = 3
    dpo_epochs: int = 1
    body_rate: float = 1e-3
    head_rate: float = 5e-3
    dpo_share: float = 0.2
    beta: float = 0.5
    batch: int = 32
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as they stand in an artefact."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """How far a training is.

    Attributes:
        stage: ``sft`` or ``dpo``.
        margin: DPO's reward margin; ``None`` in the supervised stage.
        seconds_left: Of this stage, estimated from its steps so far.
    """

    stage: str
    step: int
    steps: int
    loss: float
    margin: float | None
    seconds_left: float


StepListener = Callable[[TrainingStep], None]


def require_training() -> None:
    """Check that the packages for training are installed.

    Raises:
        MissingExtraError: One is not.
    """
    missing = next((package for package in _PACKAGES if find_spec(package) is None), None)
    if missing:
        raise MissingExtraError(missing, extra="train", purpose="Training the router")
