"""The way of a question from the documents to the answer, and `StructRAG`, which callers hold."""

from structrag.pipeline.rag import StructRAG

__all__ = ["StructRAG"]
