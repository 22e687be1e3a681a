"""The Lua scripts, each one atomic step on the server; they use only what Redis 6.2 has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the digest the server knows it by."""

    source: bytes
    digest: str


@cache
def load(name: str) -> Script:
    """The script in ``<name>.lua`` beside this file."""
    source = (Path(__file__).parent / f"{name}.lua").read_bytes()
    return Script(source, sha1(source, usedforsecurity=False).hexdigest())
