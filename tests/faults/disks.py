"""A disk small enough to be filled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = b"\0" * 65_536


class DiskUnavailable(Exception):
    """No file system can be mounted here; the text says why."""


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of its own at ``place``, taken away at the end.

    Raises:
        DiskUnavailable: If this user may not mount.
    """
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError as error:
        raise DiskUnavailable(f"mount must be installed, was not: {error}") from error
    if done.returncode:
        raise DiskUnavailable(f"a tmpfs must be mounted, was refused: {done.stderr.strip()}; run as root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=30)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is free while this lasts."""
    ballast = disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as sink:
            while _takes(sink.fileno()):
                pass
        yield
    finally:
        ballast.unlink(missing_ok=True)


def _takes(descriptor: int) -> bool:
    try:
        return os.write(descriptor, _CHUNK) > 0
    except OSError:
        return False
