"""`perception view`: bags, evaluations and live topics in a viewer."""
