"""Parallel text: reading, cleaning, batching, words and links."""
