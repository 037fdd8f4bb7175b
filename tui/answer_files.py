"""Writes an answer to files: one to read, and one with the structure that it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from structrag.cli.text import clean, one_line
from structrag.errors import ConfigError
from structrag.types import Answer

_NAME = re.compile(r"[^\w-]+")
_LONGEST_NAME = 60


def usual_name(answer: Answer) -> str:
    """Return a file name made of the question's words."""
    words = _NAME.sub("-", one_line(answer.question)[:_LONGEST_NAME]).strip("-").lower()
    return f"{words or answer.id}.md"


def write_answer(answer: Answer, typed: str | Path) -> list[Path]:
    """Write the answer as Markdown to a path, and its structure beside it in the structure's usual format.

    Nothing that is there is overwritten, and nothing is written where one of the two cannot be.

    Args:
        answer: What to write.
        typed: The path as a person typed it; ``~`` is the home folder.

    Returns:
        The files written.

    Raises:
        ConfigError: A file is there already, or cannot be written.
    """
    structure_file = None if answer.structure is None else _structure_file(answer)
    markdown = answer_markdown(answer).encode()
    try:
        path = Path(typed).expanduser()
        contents = {path: markdown}
        if structure_file is not None:
            suffix, content = structure_file
            contents[path.with_name(f"{path.stem}-{answer.structure_type}.{suffix}")] = content
        there = next((each for each in contents if each.exists()), None)
    except (OSError, ValueError, RuntimeError) as error:  # too long, no name, no permission, or the home of nobody
        raise _unwritable(typed, error) from error
    if there is not None:
        raise ConfigError(f"{there} is there already, so nothing was written.", hint="Give another name.")
    for each, content in contents.items():
        try:
            with each.open("xb") as file:
                file.write(content)
        except (OSError, ValueError) as error:
            raise _unwritable(each, error) from error
    return list(contents)


def _unwritable(path: str | Path, error: Exception) -> ConfigError:
    why = str(error.strerror if isinstance(error, OSError) else error).rstrip(".")
    return ConfigError(f"{path} cannot be written: {why}.", hint="Give another path.")


def answer_markdown(answer: Answer) -> str:
    """Return question, answer, citations, route, usage and structure as Markdown; their text is no markup in it."""
    return "\n".join(_lines(answer)) + "\n"


def _lines(answer: Answer) -> Iterator[str]:
    from structrag.structures.exports.text import escape_markdown

    def told(text: str) -> str:
        return escape_markdown(one_line(text))

    yield from (f"# {told(answer.question)}", "")
    if answer.standalone:
        yield from (f"Understood as: {told(answer.standalone)}", "")
    for line in clean(answer.text).split("\n"):
        yield from (escape_markdown(line), "")
    if not answer.grounded:
        yield from ("No verified evidence supports this answer.", "")
    if answer.citations:
        yield from ("## Citations", "")
        for citation in answer.citations:
            place = ", ".join(part for part in (citation.title, citation.locator) if part)
            yield f"- \\[{citation.number}\\] {told(place)}: “{told(citation.evidence.quote)}”"
        yield ""
    yield from ("## Route", "")
    for structure in answer.route.ranked:
        yield f"- {structure}: {answer.route.probabilities[structure]:.0%}"
    unsure = ", unsure" if answer.route.unsure else ""
    yield from ("", f"Answered by the {answer.structure_type}; router {told(answer.route.router)}{unsure}.", "")
    usage = answer.usage
    yield from ("## Usage", "", f"{usage.calls} calls, {usage.tokens:,} tokens, {usage.seconds:.1f} s.", "")
    if answer.structure is not None:
        from structrag.structures.exports.export import export

        yield from ("## Structure", "", export(answer.structure, "md").decode().rstrip())


def _structure_file(answer: Answer) -> tuple[str, bytes]:
    """Return the ending and the content of the structure's file."""
    from structrag.structures.exports.export import export
    from structrag.structures.exports.formats import FORMATS, ExportFormat

    if answer.structure is None:
        raise ValueError("the answer has no structure")
    usual = FORMATS[answer.structure.type][0]
    try:
        return usual, export(answer.structure, usual)
    except ConfigError:
        # Several tables do not fit into one sheet of text; JSON holds everything.
        return ExportFormat.JSON, export(answer.structure, ExportFormat.JSON)
