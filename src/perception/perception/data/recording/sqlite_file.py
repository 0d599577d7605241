"""rosbag2's SQLite files, whole, cut short or with malformed pages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from perception.data.recording.messages import Channel, Contents, RawMessage

#: After so many rows in a row that cannot be read, the file is taken to end there. A page of the tree above the rows
#: that is lost takes some thousand rows with it.
MOST_UNREADABLE_ROWS = 10_000
#: One row at a time: sqlite3 steps on to the next row before it hands one out, and loses it where the next is damaged.
SELECT_NEXT = """
    SELECT id, topic_id, timestamp, data FROM messages
    WHERE id > ? AND topic_id IN (SELECT value FROM json_each(?))
        AND typeof(timestamp) = 'integer' AND typeof(data) = 'blob'
    ORDER BY id LIMIT 1
"""

SELECT_COUNTS = """
    SELECT topic_id, count(*), min(id), max(id) FROM messages GROUP BY topic_id
"""


class SqliteFile:
    """One .db3 file.

    Rows come in the order in which they were written, by the table alone: no index needs to be whole. A row that cannot
    be read is counted and passed over.
    """

    def __init__(self, path: Path, number: int) -> None:
        self._path = path
        self._number = number
        self._database = _open(path)
        self._channels: dict[int, Channel] = {}
        self.contents = Contents()
        # Older versions of rosbag2 have neither of these.
        qos = dict(self._rows("SELECT id, offered_qos_profiles FROM topics"))
        definitions = {
            kind: text
            for kind, encoding, text in self._rows(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            )
            if encoding == "ros2msg"
        }
        for number, topic, kind in self._rows("SELECT id, name, type FROM topics ORDER BY id"):
            self._channels[number] = Channel(str(topic), str(kind), definitions.get(kind, ""), qos.get(number, ""))
            self.contents.channels.setdefault(str(topic), self._channels[number])
        self._summarize()

    def messages(self, topics: Collection[str], on_damage: Callable[[str], None]) -> Iterator[RawMessage]:
        """Read what can be read of some topics; see StorageFile."""
        wanted = [number for number, channel in self._channels.items() if channel.topic in topics]
        for number, topic_id, time_ns, data in self._surviving(json.dumps(wanted), on_damage):
            yield RawMessage((self._number, 0, number), self._channels[topic_id], time_ns, data)

    def _summarize(self) -> None:
        for topic_id, count, first, last in self._rows(SELECT_COUNTS):
            if (channel := self._channels.get(topic_id)) is not None:
                self.contents.counts[channel.topic] = self.contents.counts.get(channel.topic, 0) + count
                self.contents.extend(channel.topic, (self._number, 0, first), (self._number, 0, last))
        for first_ns, last_ns in self._rows("SELECT min(timestamp), max(timestamp) FROM messages"):
            self.contents.span_ns = None if first_ns is None else (first_ns, last_ns)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows; none where the table or a column is missing or cannot be read."""
        try:
            return self._database.execute(query).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return []

    def _surviving(self, topic_ids: str, on_damage: Callable[[str], None]) -> Iterator[tuple[int, int, int, bytes]]:
        """Rows of some topics (a list in JSON), passing over those that cannot be read."""
        last_id, unreadable = 0, 0
        while unreadable < MOST_UNREADABLE_ROWS:
            try:
                row = self._database.execute(SELECT_NEXT, (last_id, topic_ids)).fetchone()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if not unreadable:
                    on_damage(f"{self._path.name} is damaged or cut short ({error})")
                last_id, unreadable = last_id + 1, unreadable + 1
                continue
            if row is None:
                return
            yield row
            last_id, unreadable = row[0], 0


def _open(path: Path) -> sqlite3.Connection:
    # A recorder that crashed leaves its last messages in a log beside the file, which `immutable` would pass over.
    log = path.with_name(f"{path.name}-wal")
    immutable = "" if log.exists() and log.stat().st_size else "&immutable=1"
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro{immutable}", uri=True, check_same_thread=False)
    database.text_factory = partial(str, encoding="utf-8", errors="replace")
    # Otherwise SQLite refuses a whole file when it is shorter than its first page says.
    database.execute("PRAGMA writable_schema = ON")
    return database
