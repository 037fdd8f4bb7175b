"""The reranker: a cross-encoder orders what both indexes found; tried on a small one with weights set by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from structrag import StructRAG
from structrag.errors import ModelError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.models.reranking import CrossEncoderReranker

TEXTS = {
    "pump.md": "The pump house was built in 1931 beside the mill.",
    "mill.md": "The mill, whose pump failed twice, was sold to the town.",
    "town.md": "A pump stands in the town square.",
}
QUESTION = "Where is the pump of the mill?"


def make_cross_encoder(folder: Path, liked: str, *, labels: int = 1) -> str:
    """Write a one-layer BERT that scores a pair by how often it holds the word ``liked``; the rest is zero."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", liked]
    BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        num_labels=labels,
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        # Each token carries its mark into the [CLS] token by attention with equal shares.
        model.bert.embeddings.word_embeddings.weight[len(words) - 1] = torch.tensor([1.0, -1.0, 0.0, 0.0])
        model.bert.embeddings.LayerNorm.weight.fill_(1)
        attention = model.bert.encoder.layer[0].attention
        for linear in (attention.self.value, attention.output.dense, model.bert.pooler.dense):
            linear.weight.copy_(torch.eye(4))
        attention.output.LayerNorm.weight.fill_(0.1)
        model.bert.encoder.layer[0].output.LayerNorm.weight.fill_(0.1)
        model.classifier.weight[0, 0] = 1
    model.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(("liked", "first"), [("square", "town.md"), ("1931", "pump.md"), ("sold", "mill.md")])
def test_the_cross_encoder_decides_which_passage_comes_first(
    tmp_path: Path, embedder: SentenceTransformerEmbedder, liked: str, first: str
) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for name, text in TEXTS.items():
        (documents / name).write_text(text, encoding="utf-8")
    path = make_cross_encoder(tmp_path / "cross", liked)
    with StructRAG.open(tmp_path / "corpus", settings={"retrieval.reranker": path}, embedder=embedder) as rag:
        rag.add([documents])
        found = rag.search(QUESTION, k=3)
        assert Path(found[0].span.document_id).name == first
        assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
        expected = CrossEncoderReranker(path).scores(QUESTION, [p.text for p in found])
        assert [p.score for p in found] == pytest.approx([float(score) for score in expected], abs=1e-5)
        assert len(rag.search(QUESTION, k=1)) == 1


def test_a_corpus_without_one_keeps_the_fused_order(tmp_path: Path, embedder: SentenceTransformerEmbedder) -> None:
    document = tmp_path / "pump.md"
    document.write_text(TEXTS["pump.md"], encoding="utf-8")
    with StructRAG.open(tmp_path / "corpus", embedder=embedder) as rag:
        rag.add([document])
        [found] = rag.search(QUESTION, k=3)
        assert found.score == pytest.approx(2 / 61), "first in both rankings"


def test_a_folder_without_a_model_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        CrossEncoderReranker(str(tmp_path)).scores("q", ["text"])
    assert "retrieval.reranker" in (caught.value.hint or "")


def test_a_classifier_of_several_labels_is_no_reranker(tmp_path: Path) -> None:
    path = make_cross_encoder(tmp_path / "three", "pump", labels=3)
    with pytest.raises(ModelError, match="3 scores for a pair"):
        CrossEncoderReranker(path).scores("q", ["text", "other"])
