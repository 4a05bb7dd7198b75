"""A kernel: how it starts, its process, and the link to it."""
