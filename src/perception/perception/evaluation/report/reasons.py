"""Why frames gave no result, for people."""

from __future__ import annotations

REASONS = {
    "superseded": "a newer cloud came while the network was still busy with an older one",
    "lost_before_node": "the middleware lost the cloud on its way to the node",
    "lost_after_node": "the node published a result that did not reach the recorder",
    "wrong_length": "the result did not have one label a point",
    "no_points": "the cloud had no point that the network could use",
    "worker_died": "the process that worked on the frame ended",
}


def explained(reason: str) -> str:
    """What a reason means; words that nobody has explained speak for themselves."""
    kind = reason.split(".", 1)[0].split(":", 1)[0]
    if kind == "malformed":
        return "the cloud's message could not be read"
    return REASONS.get(kind, "")
