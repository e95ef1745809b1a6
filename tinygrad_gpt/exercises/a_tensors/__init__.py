"""N-dimensional tensors: broadcasting, indexing and @."""
