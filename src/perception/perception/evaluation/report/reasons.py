"""Why frames gave no result, for people."""

from __future__ import annotations

REASONS = {
    "superseded": "a newer cloud came while the network was still busy with an older one",
    "malformed": "the cloud's message could not be used",
    "no_transform": "where the sensor was is not known for that moment",
    "processing_failed": "the network failed on this cloud",
    "deactivated": "the node was not active",
    "no_subscriber": "nobody listened to the node's results",
    "not_replayed": "the replay did not publish the cloud",
    "lost_before_node": "the middleware lost the cloud on its way to the node",
    "lost_after_node": "the node published a result that did not reach the recorder",
    "wrong_length": "the result did not have one label a point",
    "worker_ended": "the process that worked on the cloud ended",
}


def explained(reason: str) -> str:
    """What a reason means, by its first word; one that nobody has explained speaks for itself."""
    return REASONS.get(reason.partition(".")[0], "")
