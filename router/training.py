"""Training the policy by TRL: a supervised start on the preferred labels, then DPO on the preference pairs.

Rafailov et al. 2023 (arXiv 2305.18290) for DPO; the trainers are TRL's own, unmodified. Needs the ``train`` extra.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, disable_progress_bars, enable_progress_bars
from datasets.utils import is_progress_bar_enabled
from transformers import PrinterCallback, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import logging as transformers_logging
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from structrag.router.preferences import PreferencePair
from structrag.router.trainable import TrainablePolicy
from structrag.router.training_settings import StepListener, TrainingSettings, TrainingStep

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

_LENGTH = "length"
_NO_BARS = "TQDM_DISABLE"


def train_policy(
    pairs: Sequence[PreferencePair],
    policy: TrainablePolicy,
    work: Path,
    settings: TrainingSettings,
    listener: StepListener = lambda step: None,
) -> None:
    """Train a policy in place; it is in evaluation mode afterwards.

    Args:
        pairs: What is preferred to what.
        policy: Fresh, or where an earlier training left it.
        work: For checkpoints: a training that was interrupted goes on from the last one.
        settings: How.
        listener: Told every few steps.
    """
    torch.manual_seed(settings.seed)
    with quietly():
        if settings.sft_epochs:
            _run(_supervised_trainer(pairs, policy, work / "sft", settings, _Progress("sft", listener)))
        if settings.dpo_epochs:
            _run(_preference_trainer(pairs, policy, work / "dpo", settings, _Progress("dpo", listener)))
    policy.model.eval()


def _supervised_trainer(
    pairs: Sequence[PreferencePair],
    policy: TrainablePolicy,
    folder: Path,
    settings: TrainingSettings,
    progress: TrainerCallback,
) -> SFTTrainer:
    return SFTTrainer(
        model=policy.model,
        args=SFTConfig(**_common(settings, folder, settings.sft_epochs), max_length=policy.max_length),
        train_dataset=_supervised(pairs, policy),
        processing_class=policy.tokenizer,
        optimizers=(_optimizer(policy, settings, 1.0), None),
        callbacks=[progress],
    )


def _preference_trainer(
    pairs: Sequence[PreferencePair],
    policy: TrainablePolicy,
    folder: Path,
    settings: TrainingSettings,
    progress: TrainerCallback,
) -> DPOTrainer:
    config = DPOConfig(
        **_common(settings, folder, settings.dpo_epochs),
        beta=settings.beta,
        max_length=policy.max_length,
        precompute_ref_log_probs=True,
        remove_unused_columns=False,  # or the lengths were gone before they are grouped by
    )
    # The trainer first scores all rows, in their order: those of about one length together cost half as much.
    rows = sorted((_pair_row(pair, policy) for pair in pairs), key=lambda row: row[_LENGTH])
    return DPOTrainer(
        model=policy.model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.tokenizer,
        optimizers=(_optimizer(policy, settings, settings.dpo_share), None),
        callbacks=[progress],
    )


def _supervised(pairs: Sequence[PreferencePair], policy: TrainablePolicy) -> Dataset:
    """One row for each question: its preferred label."""
    rows = {(policy.render(pair.request), policy.completions[pair.chosen]): None for pair in pairs}
    return Dataset.from_list([{"prompt": prompt, "completion": label, _LENGTH: len(prompt)} for prompt, label in rows])


def _pair_row(pair: PreferencePair, policy: TrainablePolicy) -> dict[str, Any]:
    prompt = policy.render(pair.request)
    return {
        "prompt": prompt,
        _LENGTH: len(prompt),
        "chosen": policy.completions[pair.chosen],
        "rejected": policy.completions[pair.rejected],
    }


def _common(settings: TrainingSettings, folder: Path, epochs: int) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "num_train_epochs": epochs,
        "per_device_train_batch_size": settings.batch,
        "learning_rate": settings.body_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.1,
        # A step costs as much as its longest prompt, so prompts of about one length go together.
        "train_sampling_strategy": "group_by_length",
        "length_column_name": _LENGTH,
        "max_grad_norm": 1.0,
        "seed": settings.seed,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "activation_checkpointing": False,
        "logging_steps": 5,
        "save_steps": 100,
        "save_total_limit": 1,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the libraries' progress bars, reports and notices from the terminal: a listener is told instead."""
    shown, level = is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    disable_progress_bars()
    # DPO's own bar, while it scores the pairs by the start, hears nothing but this.
    before = os.environ.get(_NO_BARS)
    os.environ[_NO_BARS] = "1"
    with warnings.catch_warnings():
        # trl asks transformers by names that are on their way out.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            yield
        finally:
            transformers_logging.set_verbosity(level)
            os.environ.pop(_NO_BARS)
            if before is not None:
                os.environ[_NO_BARS] = before
            if shown:
                transformers_logging.enable_progress_bar()
                enable_progress_bars()


def _run(trainer: Any) -> None:
    """Train, from the last whole checkpoint where there is one."""
    trainer.remove_callback(PrinterCallback)  # it would write to stdout, which is for data
    checkpoint = _last_checkpoint(Path(trainer.args.output_dir))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def _last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that is whole; what a crash left half written is removed.

    The trainer writes its state last, so a folder without a readable one is not whole.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            json.loads((path / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path)
            continue
        return path
    return None


def _optimizer(policy: TrainablePolicy, settings: TrainingSettings, share: float) -> torch.optim.Optimizer:
    """A head that starts at zero learns faster than the layers that are only adapted."""
    body = [p for p in policy.adapted.parameters() if p.requires_grad]
    adapted = {id(parameter) for parameter in body}
    head = [p for p in policy.model.parameters() if p.requires_grad and id(p) not in adapted]
    groups = [{"params": body, "lr": share * settings.body_rate}, {"params": head, "lr": share * settings.head_rate}]
    return torch.optim.AdamW([group for group in groups if group["params"]])


class _Progress(TrainerCallback):  # type: ignore[misc]  # transformers is not followed
    """Hands the trainer's log on as `TrainingStep`."""

    def __init__(self, stage: str, listener: StepListener) -> None:
        self._stage = stage
        self._listener = listener
        self._started = time.monotonic()
        self._first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._started, self._first = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        done = max(1, state.global_step - self._first)
        left = (time.monotonic() - self._started) / done * (state.max_steps - state.global_step)
        margin = logs.get("rewards/margins")
        self._listener(TrainingStep(self._stage, state.global_step, state.max_steps, logs["loss"], margin, left))
