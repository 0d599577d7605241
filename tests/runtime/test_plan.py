from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.bundle.graph import Spec
from perception.runtime.plan import ALIGNMENT, MOST_LAYOUTS, Lifetime, MemoryPlan, rounded_up

COUNTS = {"voxels/1": 1000, "voxels/2": 300}


def features(channels: int, rows: str = "voxels/1") -> Spec:
    return Spec(dtype="float32", shape=(rows, channels))


lifetimes = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 5), st.integers(1, 300), st.sampled_from(sorted(COUNTS))),
    min_size=1,
    max_size=30,
).map(
    lambda rows: tuple(
        Lifetime(f"x{i}", features(channels, level), begin, begin + long)
        for i, (begin, long, channels, level) in enumerate(rows)
    )
)


@given(lifetimes)
@settings(max_examples=200, deadline=None)
def test_values_that_are_needed_together_never_share_memory(values: tuple[Lifetime, ...]) -> None:
    layout = MemoryPlan(values).layout(COUNTS)
    for a, b in combinations(values, 2):
        if a.overlaps(b):
            begins = {one.value: layout.offsets[one.value] for one in (a, b)}
            ends = {one.value: begins[one.value] + one.spec.bytes(COUNTS) for one in (a, b)}
            assert ends[a.value] <= begins[b.value] or ends[b.value] <= begins[a.value]
    for one in values:
        assert layout.offsets[one.value] % ALIGNMENT == 0
        assert layout.offsets[one.value] + one.spec.bytes(COUNTS) <= layout.total


@given(lifetimes)
@settings(max_examples=100, deadline=None)
def test_the_arena_is_no_larger_than_all_values_and_no_smaller_than_the_fullest_moment(
    values: tuple[Lifetime, ...],
) -> None:
    plan = MemoryPlan(values)
    counts = {name: rounded_up(count) for name, count in COUNTS.items()}
    sizes = {one.value: one.spec.bytes(counts) for one in values}
    fullest = max(
        sum(sizes[one.value] for one in values if one.begin <= moment <= one.end)
        for moment in range(max(one.end for one in values) + 1)
    )
    assert fullest <= plan.layout(COUNTS).total <= sum(sizes.values()) + ALIGNMENT * len(values)


def test_memory_is_used_again() -> None:
    chain = tuple(Lifetime(f"x{i}", features(64), i, i + 1) for i in range(10))
    total = MemoryPlan(chain).layout(COUNTS).total
    two_values = 2 * features(64).bytes({name: rounded_up(count) for name, count in COUNTS.items()})
    assert total <= two_values + 2 * ALIGNMENT


def test_frames_of_nearly_the_same_size_share_a_layout() -> None:
    plan = MemoryPlan((Lifetime("x", features(8), 0, 1),))
    assert plan.layout({"voxels/1": 30_001}) is plan.layout({"voxels/1": 30_100})
    assert plan.layout({"voxels/1": 30_001}) is not plan.layout({"voxels/1": 60_000})


def test_layouts_do_not_pile_up() -> None:
    plan = MemoryPlan((Lifetime("x", features(8), 0, 1),))
    for step in range(MOST_LAYOUTS + 20):
        plan.layout({"voxels/1": int(100 * 1.1**step)})
    assert len(plan._layouts) == MOST_LAYOUTS


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 1000, 94_625, 300_000])
def test_counts_are_rounded_up_by_a_sixteenth_at_most(count: int) -> None:
    assert count <= rounded_up(count) <= max(count * 17 / 16, count + 1)
