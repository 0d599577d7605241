"""Sparse layers on the native operations, named and laid out as in the official checkpoints."""
