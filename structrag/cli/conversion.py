"""The command that turns a public question set into the form that `structrag eval` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structrag.cli.text import narrate, write
from structrag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


def convert(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="squad, hotpotqa, 2wikimultihopqa, musique, wikitablequestions, tatqa, qmsum or loong.",
        ),
    ],
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Its questions, as their owners publish them.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", file_okay=False, show_default=False, help="Where questions and documents go."
        ),
    ],
) -> None:
    """Turn a public question set that you have into questions.jsonl and documents.jsonl for `structrag eval`.

    Nothing is fetched; mind the set's licence.
    """
    from structrag.evaluation.originals import convert as convert_set

    converted = convert_set(name.strip().lower(), path)
    if not converted.questions:
        raise ConfigError(f"{path} holds no question that can be scored.", hint=f"{converted.left_out} were left out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, rows in (("questions.jsonl", converted.questions), ("documents.jsonl", converted.documents)):
            _write(out / file, rows)
            write(f"{len(rows)} {file.removesuffix('.jsonl')}  {out / file}")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}.", hint="Give another --out.") from error
    if converted.left_out:
        narrate(f"{converted.left_out} questions were left out: their answers are prose or groups that are not scored.")


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    temporary.replace(path)
