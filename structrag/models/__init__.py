"""Chat models, their weights and the embedder: everything that computes with a neural network."""
