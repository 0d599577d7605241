"""What an evaluation asks of a bag, wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from perception.data.drive import DriveFrame


class EvaluatedDrive(Protocol):
    """A bag as frames; usually `perception.data.recorded_drive.RecordedDrive`.

    Attributes:
        name: the bag's name in this run.
        expected_frames: how many there should be; 0: not known.
        duration_s: from the first to the last message.
    """

    name: str
    expected_frames: int
    duration_s: float

    def frames(self) -> Iterator[DriveFrame]:
        """Read it; each call begins anew."""

    @property
    def losses(self) -> Sequence[str]:
        """What could not be read or used, one sentence each; known after reading."""
