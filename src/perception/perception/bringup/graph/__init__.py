"""The real graph, run by another command: bring-up and replay in processes of their own, and what comes out of it."""
