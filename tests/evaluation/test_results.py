"""Figures that agree with each other."""

import pydantic
import pytest

from perception.evaluation.results import FrameCounts


def test_frames_are_accounted_for():
    counts = FrameCounts.accounted(10, 6, {"superseded": 3, "wrong_length": 1})
    assert (counts.in_, counts.out, counts.dropped) == (10, 6, 4)


@pytest.mark.parametrize(("out", "dropped", "reasons"), [(5, 4, {"late": 4}), (5, 5, {"late": 4}), (6, 4, {"late": 3})])
def test_frames_that_do_not_add_up_are_refused(out, dropped, reasons):
    with pytest.raises(pydantic.ValidationError, match="do not add up"):
        FrameCounts(in_=10, out=out, dropped=dropped, dropped_by_reason=reasons)
