"""Networks, their published checkpoints, and the PyTorch executor of bundles."""
