"""From PyTorch networks to bundles that run without it: tracing, lowering, precision, verification."""
