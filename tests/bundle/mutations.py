"""Random damage to bundles: bytes, values of their JSON and YAML, headers of their weights.

The same seed does the same damage. Checksums are made right again mostly, so that what lies behind them is reached.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

#: A bundle in memory: the contents of its files by name.
Files = dict[str, bytes]
DESCRIPTION, WEIGHTS, GRAPH = "bundle.yaml", "weights.safetensors", "graph.json"

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 5, 8, 27, 255, 256, 2**31 - 1, 2**31, 2**63, 10**18, 0.0, -1.0, 0.5, 1e-5, 1e38,
    "", "a", "float16", "float32", "int32", "uint8", "voxels/1", "voxels/2", "voxels/4", "points", "blocks", "coords",
    "features", "scores", "../x.onnx", "a" * 300, "\u0000", "\ud83d\ude00", [], {}, [1], [[]], {"a": 1}, ["points"],
)  # fmt: skip
#: Text that no library writes, to stand for a value.
ODD_TEXTS = (
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 400,
    "[" * 3000,
    '{"a":1,"a":2}',
    '"\\ud800"',
    "*a",
    "!!python/name:os.x",
)
_STAND_IN = "stand-in for odd text"


def mutate(files: Files, seed: int) -> Files:
    """Damage a bundle in one to three places."""
    rng = random.Random(seed)
    damaged = dict(files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(MUTATIONS)(damaged, rng)
    if rng.random() < 0.9:
        repair_checksums(damaged)
    return damaged


def repair_checksums(files: Files) -> None:
    """Make the checksums in bundle.yaml right, if it is still a description that has some."""
    try:
        values = yaml.safe_load(files[DESCRIPTION])
        values["weights_sha256"] = hashlib.sha256(files[WEIGHTS]).hexdigest()
        for name in values["files"]:
            values["files"][name] = hashlib.sha256(files[name]).hexdigest()
        files[DESCRIPTION] = json.dumps(values).encode()
    except Exception:  # damaged beyond that: it stays as it is
        return


def _flip_bytes(files: Files, rng: random.Random) -> None:
    name = rng.choice(sorted(files))
    content = bytearray(files[name] or b"\0")
    for _ in range(rng.choice((1, 1, 4, 50))):
        content[rng.randrange(len(content))] = rng.randrange(256)
    files[name] = bytes(content)


def _cut_or_grow(files: Files, rng: random.Random) -> None:
    name = rng.choice(sorted(files))
    content = files[name]
    at = rng.randrange(len(content) + 1)
    piece = content[at : at + rng.choice((1, 8, 100))]
    files[name] = rng.choice((content[:at], content[:at] + piece + content[at:], content[:at] + content[at + 1 :]))


def _lose(files: Files, rng: random.Random) -> None:
    files.pop(rng.choice(sorted(files)))


def _change_graph(files: Files, rng: random.Random) -> None:
    files[GRAPH] = _changed_json(files.get(GRAPH, b"{}"), rng)


def _change_description(files: Files, rng: random.Random) -> None:
    try:
        text = json.dumps(yaml.safe_load(files.get(DESCRIPTION, b"{}")))
    except Exception:  # changed before into something else
        return
    files[DESCRIPTION] = _changed_json(text.encode(), rng)


def _change_header(files: Files, rng: random.Random) -> None:
    """Change the header of the weights, and say its new length."""
    content = files.get(WEIGHTS, b"")
    start = 8 + int.from_bytes(content[:8], "little")
    header = _changed_json(content[8:start], rng)
    length = len(header) if rng.random() < 0.9 else rng.choice((0, 1, 2**32, 2**64 - 1))
    files[WEIGHTS] = length.to_bytes(8, "little") + header + content[start:]


def _change_weights(files: Files, rng: random.Random) -> None:
    """Overwrite some numbers by ones that are rare."""
    content = bytearray(files.get(WEIGHTS, b""))
    start = 8 + int.from_bytes(content[:8], "little")
    if len(content) - start < 4:
        return
    for _ in range(rng.choice((1, 10))):
        at = start + 4 * rng.randrange((len(content) - start) // 4)
        content[at : at + 4] = rng.choice((0x7FC00000, 0xFF800000, 0x7F7FFFFF, 0, 1, 0x80000000)).to_bytes(4, "little")
    files[WEIGHTS] = bytes(content)


MUTATIONS: tuple[Callable[[Files, random.Random], None], ...] = (
    _flip_bytes, _cut_or_grow, _lose, *(_change_graph,) * 8, *(_change_description,) * 3, *(_change_header,) * 3,
    _change_weights,
)  # fmt: skip


def _changed_json(content: bytes, rng: random.Random) -> bytes:
    """Change one to three values of a document, whatever it is."""
    try:
        values = json.loads(content)
    except Exception:  # damaged before
        return content
    odd_text = None
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(values))
        if not places:
            break
        place = rng.choice(places)
        if rng.random() < 0.7:
            _change_plausibly(place, places, rng)
        else:
            odd_text = _change_oddly(place, rng) or odd_text
    text = json.dumps(values)
    return (text.replace(f'"{_STAND_IN}"', odd_text) if odd_text else text).encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class _Place:
    """Where a value stands.

    Attributes:
        inner: the mapping or list that it is in.
        key: its key there.
        kind: the key that says what it is: "inputs" of the value that an operation reads.
    """

    inner: Any
    key: Any
    kind: str

    @property
    def value(self) -> Any:
        """A copy of what stands there."""
        return json.loads(json.dumps(self.inner[self.key]))

    def put(self, value: Any) -> None:
        """Write something else."""
        self.inner[self.key] = value


def _change_plausibly(place: _Place, places: list[_Place], rng: random.Random) -> None:
    """Change a value so that its type still fits: another of its kind, another number, one more, or exchanged."""
    same = [
        one for one in places if one.kind == place.kind and type(one.inner[one.key]) is type(place.inner[place.key])
    ]
    other, value = rng.choice(same), place.value
    what = rng.randrange(4)
    if what == 0 and isinstance(value, (int, float)):
        place.put(rng.choice((not value, value + 1, -value, value * 2, type(value)(0))))
    elif what == 1 and isinstance(place.inner, list):
        place.inner.insert(rng.randrange(len(place.inner) + 1), value)
    elif what == 2:
        place.put(other.value)
    else:
        place.inner[place.key], other.inner[other.key] = other.value, value


def _change_oddly(place: _Place, rng: random.Random) -> str | None:
    """Leave a value out, or put something there that nobody expects; or text that stands for it, which is returned."""
    what = rng.random()
    if what < 0.3:
        del place.inner[place.key]
    elif what < 0.9:
        place.put(json.loads(json.dumps(rng.choice(ODD_VALUES))))
    else:
        place.put(_STAND_IN)
        return rng.choice(ODD_TEXTS)
    return None


def _places(values: Any) -> Iterator[_Place]:
    """Every place of a document."""
    waiting = [(values, "")]
    while waiting:
        inner, kind = waiting.pop()
        if isinstance(inner, list):
            found = [_Place(inner, key, kind) for key in range(len(inner))]
        else:
            # Below these, keys are names and roles.
            named = kind in ("inputs", "outputs", "weights", "shapes", "files", "")
            found = [_Place(inner, key, kind if named and kind else key) for key in inner]
        for place in found:
            yield place
            if isinstance(place.inner[place.key], (dict, list)):
                waiting.append((place.inner[place.key], place.kind))
