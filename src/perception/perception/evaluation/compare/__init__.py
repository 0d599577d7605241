"""`perception compare`: two evaluations beside each other, and what of their difference may be chance."""
