"""The version of the code, as written into journals, snapshots and heartbeats."""

from __future__ import annotations

from typing import Final

CODE_VERSION: Final = "0.1.0"
