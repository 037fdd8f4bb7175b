"""The embedded embedder, for real, and what is said of those that cannot be loaded."""

from pathlib import Path

import numpy as np
import pytest

from structrag.errors import ModelError
from structrag.models.embedding import SentenceTransformerEmbedder, load_embedder


def test_one_normalised_row_per_text(embedder: SentenceTransformerEmbedder) -> None:
    rows = embedder.embed(["A heat pump.", "", "Ein Satz auf Deutsch. " * 400])
    assert rows.shape == (3, 384)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)


def test_no_texts_make_no_rows(embedder: SentenceTransformerEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


def test_texts_about_the_same_are_nearer_than_others(embedder: SentenceTransformerEmbedder) -> None:
    about, same, other = embedder.embed(
        [
            "The boiler makes a loud noise in winter.",
            "When it is cold, the heating rattles.",
            "The poet was awarded a prize for her second novel.",
        ]
    )
    assert about @ same > about @ other + 0.2


def test_the_same_text_has_the_same_row_alone_and_among_others(embedder: SentenceTransformerEmbedder) -> None:
    text = "The trustees met on 8 April."
    [alone] = embedder.embed([text])
    among = embedder.embed(["short", text, "a longer text that needs padding " * 20])[1]
    assert alone == pytest.approx(among, abs=1e-5)


def test_the_embedded_one_is_the_default_and_bears_its_models_name() -> None:
    assert load_embedder("embedded").name == "all-MiniLM-L6-v2"


def test_a_folder_is_named_by_its_last_part(tmp_path: Path) -> None:
    folder = tmp_path / "my-embedder"
    folder.mkdir()
    assert load_embedder(str(folder)).name == "my-embedder"
    assert load_embedder(f"{folder}/../my-embedder/").name == "my-embedder"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"config.json": b"not JSON"},
        {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"cut off"},
        {"modules.json": b'[{"idx": 0}]'},
    ],
    ids=["empty", "no JSON", "cut off weights", "no path"],
)
def test_a_folder_that_holds_no_model_is_an_error_that_names_it(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match="broken' cannot be loaded") as caught:
        load_embedder(str(folder)).embed(["text"])
    assert caught.value.hint is not None
    assert "models.embedder" in caught.value.hint


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere' failed"):
        load_embedder(str(tmp_path / "nowhere")).embed(["text"])


def test_a_provider_without_its_key_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match=r"The embedder 'openai:text-embedding-3-small' failed: .*key"):
        load_embedder("openai:text-embedding-3-small").embed(["text"])
