"""What became of one frame in one network: the one kind of value that passes between the parts of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from perception.data.drive import DriveFrame
from perception.types import DetectedObjects, LabelledCloud

Result: TypeAlias = LabelledCloud | DetectedObjects


@dataclass(frozen=True)
class FrameOutcome:
    """One frame and what a network said about it.

    Both modes give these in the order of the bags, frames and networks, so that all that is made of them agrees.

    Attributes:
        bag: the bag's name in this run.
        index: number of the frame in its bag, from 0; unlike its stamp, it never occurs twice.
        frame: the cloud and its truth.
        model: the network's name in this run.
        result: class ids in the network's own classes, or boxes in the cloud's frame; None where nothing came out.
        dropped: why nothing came out, a word such as superseded; empty where something did.
        stage_ms: milliseconds of each stage in the order they ran, and `total`; online also `end_to_end`, from the
            moment when the replay handed the cloud to the middleware until the middleware had received its result in
            another process, and `replay_late`, how long after it was due the replay published the cloud.
    """

    bag: str
    index: int
    frame: DriveFrame
    model: str
    result: Result | None
    dropped: str = ""
    stage_ms: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.result is None) != bool(self.dropped):
            raise ValueError(f"frame {self.index} of {self.bag}: give a result, or the reason why there is none")
