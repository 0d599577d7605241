"""Results find their clouds, whatever the stamps are."""

import itertools

import pytest

from perception.bringup.graph.matching import Arrival, match
from perception.nodes.replay_trace import PublishedMessage

PERIOD_NS = 100_000_000
DELAY_NS = 2_000_000


def published(*stamps_ns):
    """Clouds that were published one after the other."""
    return [
        PublishedMessage("/points", number, stamp_ns, number * PERIOD_NS, 0.1)
        for number, stamp_ns in enumerate(stamps_ns)
    ]


def arrivals(clouds, *numbers):
    """Results of some of them, which the node received a moment after they were published."""
    return [Arrival(clouds[number].stamp_ns, clouds[number].published_ns + DELAY_NS) for number in numbers]


def test_clouds_of_which_nothing_came_have_no_result():
    clouds = published(5, 6, 7, 8)
    assert match(clouds, arrivals(clouds, 1, 3)) == [None, 0, None, 1]


def test_a_result_of_no_cloud_is_passed_over():
    clouds = published(5, 6)
    assert match(clouds, [Arrival(4, 0), *arrivals(clouds, 1)]) == [None, 1]


@pytest.mark.parametrize(
    "stamps_ns", [(5, 6, 7, 5, 6, 7), (0,) * 6, (9, 9, 3, 3, 9, 9)], ids=["looped", "unset", "odd"]
)
def test_clouds_with_the_same_stamp_are_told_apart_by_when_they_were_published(stamps_ns):
    clouds = published(*stamps_ns)
    for count in range(len(clouds) + 1):
        for numbers in itertools.combinations(range(len(clouds)), count):
            found = match(clouds, arrivals(clouds, *numbers))
            assert found == [numbers.index(number) if number in numbers else None for number in range(len(clouds))]


def test_news_that_come_out_of_order_find_their_clouds():
    clouds = published(0, 0, 0, 0)
    # A drop is told when a newer cloud replaces the one that waits, and so may come before an older cloud's result.
    assert match(clouds, arrivals(clouds, 2, 0, 1)) == [1, 2, 0, None]


def test_a_cloud_has_one_result_at_most():
    clouds = published(5, 6)
    assert match(clouds, arrivals(clouds, 0, 0, 1)) == [0, 2]
