"""Answer questions over documents by way of the knowledge structure that fits the question."""
