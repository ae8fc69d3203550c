"""Read tables as they are found: tab-separated by the standard, with anything in reality."""

import csv
import re
from functools import lru_cache
from pathlib import Path

import pandas as pd

from bids_eeg2fmri.bids.reading.files import UTF16, decode, refuse_missing, warn_once
from bids_eeg2fmri.errors import InputDataError

MISSING = "n/a"
QUOTES = "\"'‘’“”`´"  # noqa: RUF001
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "spaces"}


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of BIDS, values as text.

    The line of names decides what separates: tabs if there are any, else semicolons, commas or spaces. Quotes around
    values are taken off. What is not as BIDS has it is read all the same, and told once per file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    DataFrame
        One row per line, all str. What is missing or empty is ``n/a``.

    Raises
    ------
    MissingFilesError
        If the file, or its content, is not there.
    InputDataError
        If it is empty or no text.
    """
    refuse_missing(path)
    status = path.stat()
    # participants.tsv is asked for by every participant.
    return _read(path, status.st_mtime_ns, status.st_size).copy()


def find_column(table: pd.DataFrame, name: str) -> "pd.Series[str] | None":
    """Give a column whatever the case of its name; None if there is none."""
    matches = [column for column in table.columns if column == name] or [
        column for column in table.columns if column.lower() == name
    ]
    return table[matches[0]] if matches else None


@lru_cache(maxsize=32)
def _read(path: Path, _changed: int, _size: int) -> pd.DataFrame:
    content = path.read_bytes()
    if b"\x00" in content and not content.startswith(UTF16):
        raise InputDataError(f"{path}: expected a table, found a file that is no text; save it as tab-separated text")
    text, remark = decode(content)
    remarks = [remark] if remark else []
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    if not lines:
        raise InputDataError(f"{path}: expected a table, found an empty file; fill or remove it")
    separator = _find_separator(lines[0])
    if separator not in ("\t", ""):
        remarks.append(f"{SEPARATORS[separator]} instead of tabs")
    names = _split(lines[0], separator, 0)
    rows = [_split(line, separator, len(names)) for line in lines[1:]]
    if any(_is_quoted(field.strip()) and field.strip()[0] != '"' for row in [names, *rows] for field in row):
        remarks.append("quoted values")  # double quotes are as BIDS has them
    names = [_strip(name) for name in names]
    while len(names) > 1 and not names[-1]:
        names.pop()  # a tab at the end of the line
    rows = [[_strip(field) for field in row] for row in rows]
    n_short = sum(len(row) < len(names) for row in rows)
    if n_short:
        remarks.append(f"too few values in {n_short} of {len(rows)} rows, filled with {MISSING}")
    n_long = sum(any(row[len(names) :]) for row in rows)
    if n_long:
        remarks.append(f"more values than names in {n_long} of {len(rows)} rows, left out")
    rows = [[field or MISSING for field in row[: len(names)]] + [MISSING] * (len(names) - len(row)) for row in rows]
    unique = _name_columns(names)
    if unique != names:
        remarks.append("columns without a name of their own")
    if remarks:
        warn_once(f"{path}: expected a table as BIDS has it, found {', '.join(remarks)}; read all the same")
    return pd.DataFrame(rows, columns=unique, dtype=str)


def _find_separator(names: str) -> str:
    """Give what separates the names; empty where there is one."""
    found = (separator for separator in "\t;," if separator in names)
    return next(found, " " if re.search(r"\S\s+\S", names) else "")


def _split(line: str, separator: str, n_columns: int) -> list[str]:
    """Split a line at its separator; ``n_columns`` of 0 for the line of names, which have no spaces in them."""
    if separator == "":
        return line.split("\t")
    if separator == " ":
        # Columns are set apart by several spaces, values may hold single ones.
        fields = re.split(r"\s{2,}", line.strip())
        return fields if len(fields) == n_columns else _split_at_spaces(line, n_columns)
    fields = line.split("\t") if separator == "\t" else next(csv.reader([line], delimiter=separator), [])
    if len(fields) == 1 < n_columns:
        # Names with tabs between them, values with spaces.
        spaced = _split_at_spaces(line, n_columns)
        return spaced if len(spaced) == n_columns else fields
    return fields


def _split_at_spaces(line: str, n_columns: int) -> list[str]:
    fields = re.findall(r"""(?:^|(?<=\s))(?:"[^"]*"|'[^']*')(?=\s|$)|\S+""", line)
    if 0 < n_columns < len(fields):
        # A description at the end has spaces in it.
        fields = [*fields[: n_columns - 1], " ".join(fields[n_columns - 1 :])]
    return fields


def _strip(field: str) -> str:
    field = field.strip()
    return field[1:-1].strip() if _is_quoted(field) else field


def _is_quoted(field: str) -> bool:
    return len(field) > 1 and field[0] in QUOTES and field[-1] in QUOTES


def _name_columns(names: list[str]) -> list[str]:
    unique: list[str] = []
    for number, name in enumerate(names, start=1):
        name = name or f"column {number}"
        unique.append(name if name not in unique else f"{name} {number}")
    return unique
