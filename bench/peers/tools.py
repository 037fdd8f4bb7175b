"""The tools that take part: what each is, and what differs from how it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers.protocol import Place, Tool

STRUCTRAG, PLAIN = "structrag", "plain"
_FORM = "the question is followed by one sentence that asks for the bare answer, the same for every tool"
_EMBEDDER = "embeds with all-MiniLM-L6-v2, like all here; it reads the first 256 word pieces of a text"
_TOKENIZER = "counts tokens with the `bpe-openai` package's o200k_base, the encoding it would have downloaded"
_SCOPE = "cannot search a part of the documents: the titles of a question's scope are put into the question"


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool that can be run.

    Attributes:
        title: For the report.
        maker: ``module:function`` that makes the tool for a place.
        package: Whose version is told, if it is one.
        deviations: What differs from its defaults.
    """

    title: str
    maker: str
    package: str = ""
    deviations: Sequence[str] = ()

    def make(self, place: Place) -> Tool:
        """Load the tool."""
        module, _, function = self.maker.partition(":")
        make: Callable[[Place], Tool] = getattr(import_module(module), function)
        return make(place)


TOOLS: Mapping[str, Listed] = {
    STRUCTRAG: Listed("StructRAG, as routed", "peers.ours:routed", "structrag"),
    PLAIN: Listed("StructRAG's plain passages", "peers.ours:plain", "structrag"),
    "langchain": Listed(
        "LangChain RAG",
        "peers.langchain_rag:make",
        "langchain-chroma",
        (
            "RecursiveCharacterTextSplitter (1,000 characters, 200 of overlap), Chroma, the 4 best chunks, one prompt",
            _EMBEDDER,
            _FORM,
        ),
    ),
    "lightrag": Listed(
        "LightRAG",
        "peers.light:make",
        "lightrag-hku",
        (
            "the evidence of an answer is cut to what the endpoint's context holds (by default 30,000 tokens)",
            "a call may take an hour (by default 3 minutes), as the endpoint is slow",
            "no reranker, as none is set by default",
            _EMBEDDER,
            _TOKENIZER,
            _SCOPE,
            "the bare answer is asked for by `response_type` and `user_prompt`",
        ),
    ),
    "lightrag-json": Listed(
        "LightRAG, JSON extraction",
        "peers.light:make_json",
        "lightrag-hku",
        ("as LightRAG above, with `entity_extraction_use_json`",),
    ),
    "nano": Listed(
        "nano-graphrag",
        "peers.nano:make",
        "nano-graphrag",
        (
            "mode `local`: the default `global` reads every community's report for every question",
            "the evidence of an answer, and of a community's report, is cut to what the endpoint's context holds",
            _EMBEDDER,
            _TOKENIZER,
            _SCOPE,
            "the bare answer is asked for by `response_type`",
        ),
    ),
    "paper": Listed(
        "the paper's prompting scheme, rewritten",
        "peers.prompting:make",
        "",
        (
            "our own prompts: a structure is chosen, written as text from whole documents, and read for each "
            "sub-question; nothing is parsed or executed",
            "the documents of a question are those of its scope, or all; the most similar first, cut to the context",
        ),
    ),
    "closed": Listed("no documents (closed book)", "peers.prompting:make_closed"),
}
