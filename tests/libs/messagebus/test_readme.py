"""The code in the README runs, in the order it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[3] / "libs" / "messagebus" / "README.md"


def test_code_blocks_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("[")] == ["[187.5, 187.6]"] * 2
    assert len([line for line in lines if re.fullmatch(r"on the bus: example-[0-9a-f]{12}:1", line)]) == 3
    worked = [line for line in lines if line.startswith("worked on")]
    assert [line.split()[2] for line in worked] == ["187.5", "187.6"]
    assert all(re.search(r"key valuers/example-[0-9a-f]{12}:[01]$", line) for line in worked)
