"""The version of the code: the release, and a hash of the source that is running.

Journals, snapshots and heartbeats carry it. The hash changes with every change of a source file and with nothing else,
so a restart of the same code is the same version and a forgotten release number hides no change. An engine's own
version covers ``libs`` and its own folder: what another engine's code does cannot change its replay, and an image that
holds one engine has the same version of it as the whole tree.

Hashing reads about 330 files (20 ms cold, 8 ms warm) once a process, at import, so that a file changed later under a
running process does not change what that process says it is.
"""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import Final

RELEASE: Final = "0.1.0"
#: What of the tree decides how an engine behaves; ``.pyc`` counts where it stands in for a source file.
SOURCE_SUFFIXES: Final = (".py", ".lua", ".pyc")

_ROOT: Final = Path(__file__).resolve().parents[1]
_DIGITS: Final = 10


@cache
def digest_of(folder: Path) -> bytes:
    """Hash over the names and contents of all source files under ``folder``, which may be a file; b"" for none."""
    digest = hashlib.blake2b(digest_size=16)
    found = False
    for path in [folder] if folder.is_file() else _files(folder):
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
        found = True
    return digest.digest() if found else b""


def version_of(module: str) -> str:
    """Version of the code behind an engine: release, hash, and the Python it runs on.

    Args:
        module: Name of the module that defines it: ``services.risk.engine``. For one outside of ``services`` the hash
            covers ``libs`` and its whole top package.
    """
    parts = module.split(".")
    if parts[0] == "services" and len(parts) > 1:
        own = digest_of(_ROOT / "services" / parts[1])
    else:
        own = b"".join(digest_of(Path(place)) for place in _places(parts[0]))
    # Python belongs to it: sum() of floats, for one, gives other digits since 3.12.
    return f"{_named(digest_of(_ROOT / 'libs') + own)}/py{sys.version_info.major}.{sys.version_info.minor}"


def source_digest(module: str) -> bytes:
    """Hash of the file of a loaded module, b"" where it has none."""
    path = getattr(sys.modules.get(module), "__file__", None)
    return digest_of(Path(path)) if path else b""


def _places(module: str) -> list[str]:
    """Where a loaded top module is: its folders, or its file."""
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    return sorted(getattr(loaded, "__path__", ())) or ([path] if path else [])


def _files(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        found += [Path(place, name) for name in sorted(names) if name.endswith(SOURCE_SUFFIXES)]
    return found


def _named(content: bytes) -> str:
    return f"{RELEASE}+{hashlib.blake2b(content).hexdigest()[:_DIGITS]}"


def _whole() -> str:
    services = _ROOT / "services"
    folders = sorted(path for path in services.iterdir() if path.is_dir()) if services.is_dir() else []
    return _named(b"".join(digest_of(folder) for folder in (_ROOT / "libs", *folders)))


#: Of everything this process could load: ``0.1.0+`` and ten digits.
CODE_VERSION: Final = _whole()
