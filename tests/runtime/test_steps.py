from perception.bundle.definitions import DEFINITIONS
from perception.runtime.steps import BUILDERS


def test_every_operation_that_a_bundle_may_hold_can_be_run() -> None:
    assert set(BUILDERS) == set(DEFINITIONS)
