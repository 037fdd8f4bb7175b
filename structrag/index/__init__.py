"""Finding the passages for a question: vectors in Chroma, keywords in BM25, and the fusion of both."""
