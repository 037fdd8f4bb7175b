"""The command ``doctor``: checks what StructRAG needs, and says what to do about what is wrong."""

from __future__ import annotations

from typing import Annotated

import typer

from structrag.cli.invocation import CorpusOption, Invocation, JsonOption, ModelOption, model_settings
from structrag.cli.narration import Activity
from structrag.cli.text import narrate, one_line, write, write_json

_BAD_ENVIRONMENT = 2
_BAD_MODEL = 3


def doctor(
    ctx: typer.Context,
    as_json: JsonOption = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not call the chat model.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair the corpus and the router: damaged files are moved aside.")
    ] = False,
    corpus: CorpusOption = None,
    model: ModelOption = None,
) -> None:
    """Check what StructRAG needs, and say what to do about what is wrong.

    Repairing moves damaged files aside under a name that says so, saves what can be read of them, and makes the index
    anew from the stored documents. It deletes no document and nothing that a person recorded.

    The exit code is 3 when a model fails, and 2 when anything else does.
    """
    from structrag.cli.checks import Outcome, all_checks, run_checks
    from structrag.config import load_settings

    folder = Invocation.of(ctx).folder(corpus)
    settings, _ = load_settings(folder, model_settings(model))
    outcomes: list[Outcome] = []
    activity = Activity("Checking")
    checks = all_checks(settings, folder, activity, offline=offline)
    for outcome in run_checks(checks, activity, repair=repair):
        outcomes.append(outcome)
        if not as_json:
            write(f"{outcome.status:<4}  {outcome.name:<13}  {one_line(outcome.message)}")
            if outcome.repaired:
                write(f"{'':21}repaired: {one_line(outcome.repaired)}")
            if outcome.remedy:
                write(f"{'':21}→ {one_line(outcome.remedy)}")
    failed = [outcome for outcome in outcomes if outcome.status == "fail"]
    if as_json:
        write_json({"ok": not failed, "checks": [outcome.to_dict() for outcome in outcomes]})
    if failed:
        narrate(f"{len(failed)} of {len(outcomes)} checks failed.")
        raise typer.Exit(_BAD_MODEL if any(outcome.is_model for outcome in failed) else _BAD_ENVIRONMENT)
