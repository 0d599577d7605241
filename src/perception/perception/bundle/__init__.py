"""Bundles: one deployable network as a folder."""
