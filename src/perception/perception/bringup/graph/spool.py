"""What came out of the graph, on disk until it is judged."""

from __future__ import annotations

import pickle
import tempfile
from array import array
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from perception.bringup.graph.matching import Arrival
from perception.nodes.recorded import RecordedFrame


class Spool(AbstractContextManager["Spool"]):
    """Frames in a file that has no name; memory holds only where they are.

    Judging takes as long as the network does. It waits until the bag has been played, so as not to disturb what is
    measured; meanwhile the results of a long bag would fill the memory.

    Args:
        folder: on the disk that is to be used.
    """

    def __init__(self, folder: Path) -> None:
        self.arrivals: list[Arrival] = []
        self._places = array("Q")
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, frames: Iterable[RecordedFrame]) -> None:
        """Append frames."""
        for frame in frames:
            self.arrivals.append(Arrival(frame.stamp_ns, frame.received_ns - round(frame.total_ms * 1e6)))
            self._places.append(self._file.tell())
            pickle.dump(frame, self._file)

    def frame(self, number: int) -> RecordedFrame:
        """Read the frame of an arrival; nothing can be appended any more."""
        self._file.seek(self._places[number])
        # The file has no name: what is in it was written above.
        frame: RecordedFrame = pickle.load(self._file)  # noqa: S301
        return frame
