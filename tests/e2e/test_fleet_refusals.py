"""What cannot work is told in one clear sentence, with an exit code that says so and without a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from libs.contracts.fleet import PORTS
from libs.testing.ports import free_ports
from tests.support.fleet_up import MEMBERS, FleetUp
from tests.support.processes import ROOT, ask_json, fleet_environment, wait_until

pytestmark = pytest.mark.faults

MIB = 1024 * 1024


def closes(path: Path) -> str:
    """Sources with one file of closes at ``path``."""
    source = {
        "name": "mine", "path": str(path), "records": "close", "symbol": "ABC.XNYS",
        "timestamp": {"column": "date", "unit": "date"}, "instrument": {"asset_class": "equity", "currency": "USD"},
    }  # fmt: skip
    return json.dumps([source])


def run_all(commands: Mapping[str, tuple[list[str], dict[str, str]]]) -> dict[str, tuple[int, str]]:
    """Exit code and standard error of each command; they run side by side."""
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", *arguments], env=environment, cwd=ROOT, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for name, (arguments, environment) in commands.items()
    }  # fmt: skip
    found = {}
    try:
        for name, child in running.items():
            errors = child.communicate(timeout=90)[1]
            found[name] = (child.returncode, errors.strip())
    finally:
        for child in running.values():
            child.kill()
            child.wait()
    return found


def test_a_fleet_that_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    ports = free_ports(MEMBERS)
    (tmp_path / "word.csv").write_text("date,close\n1990-01-02,10.5\n1990-01-03,ten\n")
    (tmp_path / "noise.parquet").write_bytes(bytes(range(256)))
    (tmp_path / "file").touch()
    settings = {
        "unknown setting": ({"RISK_MAX_NOTIONALL": "5"}, "_NOTIONALL is no setting; did you mean RISK_MAX_NOTIONAL?"),
        "impossible value": ({"MARKETDATA_SPEED": "-1"}, "MARKETDATA_SPEED must be greater than or equal to 0, was"),
        "no days": ({"MARKETDATA_END_DATE": "1980-01-01"}, "MARKETDATA_START_DATE must be before MARKETDATA_END_DATE"),
        "row": ({"MARKETDATA_SOURCES": closes(tmp_path / "word.csv")}, "word.csv line 3, column 'close'"),
        "damaged file": ({"MARKETDATA_SOURCES": closes(tmp_path / "noise.parquet")}, "noise.parquet"),
        "missing file": ({"MARKETDATA_SOURCES": closes(tmp_path / "none.csv")}, "none.csv"),
        "bus": ({"REDIS_URL": "http://cache"}, "REDIS_URL: Redis URL must start with redis://"),
        "data directory": ({"NAUTILUS_DATA_DIR": str(tmp_path / "file")}, f"{tmp_path / 'file'}: "),
        "port": ({}, f"port {ports['ml']} of engine 'ml' must be free, was in use on 127.0.0.1"),
    }  # fmt: skip
    days = {"MARKETDATA_START_DATE": "1990-01-01", "MARKETDATA_END_DATE": "1990-03-01"}
    commands = {}
    for name, (wrong, _) in settings.items():
        environment = fleet_environment(ports, **{"NAUTILUS_DATA_DIR": str(tmp_path / name)} | days | wrong)
        commands[name] = (["services.fleet", "up"], environment)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", ports["ml"]))
        holder.listen()
        told = run_all(commands)
    for name, (_, sentence) in settings.items():
        code, text = told[name]
        assert code in (1, 2), (name, code, text)
        assert text.count("\n") == 0, (name, text)
        assert text.startswith("nautilus up: "), (name, text)
        assert sentence in text, (name, text)
        assert ";" in text, f"it must say what to do: {text}"


def test_every_process_tells_of_a_wrong_setting_in_one_sentence() -> None:
    url = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    told = run_all(
        {
            name: ([f"services.{name}"], fleet_environment({}, **url, **{f"{name.upper()}_PROT": "1"}))
            for name in PORTS
        }
    )  # fmt: skip
    expected = {
        name: (2, f"{name.upper()}_PROT is no setting; did you mean {name.upper()}_PORT?") for name in PORTS
    }  # fmt: skip
    assert told == expected


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("a small disk can only be made by root")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=80m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> Path:
    """Write a file until nothing fits any more."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(MIB)):
                pass
        except OSError:
            return filler
    raise AssertionError("the disk must become full, did not")


def test_a_full_disk_is_told_and_waited_for(small_disk: Path) -> None:
    filler = fill(small_disk)
    with FleetUp(small_disk) as fleet:
        environment = fleet_environment(fleet.ports, NAUTILUS_DATA_DIR=str(fleet.data_dir))
        code, text = run_all({"full": (["services.fleet", "up"], environment)})["full"]
        assert code == 2
        assert text.startswith("nautilus up: disk of ")
        assert text.endswith("MiB; free space or choose another directory")

        filler.unlink()
        fleet.start("--speed", "20")
        fleet.wait_ready()
        fleet.wait_for_step(5)
        filler = fill(small_disk)
        wait_until("it is degraded", lambda: _health(fleet).get("status") == "degraded")
        assert _health(fleet)["messagebus_connected"] is False
        step = fleet.step()
        assert fleet.child.exit_code is None

        filler.unlink()
        wait_until("it is well again", lambda: _health(fleet).get("status") == "healthy")
        fleet.wait_for_step(step + 3)
        fleet.child.send(signal.SIGINT)
        assert fleet.child.wait() == 0
    assert "Traceback" not in (fleet.data_dir / "nautilus.log").read_text()


def _health(fleet: FleetUp) -> dict[str, object]:
    return ask_json(fleet.ports["portfolio"], "/health")
