"""Measure the ChatRouter's prior for the configured chat model and keep it in router/prompts/priors.json.

python bench/route_prior.py
"""

from __future__ import annotations

import json
from pathlib import Path

from structrag.config import load_settings
from structrag.models.loading import load_chat_model
from structrag.router.chat import ChatRouter, measure_prior

PRIORS = Path(__file__).parent.parent / "router" / "prompts" / "priors.json"

if __name__ == "__main__":
    settings, _ = load_settings()
    chat = load_chat_model(settings.models)
    prior = measure_prior(ChatRouter(chat))
    priors = json.loads(PRIORS.read_text(encoding="utf-8"))
    priors[chat.name] = {str(structure): round(share, 4) for structure, share in prior.items()}
    PRIORS.write_text(json.dumps(priors, indent=2) + "\n", encoding="utf-8")
    print(priors[chat.name])
