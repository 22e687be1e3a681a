"""Writes ``requirements.lock``: every distribution in the environment, pinned, without this project and pip's own."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

OWN = {"nautilus-fleet", "pip", "setuptools", "wheel"}


def main() -> None:
    """Write the file."""
    pins = {str(found.metadata["Name"]).lower().replace("_", "-"): found.version for found in distributions()}
    lines = [f"{name}=={version}" for name, version in sorted(pins.items()) if name not in OWN]
    header = "# Written by `make lock`: the versions that were tested together.\n"
    Path("requirements.lock").write_text(header + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
