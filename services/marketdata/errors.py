"""Errors of data sets. Each text is one sentence for whoever configured the source.

::

    DatasetError
    ├── SourceUnavailableError   a file or a package is missing or cannot be read
    ├── SourceFormatError        its columns, symbols or definitions do not fit what the settings say
    └── RowError                 one row is refused: file, line, column, value, remedy
    ReplayError                  the fleet did not do what the replay told it
"""

from __future__ import annotations

from libs.engine.errors import EngineError


class DatasetError(EngineError):
    """A data set cannot be replayed as it is."""


class SourceUnavailableError(DatasetError):
    """A file or an installed package is missing, damaged or unreadable."""


class SourceFormatError(DatasetError):
    """A source does not have the columns, symbols or definitions its settings name."""


class RowError(DatasetError):
    """One row is refused.

    Attributes:
        file: Where it lies, as the settings name it.
        line: Line of a text file, counted from 1 with the header; row of a Parquet file, counted from 1.
        column: Name of the column.
        value: What stands there.
        remedy: What to do.
    """

    def __init__(
        self, file: str, line: int, column: str, must: str, value: str, remedy: str, unit: str = "line"
    ) -> None:
        super().__init__(f"{file} {unit} {line}, column '{column}': {must}, was {value}; {remedy}")
        self.file = file
        self.line = line
        self.column = column
        self.value = value
        self.remedy = remedy


class ReplayError(EngineError):
    """The engine refused or lost a command of the replay; going on would skip data silently."""
