"""The short version of `make soak`."""

import pytest
from soak import HOSTILE, soak
from world import RecordingSandbox, World


@pytest.mark.slow
def test_nothing_leaks_and_nobody_honest_loses_a_point(world: World, confined: RecordingSandbox) -> None:
    world.settle()
    found = soak(100, world, confined)
    assert found.faults == []
    assert found.hostile == 100 // HOSTILE
