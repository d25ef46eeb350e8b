"""The world that attacks run in, and two ways to run them: confined, and with nothing that holds them."""

from collections.abc import Iterator

import pytest
from world import RecordingSandbox, World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_TOKEN", made.canaries["environment"])
        yield made
    made.close()


@pytest.fixture(scope="module")
def confined(world: World) -> Iterator[RecordingSandbox]:
    with world.sandbox() as started:
        yield started


@pytest.fixture(scope="module")
def open_door(world: World) -> Iterator[RecordingSandbox]:
    with world.sandbox(confined=False) as started:
        yield started
