"""Training of detectors: targets, losses, batches, and what a step teaches."""
