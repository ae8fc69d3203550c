"""Numbers and names as a reader wants them: the same in tables, captions and texts for screen readers."""

import re
import shlex
from collections.abc import Iterable, Sequence
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


def ranges(numbers: Sequence[int], most: int = 8) -> str:
    """List ascending whole numbers, neighbours as a range; of very many, the first.

    Examples
    --------
    >>> ranges([3, 20, 21, 77, 78, 79])
    '3, 20 to 21, 77 to 79'
    """
    parts: list[list[int]] = []
    for value in numbers:
        if parts and value == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], value]
        else:
            parts.append([value])
    told = [" to ".join(str(value) for value in part) for part in parts[:most]]
    return ", ".join([*told, *(["and more"] if len(parts) > most else [])])


def sentence(text: Any) -> str:
    """Make a sentence of a remark: a capital unless it starts with a name, and a period.

    Examples
    --------
    >>> sentence("the EEG ends early"), sentence("nap.eeg: expected 900 samples")
    ('The EEG ends early.', 'nap.eeg: expected 900 samples.')
    """
    text = str(text).strip()
    if re.match(r"[a-z]+[ ,;:]", text):
        text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."
