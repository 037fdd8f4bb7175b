"""The budget of house style that ruff does not keep: short files, short functions."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("structrag", "router", "structures", "tui")
LONGEST_FILE = 400
LONGEST_FUNCTION = 50

EXCEPTIONS: dict[str, str] = {}
"""Files (``folder/name.py``) and functions (``folder/name.py:function``) that may be longer, and why."""


def sources() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def too_long(path: Path, root: Path) -> Iterator[str]:
    name = path.relative_to(root).as_posix()
    text = path.read_text(encoding="utf-8")
    if len(text.splitlines()) > LONGEST_FILE:
        yield name
    for node in ast.walk(ast.parse(text)):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION:
            yield f"{name}:{node.name}"


def test_files_and_functions_are_short_or_have_a_reason() -> None:
    assert len(sources()) > 50
    assert {each for path in sources() for each in too_long(path, ROOT)} == set(EXCEPTIONS)


def test_what_is_one_line_too_long_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def fits():\n" + "    1\n" * 49 + "\n" * 350, encoding="utf-8")
    assert list(too_long(path, tmp_path)) == []
    path.write_text("async def too_long():\n" + "    1\n" * 50 + "\n" * 350, encoding="utf-8")
    assert list(too_long(path, tmp_path)) == ["long.py", "long.py:too_long"]
