"""rosbag2's SQLite files, whole, cut short or with malformed pages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from urllib.parse import quote

from perception.data.recording.messages import Channel, Contents, RawMessage

#: After so many rows in a row that cannot be read, the file is taken to end there. A page of the tree above the rows
#: that is lost takes some thousand rows with it.
MOST_UNREADABLE_ROWS = 10_000
#: One row at a time: sqlite3 steps on to the next row before it hands one out, and loses it where the next is damaged.
SELECT_NEXT = """
    SELECT id, topic_id, timestamp, data FROM messages
    WHERE id > ? AND topic_id IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT 1
"""

SELECT_COUNTS = """
    SELECT topic_id, count(*) AS count, min(id) AS first, max(id) AS last FROM messages GROUP BY topic_id
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
        definitions = {
            row["topic_type"]: row["encoded_message_definition"]
            for row in self._rows("SELECT * FROM message_definitions")
            if row["encoding"] == "ros2msg"
        }
        for row in self._rows("SELECT * FROM topics ORDER BY id"):
            qos = row["offered_qos_profiles"] if "offered_qos_profiles" in row.keys() else ""  # noqa: SIM118 (a Row)
            channel = Channel(row["name"], row["type"], definitions.get(row["type"], ""), qos)
            self._channels[row["id"]] = channel
            self.contents.channels.setdefault(channel.topic, channel)
        self._summarize()

    def messages(self, topics: Collection[str], on_damage: Callable[[str], None]) -> Iterator[RawMessage]:
        """Read what can be read of some topics; see StorageFile."""
        wanted = [number for number, channel in self._channels.items() if channel.topic in topics]
        for row in self._surviving(json.dumps(wanted), on_damage):
            position, channel = (self._number, 0, row["id"]), self._channels[row["topic_id"]]
            yield RawMessage(position, channel, row["timestamp"], row["data"])

    def _summarize(self) -> None:
        for row in self._rows(SELECT_COUNTS):
            if (channel := self._channels.get(row["topic_id"])) is not None:
                counts, places = self.contents.counts, [(self._number, 0, row[name]) for name in ("first", "last")]
                counts[channel.topic] = counts.get(channel.topic, 0) + row["count"]
                self.contents.extend(channel.topic, places[0], places[1])
        for row in self._rows("SELECT min(timestamp) AS first, max(timestamp) AS last FROM messages"):
            self.contents.span_ns = None if row["first"] is None else (row["first"], row["last"])

    def _rows(self, query: str) -> list[sqlite3.Row]:
        """All rows; none where the table is missing (older versions of rosbag2) or cannot be read."""
        try:
            return self._database.execute(query).fetchall()
        except sqlite3.DatabaseError:
            return []

    def _surviving(self, topic_ids: str, on_damage: Callable[[str], None]) -> Iterator[sqlite3.Row]:
        """Rows of some topics (a list in JSON), passing over those that cannot be read."""
        last_id, unreadable = 0, 0
        while unreadable < MOST_UNREADABLE_ROWS:
            try:
                row = self._database.execute(SELECT_NEXT, (last_id, topic_ids)).fetchone()
            except sqlite3.DatabaseError as error:
                if not unreadable:
                    on_damage(f"{self._path.name} is damaged or cut short ({error})")
                last_id, unreadable = last_id + 1, unreadable + 1
                continue
            if row is None:
                return
            yield row
            last_id, unreadable = row["id"], 0


def _open(path: Path) -> sqlite3.Connection:
    # A recorder that crashed leaves its last messages in a log beside the file, which `immutable` would pass over.
    log = path.with_name(f"{path.name}-wal")
    immutable = "" if log.exists() and log.stat().st_size else "&immutable=1"
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro{immutable}", uri=True, check_same_thread=False)
    database.row_factory = sqlite3.Row
    # Otherwise SQLite refuses a whole file when it is shorter than its first page says.
    database.execute("PRAGMA writable_schema = ON")
    return database
