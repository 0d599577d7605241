"""Training on simulated drives, up to the bundle: the command `perception train`."""
