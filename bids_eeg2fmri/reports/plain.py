"""A judgement as plain text: the verdict in words, and the models beside each other."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bids_eeg2fmri.reports.comparison import KINDS, complete_scores, pivot_published
from bids_eeg2fmri.reports.wording import count, number, percent

WIDTH = 100
# Columns of the two tables: heading, key, how it is written.
_OVER_TIME = (("r", "pooled_r", number), ("change explained", "pooled_skill", percent))
_ELSE = (
    ("voxel r", "voxel_r_median", number),
    ("region r", "region_r_median", number),
    ("above chance", "share_significant", percent),
    ("amplitude", "amplitude", number),
    ("pattern", "spatial_r_median", number),
    ("connectivity", "connectivity_r", number),
    ("spectra", "spectral_r", number),
    ("r, no global", "pooled_r_no_global", number),
)


def in_plain_text(summary: Mapping[str, Any]) -> str:
    """Write what a reader has to know first, for a terminal.

    Parameters
    ----------
    summary : mapping
        As ``summary.json`` of a judgement has it.
    """
    parts = [_verdict(summary), _table_over_time(summary), _table_beyond(summary)]
    parts += [_task(summary), _published(summary), _notes(summary)]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _verdict(summary: Mapping[str, Any]) -> Iterator[str]:
    yield summary["verdict"]["headline"].upper()
    for sentence in summary["verdict"]["sentences"]:
        yield from _wrap(sentence)


def _table_over_time(summary: Mapping[str, Any]) -> Iterator[str]:
    rows = complete_scores(summary["scores"])
    n_volumes = sum(recording["n_judged"] for recording in summary["recordings"])
    n_runs = len(summary["recordings"])
    size = f"{count(n_volumes, 'volume')} of {count(n_runs, 'run')}, {count(summary['n_voxels'], 'voxel')}"
    yield f"Agreement over time, {size} (95 % intervals)"
    table = [["", *(f"{heading}" for heading, _, _ in _OVER_TIME), "prediction gains", ""]]
    for position, row in enumerate(rows):
        cells = [_interval(row, key, write) for _, key, write in _OVER_TIME]
        kind = KINDS[row["kind"]] if position else "what is judged"
        table.append([row["model"], *cells, _interval(row, "gain", percent) if position else "", kind])
    yield from _columns(table)
    ceiling = summary["ceiling"]["region_median"]
    if ceiling is not None:
        yield f"Ceiling: a perfect model would reach about r = {number(ceiling)} in a typical region."


def _table_beyond(summary: Mapping[str, Any]) -> Iterator[str]:
    yield "In detail: medians over voxels and regions, patterns of volumes, agreement beyond time"
    table = [["", *(heading for heading, _, _ in _ELSE)]]
    table += [[row["model"], *(write(row.get(key)) for _, key, write in _ELSE)] for row in summary["scores"]]
    yield from _columns(table)


def _task(summary: Mapping[str, Any]) -> Iterator[str]:
    if not summary["task"]:
        return
    yield "Task maps: agreement with the measured map; only what exceeds schedule only comes from the EEG"
    table = [["", "", "r", "Dice"]]
    last = None
    for row in summary["task"]:
        group = f"{row['recording']}: {row['condition']}"
        table.append(["" if group == last else group, row["model"], number(row["r"]), number(row["dice"])])
        last = group
    yield from _columns(table)


def _published(summary: Mapping[str, Any]) -> Iterator[str]:
    models, rows = pivot_published(summary["published"])
    models = [model for model in models if any(model in row["values"] for row in rows)]
    yield "Published metrics of whole images: these measure anatomy, which an image that never changes has, too"
    table = [["", *models]]
    for row in rows:
        digits = 2 if row["metric"] == "PSNR" else 4
        table.append(
            [f"{row['metric']} ({row['paper']})", *(number(row["values"].get(model), digits) for model in models)]
        )
    yield from _columns(table)


def _notes(summary: Mapping[str, Any]) -> Iterator[str]:
    yield "Notes"
    about_mean = (
        "own mean image: the mean of the measured run itself, as nobody else's is known here; it explains no change"
    )
    for note in (about_mean, *notes_of(summary)):
        yield from _wrap(note, "- ")


def notes_of(summary: Mapping[str, Any]) -> list[str]:
    """List what was found and taken for granted, the alignment of the EEG last."""
    notes = list(summary["notes"])
    for recording in summary["recordings"]:
        alignment = recording.get("alignment")
        if alignment is not None:
            notes += [f"{recording['name']}: {text}" for text in (alignment["evidence"], *alignment["notes"])]
    return notes


def _interval(row: Mapping[str, Any], key: str, write: Any) -> str:
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None or value != value or low is None or low != low:
        return write(value)
    return f"{write(value)} ({write(low)} to {write(high)})".replace("\N{NO-BREAK SPACE}% to", " to")


def _wrap(text: str, mark: str = "") -> Iterable[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False)


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align columns: words to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    to_the_left = [all(not row[i] or not _is_number(row[i]) for row in rows[1:]) for i in range(len(widths))]
    for row in rows:
        cells = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, to_the_left, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _is_number(text: str) -> bool:
    return text[0].isdigit() or text[0] in "\N{MINUS SIGN}\N{EN DASH}"
