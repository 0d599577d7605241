"""How fast a bundle runs: `perception benchmark`."""
