from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.libs.clock.nautilus import Nautilus, nautilus_process


@pytest.fixture(scope="session")
def nautilus() -> Iterator[Nautilus]:
    if find_spec("nautilus_trader") is None:
        pytest.skip("nautilus_trader is not installed")
    with nautilus_process() as process:
        yield process
