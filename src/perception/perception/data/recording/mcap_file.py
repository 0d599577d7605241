"""MCAP files, whole or cut short: chunk by chunk through their index, or record by record where they have none."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from mcap.exceptions import EndOfFile
from mcap.reader import SeekingReader
from mcap.records import Channel as McapChannel
from mcap.records import Chunk, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.summary import Summary

from perception.data.bag_types import one_line
from perception.data.recording.messages import Channel, Contents, RawMessage

#: What is told of damage.
Tell = Callable[[str], None]


class McapFile:
    """One MCAP file.

    Messages come in the order in which they lie in the file: a clock that jumped mixes nothing up. A chunk that cannot
    be unpacked is told and passed over; a file without an index ends at its first unreadable record.
    """

    def __init__(self, path: Path, number: int) -> None:
        self._path = path
        self._number = number
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        #: Where each chunk begins, and the topics in it; none where messages are not in chunks.
        self._chunks: list[tuple[int, frozenset[str]]] = []
        #: Sets of topics, each once: chunks are many.
        self._sets: dict[frozenset[str], frozenset[str]] = {}
        #: What was damaged when a file without an index was looked through.
        self._damage: list[str] = []
        self.contents = Contents()
        summary = _summary(path)
        if summary is None:
            self._scan()
        else:
            self._use(summary)

    def messages(self, topics: Collection[str], on_damage: Tell) -> Iterator[RawMessage]:
        """Read what can be read of some topics; see StorageFile."""
        for part, place, record in self._records(topics, on_damage):
            channel = self._channels.get(record.channel_id) if isinstance(record, Message) else None
            if isinstance(record, Message) and channel is not None and channel.topic in topics:
                yield RawMessage((self._number, part, place), channel, record.log_time, record.data)
        for damage in self._damage:
            on_damage(damage)

    def _use(self, summary: Summary) -> None:
        for record in (*summary.schemas.values(), *summary.channels.values()):
            self._note(record)
        statistics = summary.statistics
        if statistics is not None:
            for number, count in statistics.channel_message_counts.items():
                self._count(self._channels[number].topic, count)
            if statistics.message_count:
                self.contents.span_ns = statistics.message_start_time, statistics.message_end_time
        for index in sorted(summary.chunk_indexes, key=lambda index: index.chunk_start_offset):
            held = {self._channels[number].topic for number in index.message_index_offsets}
            # Without an index of its messages, a chunk may hold anything.
            self._add_chunk(index.chunk_start_offset, held or set(self.contents.channels))

    def _scan(self) -> None:
        """Learn from the messages themselves what a file without an index holds, and where its chunks are."""
        is_in_chunks = True
        for begin, record in self._streamed(self._damage.append):
            held = set()
            for inner in self._unpacked(record, self._damage.append):
                self._note(inner)
                if isinstance(inner, Message) and inner.channel_id in self._channels:
                    held.add(self._channels[inner.channel_id].topic)
                    self._count(self._channels[inner.channel_id].topic, 1)
                    first_ns, last_ns = self.contents.span_ns or (inner.log_time, inner.log_time)
                    self.contents.span_ns = min(first_ns, inner.log_time), max(last_ns, inner.log_time)
            is_in_chunks &= isinstance(record, Chunk) or not held
            self._add_chunk(begin, held, is_in_chunks)
        if not is_in_chunks:  # there may be too many messages to know where each begins
            self._chunks, self._damage = [], []

    def _add_chunk(self, begin: int, topics: set[str], is_kept: bool = True) -> None:
        for topic in topics:
            self.contents.extend(topic, (self._number, begin, 0), (self._number, begin, 0))
        if is_kept and topics:
            same = frozenset(topics)
            self._chunks.append((begin, self._sets.setdefault(same, same)))

    def _count(self, topic: str, count: int) -> None:
        self.contents.counts[topic] = self.contents.counts.get(topic, 0) + count

    def _note(self, record: McapRecord) -> None:
        if isinstance(record, Schema):
            self._schemas[record.id] = record
        elif isinstance(record, McapChannel):
            schema = self._schemas.get(record.schema_id)
            definition = schema.data.decode(errors="replace") if schema and schema.encoding == "ros2msg" else ""
            qos = record.metadata.get("offered_qos_profiles", "")
            channel = Channel(record.topic, schema.name if schema else "", definition, qos)
            self._channels[record.id] = channel
            self.contents.channels.setdefault(channel.topic, channel)

    def _records(self, topics: Collection[str], on_damage: Tell) -> Iterator[tuple[int, int, McapRecord]]:
        """Yield (where its chunk begins, place in that, record); chunks without any of `topics` are not unpacked."""
        parts = self._indexed(topics, on_damage) if self._chunks else self._streamed(on_damage)
        for part, record in parts:
            for place, inner in enumerate(self._unpacked(record, on_damage)):
                self._note(inner)
                yield part, place, inner

    def _unpacked(self, record: McapRecord, on_damage: Tell) -> list[McapRecord]:
        if not isinstance(record, Chunk):
            return [record]
        try:
            return list(breakup_chunk(record, validate_crc=True))
        except Exception as error:  # whatever damaged bytes lead to: ZstdError, struct.error, CRCValidationError ...
            on_damage(f"a chunk of {self._path.name} cannot be unpacked ({one_line(error)})")
            return []

    def _indexed(self, topics: Collection[str], on_damage: Tell) -> Iterator[tuple[int, McapRecord]]:
        with _WholeReads(self._path.open("rb", buffering=0)) as file:
            for begin, held in self._chunks:
                if held.isdisjoint(topics):
                    continue
                file.seek(begin)
                record = self._next(_records_of(file), on_damage)
                if record is not None:
                    yield begin, record

    def _streamed(self, on_damage: Tell) -> Iterator[tuple[int, McapRecord]]:
        with _WholeReads(self._path.open("rb", buffering=0)) as file:
            records = _records_of(file, skip_magic=False)
            begin = 0
            while (record := self._next(records, on_damage)) is not None:
                yield begin, record
                begin = file.tell()

    def _next(self, records: Iterator[McapRecord], on_damage: Tell) -> McapRecord | None:
        try:
            return next(records, None)
        except Exception as error:  # whatever damaged bytes lead to
            on_damage(f"{self._path.name} is cut short or damaged ({one_line(error)})")
            return None


class _WholeReads(io.BufferedReader):
    """Refuses to read less than was asked for, which mcap takes for a whole record."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read exactly `size` bytes."""
        data = super().read(size)
        if size is not None and len(data) < size:
            raise EndOfFile("its end is missing")
        return data


def _records_of(file: Any, skip_magic: bool = True) -> Iterator[McapRecord]:
    return StreamReader(file, skip_magic=skip_magic, emit_chunks=True, record_size_limit=1 << 31).records


def _summary(path: Path) -> Summary | None:
    """The index at the end of the file; None where it has none, or none that can be used."""
    try:
        with path.open("rb") as file:
            summary = SeekingReader(file).get_summary()
        return summary if summary is not None and summary.channels else None
    except Exception:  # a file that is cut short has no footer; what it holds is learnt by reading it
        return None
