"""The Lua scripts, each one atomic step on the server; they use only what Redis 6.2 has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from pathlib import Path

#: Scripts that continue the log; they need its key, the server's identity and the mark in front of all arguments.
GO_ON = frozenset({"append", "commit", "snapshot"})


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the digest the server knows it by."""

    source: bytes
    digest: str


@cache
def load(name: str) -> Script:
    """The script in ``<name>.lua`` beside this file, behind ``log.lua`` where it writes what engines build on."""
    folder = Path(__file__).parent
    source = (folder / f"{name}.lua").read_bytes()
    if name in GO_ON:
        source = (folder / "log.lua").read_bytes() + source
    return Script(source, sha1(source, usedforsecurity=False).hexdigest())
