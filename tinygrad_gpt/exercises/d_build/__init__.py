"""Build it: autograd, AdamW, sampling, the cache."""
