"""Train the router that the package ships: on questions as they are written, then by DPO on other forms of them.

    python bench/router_shipped.py --routing routing.jsonl --work build/shipped [--go-on]

Resumable; takes 50 minutes on two cores, and with ``--go-on``, from the version that ships now, half of that.
Nothing held out is trained on, and the test questions are not read.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from structrag.router.artefact import read_settings, write_artefact
from structrag.router.card import model_card
from structrag.router.fitting import fit
from structrag.router.questions import (
    LabelledQuestion,
    label_pairs,
    read_domain,
    shipped_questions,
    with_mixed_documents,
)
from structrag.router.retraining import FULL
from structrag.router.training_settings import TrainingStep
from structrag.router.variations import varied
from structrag.router.versions import shipped_folder

AS_WRITTEN = FULL
IN_OTHER_FORMS = replace(FULL, sft_epochs=0, dpo_epochs=1, dpo_share=0.4)
WITH_MORE = replace(FULL, sft_epochs=1, dpo_epochs=1, dpo_share=0.4, body_rate=5e-4, head_rate=1e-3)


def train(others: Sequence[LabelledQuestion], work: Path) -> Path:
    """Return the folder of the trained version."""
    shipped = shipped_questions()
    held = with_mixed_documents(shipped.held_out)
    written = [*with_mixed_documents(shipped.training), *others]
    first = fit(label_pairs(written, each=1), held, work, AS_WRITTEN, _print_step)
    forms = varied([*with_mixed_documents(shipped.training, seed=1), *others], share=0.5, seed=2)
    return fit(label_pairs(forms, each=1, seed=1), held, work, IN_OTHER_FORMS, _print_step, start=first)


def go_on(others: Sequence[LabelledQuestion], work: Path) -> Path:
    """Go on from the version that ships, on its questions and those written since, half of them in other forms."""
    shipped = shipped_questions()
    held = with_mixed_documents(shipped.held_out)
    forms = varied([*with_mixed_documents(shipped.training, seed=2), *others], share=0.5, seed=3)
    return fit(label_pairs(forms, each=1, seed=2), held, work, WITH_MORE, _print_step, start=shipped_folder())


def ship(version: Path, others: int) -> None:
    """Put a version into the package, with where its questions come from and how the trainings before it went."""
    settings = read_settings(version)
    started_from = version.with_name(settings.training["started_from"])
    before = read_settings(started_from if started_from.exists() else shipped_folder()).training
    went = (
        f"{before['sft_epochs']} passes by SFT, {before['dpo_epochs']} by DPO, {before['seconds']} s, "
        f"{before['pairs']} questions"
    )
    record = {
        "trainings_before": [*before.get("trainings_before", []), went],
        **settings.training,
        "sources": {
            "questions of ours": settings.training["pairs"] - others,
            "questions of public data sets": others,
        },
    }
    final = replace(settings, training=record)
    weights = (version / "adapter.safetensors").read_bytes()
    shutil.rmtree(shipped_folder())
    write_artefact(shipped_folder(), weights, final, model_card(final))


def _print_step(step: TrainingStep) -> None:
    if step.step % 50 == 0:
        print(f"{step.stage} {step.step}/{step.steps} loss {step.loss:.3f} {step.seconds_left:.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/shipped"), help="versions and checkpoints")
    parser.add_argument("--routing", type=Path, help="labelled questions of other sources")
    parser.add_argument("--go-on", action="store_true", help="from the version that ships now")
    parser.add_argument("--only-train", action="store_true", help="leave the package as it is")
    arguments = parser.parse_args()
    given = read_domain(arguments.routing) if arguments.routing else []
    made = (go_on if arguments.go_on else train)(given, arguments.work)
    if not arguments.only_train:
        ship(made, len(given))
    print(made)
