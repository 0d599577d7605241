"""The outcomes of an online evaluation: what the real nodes make of a bag that is replayed in real time."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from perception.bringup.graph.playing import Playback, Replay
from perception.bringup.graph.running import GraphOptions, running_graph
from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.latency import with_totals
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.outcomes import FrameOutcome
from perception.nodes.recorded import RecordedFrame
from perception.nodes.replay_trace import PublishedMessage

#: A cloud of the bag that the replay did not publish.
NOT_REPLAYED = "not_replayed"


@dataclass(frozen=True)
class OnlineOptions:
    """How an online evaluation works.

    Attributes:
        graph: how the graph is brought up.
        rate: bag seconds a second.
        limit: frames of each bag at most; None: all.
        on_problem: told of frames that gave no result: network, reason, and a sentence.
        say: prints a line about what is going on.
        watch: gives, for the ids of the processes in which nodes run, what is entered while a bag plays.
    """

    graph: GraphOptions
    rate: float = 1.0
    limit: int | None = None
    on_problem: Callable[[str, str, str], object] = lambda model, reason, problem: None
    say: Callable[[str], None] = lambda text: None
    watch: Callable[[Sequence[int]], AbstractContextManager[object]] = lambda pids: nullcontext()


def online_outcomes(
    drives: Sequence[RecordedDrive], models: Sequence[EvaluatedModel], options: OnlineOptions
) -> Generator[FrameOutcome, None, None]:
    """Bring all networks up together, as on a robot, and replay every drive to them in real time.

    While a bag plays, nothing else is done here: its frames are judged by whoever takes the outcomes, afterwards.
    Ctrl-C during the replay ends it; the outcomes until then come first, then KeyboardInterrupt goes on.

    Yields:
        outcomes, drive by drive, frame by frame, network by network.

    Raises:
        ConfigurationError: a bag, a bundle or the config file cannot be used; nothing has been started.
        GraphError: the graph does not come up, or one of its processes has died.
    """
    options.graph.logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(dir=options.graph.logs)))
        replays = [Replay.of_bag(one.path, scratch, one.points_topic, options.rate, options.limit) for one in drives]
        options.say(f"bringing {', '.join(model.name for model in models)} up")
        graph = stack.enter_context(running_graph([model.folder for model in models], options.graph))
        nodes = dict(zip((model.name for model in models), graph.recorders, strict=True))
        for drive, replay in zip(drives, replays, strict=True):
            options.say(f"playing {drive.name}, {replay.duration_s:.1f} s at rate {replay.rate:g}")
            with Playback(graph, replay) as playback:
                with options.watch(graph.node_pids()):
                    playback.play()
                yield from _outcomes(drive, nodes, playback, options)
            if playback.interruption is not None:
                raise playback.interruption


def _outcomes(
    drive: RecordedDrive, nodes: Mapping[str, str], playback: Playback, options: OnlineOptions
) -> Iterator[FrameOutcome]:
    """Put what came out beside the frames; `nodes`: the full name of each network's node."""
    positions = _Positions(playback.clouds)
    for index, moment in enumerate(islice(drive.frames(), options.limit)):
        position = positions.next_with(moment.frame.stamp_ns)
        if position is None and playback.interruption is not None:
            return
        for model, node in nodes.items():
            if position is None:
                options.on_problem(model, NOT_REPLAYED, playback.problem)
                yield FrameOutcome(drive.name, index, moment, model, None, NOT_REPLAYED)
                continue
            fate = playback.fate(node, position)
            if fate.problem:
                options.on_problem(model, fate.dropped, fate.problem)
            stage_ms = _stage_ms(fate, playback.clouds[position])
            yield FrameOutcome(drive.name, index, moment, model, fate.result, fate.dropped, stage_ms)


def _stage_ms(fate: RecordedFrame, cloud: PublishedMessage) -> dict[str, float]:
    late = {"replay_late": max(cloud.late_ms, 0.0)}
    if fate.result is None:
        return late
    end_to_end_ms = (fate.received_ns - cloud.published_ns) * 1e-6
    return {**with_totals(fate.stage_ms, fate.inference_ms, fate.total_ms), "end_to_end": end_to_end_ms, **late}


class _Positions:
    """Finds the clouds of a drive's frames among those that were published; those of one stamp in their order.

    The replay also publishes clouds that cannot be read, and which are no frames. And it follows the recorder's clock,
    while frames come as they lie in the bag.
    """

    def __init__(self, clouds: Sequence[PublishedMessage]) -> None:
        self._by_stamp: dict[int, deque[int]] = defaultdict(deque)
        for position, cloud in enumerate(clouds):
            self._by_stamp[cloud.stamp_ns].append(position)

    def next_with(self, stamp_ns: int) -> int | None:
        """The position of the next cloud with this stamp; None where none is left."""
        positions = self._by_stamp.get(stamp_ns)
        return positions.popleft() if positions else None
