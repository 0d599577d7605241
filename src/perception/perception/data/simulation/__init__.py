"""data/simulation."""
