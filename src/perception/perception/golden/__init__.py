"""Golden cases: whether the networks compute what the official implementations computed."""
