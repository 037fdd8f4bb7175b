"""The examples in the docs, run as a reader would: an own builder, an own router."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from structrag import StructRAG
from structrag.errors import ConfigError
from structrag.structures.chunk import ChunkSet
from structrag.testing import scripted
from structrag.utilizer.reading import load_prompt

DOCS = Path(__file__).parents[1] / "docs"


def python_in(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def my_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package as the docs describe it, installed: an importable module and its entry points."""
    (builder,) = python_in("builders.md")
    router = next(code for code in python_in("router.md") if "class " in code).partition("\nStructRAG.open")[0]
    site = tmp_path / "site"
    info = site / "my_package-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "my_package.py").write_text(builder + router, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", encoding="utf-8")
    points = [
        line
        for page in ("builders.md", "router.md")
        for block in re.findall(
            r"```toml\n\[project\.(entry-points.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL
        )
        for line in block.split("\n")
    ]
    written = "\n".join(re.sub(r'entry-points\."(.*)"\]', r"[\1]", line).replace('"', "") for line in points)
    (info / "entry_points.txt").write_text(written, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("my_package", None)


@pytest.mark.usefixtures("my_package")
def test_the_documented_builder_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "short.md").write_text("# Kiln\n\nThe kiln is fired at 1,240 °C.\n", encoding="utf-8")
    (tmp_path / "long.md").write_text("# Clay\n\n" + "Clay is dug from the pit. " * 80, encoding="utf-8")
    reading = {load_prompt("read"): {"item": 1, "answer": "1,240 °C"}, load_prompt("confirm"): {"yes": 0.9, "no": 0.1}}
    chat, _ = scripted(reading)
    settings = {"builders.chunk": "whole"}
    with StructRAG.open(tmp_path / "corpus", settings=settings, chat=chat) as rag:
        rag.add([tmp_path / "short.md", tmp_path / "long.md"])
        answer = rag.ask("How hot is the kiln fired?", structure="chunk")
    assert isinstance(answer.structure, ChunkSet)
    assert [passage.span.document_id for passage in answer.structure.passages] == ["short.md"]
    assert "1 of 2 documents are short" in [step.detail for step in answer.trace]


@pytest.mark.usefixtures("my_package")
def test_a_builder_must_be_there_and_build_that_structure(tmp_path: Path) -> None:
    chat, _ = scripted({})
    (tmp_path / "kiln.md").write_text("The kiln is fired at 1,240 °C.", encoding="utf-8")
    for settings, message in (
        ({"builders.table": "whole"}, "does not build the structure table"),
        ({"builders.table": "nowhere"}, "There is no builder 'nowhere'"),
    ):
        with StructRAG.open(tmp_path / "corpus", settings=settings, chat=chat) as rag:
            rag.add([tmp_path / "kiln.md"])
            with pytest.raises(ConfigError, match=message):
                rag.ask("How hot?", structure="table")


@pytest.mark.usefixtures("my_package")
def test_the_documented_router_routes(tmp_path: Path) -> None:
    with StructRAG.open(tmp_path, settings={"router.name": "length"}) as rag:
        assert str(rag.route("How hot?").structure) == "chunk"
        assert str(rag.route("How hot " + "and how hot " * 10).structure) == "graph"
        assert rag.moving_words(rag.route("How hot?")) == ()
