"""Numbers and names as a reader wants them: the same in tables, captions and texts for screen readers."""

import re
import shlex
from collections.abc import Iterable
from typing import Any

_CUBE = re.compile(r"([LR])(\d+)([PA])(\d+)([IS])(\d+)")
UNKNOWN, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_DIRECTIONS = {"L": "left", "R": "right", "P": "behind", "A": "in front", "I": "below", "S": "above"}


def number(value: Any, digits: int = 2) -> str:
    """Round to so many digits, with a real minus sign, and a dash for what is not known.

    Examples
    --------
    >>> number(-0.127), number(-0.001), number(None)
    ('−0.13', '0.00', '–')
    """
    if value is None or value != value:
        return UNKNOWN
    text = f"{float(value):.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def percent(share: Any, digits: int = 1) -> str:
    """Write a share as percent."""
    return UNKNOWN if share is None or share != share else f"{number(100 * share, digits)}\N{NO-BREAK SPACE}%"


def p_value(p: Any) -> str:
    """Write a p-value; below 0.001 the digits mean nothing."""
    if p is None or p != p:
        return UNKNOWN
    return "< 0.001" if p < 0.0005 else number(p, 3)


def place(region: str) -> str:
    """Say where a region is whose name is the center of a cube, empty for other names.

    Examples
    --------
    >>> place("L15A0S45")
    '15 mm left, 45 mm above'
    """
    match = _CUBE.fullmatch(region)
    if match is None:
        return ""
    parts = [
        f"{mm} mm {_DIRECTIONS[letter]}"
        for letter, mm in zip(match.groups()[::2], match.groups()[1::2], strict=True)
        if int(mm)
    ]
    return ", ".join(parts) or "at the origin"


def count(n: int, noun: str) -> str:
    """Join a number and its noun: 1 region, 2 regions."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def command_line(command: Any) -> str:
    """Write a command as it is typed, given as a string or as its arguments."""
    if isinstance(command, str):
        return command
    return shlex.join(str(part) for part in command) if isinstance(command, Iterable) else ""
