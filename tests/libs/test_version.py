"""The version of the code changes with the source, with nothing else, and is the same in every process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from libs.version import CODE_VERSION, RELEASE, digest_of, version_of

ROOT = Path(__file__).resolve().parents[2]
_TELL = (
    "from libs.version import CODE_VERSION, version_of as v; "
    "print(CODE_VERSION, v('services.risk.engine'), v('services.strategy.engine'))"
)


def versions_in(tree: Path, hash_seed: str = "0") -> list[str]:
    """Whole tree, risk, strategy: told by a fresh process."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", _TELL], cwd=tree, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree with the real module in it."""
    for folder in ("libs", "services/risk", "services/strategy"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").write_text("")
    shutil.copy(ROOT / "libs" / "version.py", tmp_path / "libs")
    (tmp_path / "libs" / "commit.lua").write_text("return 1")
    (tmp_path / "services" / "risk" / "engine.py").write_text("limit = 1\n")
    (tmp_path / "services" / "strategy" / "engine.py").write_text("limit = 1\n")
    return tmp_path


def test_a_restart_is_the_same_version(tree: Path) -> None:
    assert versions_in(tree, "1") == versions_in(tree, "2")
    assert {version_of("services.risk.engine"), version_of("services.risk.limits")} == {version_of("services.risk")}


def test_it_begins_with_the_release_and_fits_a_package_version() -> None:
    assert CODE_VERSION.startswith(f"{RELEASE}+")
    assert len(CODE_VERSION) == len(RELEASE) + 11
    python = f"/py{sys.version_info.major}.{sys.version_info.minor}"
    assert version_of("services.risk.engine").endswith(python)


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("libs/commit.lua", [True, True, True]),
        ("libs/version.py", [True, True, True]),
        ("services/risk/engine.py", [True, True, False]),
        ("services/strategy/engine.py", [True, False, True]),
    ],
)
def test_it_changes_with_the_source_it_covers(tree: Path, path: str, changed: list[bool]) -> None:
    before = versions_in(tree)
    (tree / path).write_text((tree / path).read_text() + "\n")
    assert [old != new for old, new in zip(before, versions_in(tree), strict=True)] == changed


def test_other_files_do_not_matter(tree: Path) -> None:
    before = versions_in(tree)
    (tree / "services" / "risk" / "README.md").write_text("text")
    (tree / "services" / "risk" / "__pycache__").mkdir(exist_ok=True)
    (tree / "services" / "risk" / "__pycache__" / "engine.pyc").write_bytes(b"compiled")
    assert versions_in(tree) == before


def test_a_renamed_file_is_another_version(tree: Path) -> None:
    before = versions_in(tree)
    (tree / "libs" / "commit.lua").rename(tree / "libs" / "other.lua")
    assert versions_in(tree)[0] != before[0]


def test_what_moves_between_two_files_is_another_version(tmp_path: Path) -> None:
    digests = []
    for first, second in (("ab", "c"), ("a", "bc")):
        folder = tmp_path / first
        folder.mkdir()
        (folder / "a.py").write_text(first)
        (folder / "b.py").write_text(second)
        digests.append(digest_of(folder))
    assert digests[0] != digests[1]
