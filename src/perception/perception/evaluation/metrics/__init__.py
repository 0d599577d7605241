"""How good results are: one definition a file, NumPy only."""
