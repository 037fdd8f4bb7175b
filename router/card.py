"""The model card that is written beside every trained router."""

from __future__ import annotations

from structrag.router.artefact import PolicySettings

_TRAINERS = {"SFTTrainer": "sft_epochs", "DPOTrainer": "dpo_epochs"}
_WHAT = """# Router {version}

Chooses one of five knowledge structures (table, graph, algorithm, catalogue, chunk) for a question over documents.

- **Base model:** {base}
- **Adaptation:** LoRA layers{head}, trained with TRL's {trainers}
- **Input:** the question, and the titles and shapes of the documents found for it; never their text
- **Output:** probabilities, calibrated by one temperature ({temperature:.3f}); unsure below {unsure:.2f}
- **Languages:** English; others were neither trained nor measured

## Trained on

{training}

SHA-256 of the preference pairs: `{data}`

## Measured on held-out questions

{metrics}

These questions also set the temperature and the threshold, so the calibration error is a little too good.

## Limits

It judges by wording and titles alone. Where the documents decide which structure is right, it can be wrong with
confidence; every route can be overridden, and an override is a new preference pair.
"""


def model_card(settings: PolicySettings) -> str:
    """Return the card as Markdown."""
    return _WHAT.format(
        version=settings.version,
        base="all-MiniLM-L6-v2 (Apache-2.0)" if settings.base_model == "embedded" else settings.base_model,
        head=" and a five-way head"
        if settings.encoder
        else "; the structures are chosen by the likelihood of their names",
        trainers=" and ".join(f"`{name}`" for name, epochs in _TRAINERS.items() if settings.training.get(epochs))
        or "trainers",
        temperature=settings.temperature,
        unsure=settings.unsure_below,
        training=_list(settings.training),
        data=settings.data_sha256,
        metrics=_list(settings.metrics),
    )


def _list(values: object) -> str:
    items = dict(values).items() if isinstance(values, dict) else []
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in items) or "- nothing recorded"
