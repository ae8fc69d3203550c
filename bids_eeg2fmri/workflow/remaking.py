"""Make pages and the methods text anew from what earlier runs wrote. Computes nothing and needs no raw data, no Keras."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.recordings import shorten
from bids_eeg2fmri.errors import Eeg2FmriError, MissingFilesError
from bids_eeg2fmri.reports.methods import bibliography, methods_text
from bids_eeg2fmri.workflow.progress import Dashboard, tell

logger = logging.getLogger(__name__)

SOME_FAILED = 1
# Of a recording's entry, what the methods text tells.
_STEPS = ("gradient", "wires", "pulse", "bad_channels", "montage", "bold_done")


def remake_participants(derivatives: Derivatives, labels: Sequence[str], open_log: Callable[[Path], None]) -> int:
    """Make the pages of participants from their summaries; return the exit code.

    Parameters
    ----------
    derivatives : Derivatives
    labels : sequence of str
        Without ``sub-``; none means everybody of whom the output knows.
    open_log : callable
        Is given the file to log to.

    Raises
    ------
    MissingFilesError
        If nobody has results.
    """
    done = derivatives.list_done()
    reasons = {entry["name"].removeprefix("sub-"): entry["reason"] for entry in derivatives.read_failures()}
    wanted = sorted(set(labels) or {*done, *reasons})
    if not set(wanted) & set(done):
        there = f"; there are those of {shorten(done)}" if done else ""
        raise MissingFilesError(
            f"{derivatives.root}: expected results of participants{f' {shorten(wanted)}' if wanted else ''} "
            f"(sub-*/sub-*_summary.json) to make pages of, found none{there}; run the participant level first"
        )
    open_log(derivatives.create_log("participant"))
    from bids_eeg2fmri.reports.participant import participant_report

    faults = {label: f"no results: {reasons.get(label, 'not processed yet')}" for label in wanted if label not in done}
    pages: list[Path] = []
    summaries: list[dict[str, Any]] = []
    to_do = [label for label in wanted if label in done]
    with Dashboard(len(to_do)) as dashboard:
        for label in to_do:
            progress = dashboard.begin(f"sub-{label}")
            progress("report")
            try:
                summary = derivatives.read_summary(label)
                pages.append(derivatives.write_report(f"sub-{label}", participant_report(derivatives, summary)))
            except Eeg2FmriError as error:
                faults[label] = f"failed: {error}"
            except Exception as error:  # a summary that is broken or of another version is nobody else's fault
                faults[label] = f"failed: software error: {error!r}; run the participant level again"
                logger.debug("sub-%s", label, exc_info=True)
            else:
                summaries.append(summary)
            progress.finish("failed" if label in faults else "page made anew")
    if summaries:
        write_methods(derivatives, of_dataset(summaries))
    for page in pages:
        print(page)
    for label, fault in sorted(faults.items()):
        tell(f"sub-{label} {fault}", logging.ERROR)
    return SOME_FAILED if faults else 0


def remake_group(derivatives: Derivatives, open_log: Callable[[Path], None]) -> int:
    """Make the page of the group from its summary; return the exit code.

    Raises
    ------
    MissingFilesError
        If the group level has not been run.
    """
    summary = derivatives.read_group_summary()
    open_log(derivatives.create_log("group"))
    from bids_eeg2fmri.reports.group import group_report

    with Dashboard() as dashboard:
        progress = dashboard.begin("group")
        progress("report")
        page = derivatives.write_report("group", group_report(derivatives, summary))
        progress.finish("page made anew")
    write_methods(derivatives, summary)
    print(page)
    return 0


def write_methods(derivatives: Derivatives, summary: Mapping[str, Any]) -> list[Path]:
    """Write the methods of a run in words, with BibTeX."""
    text = methods_text(summary)
    return derivatives.write_citation(text, bibliography(text))


def of_dataset(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keep of participants' summaries what holds for all of them: how it was done, not what came out."""
    first = next((summary for summary in summaries if "model" in summary), summaries[0])
    kept = {key: first[key] for key in ("settings", "settings_hash", "provenance") if key in first}
    # What was done to some recording; not which they are.
    kept["done"] = [
        {step: entry[step] for step in _STEPS if step in entry}
        for summary in summaries
        for entry in summary["recordings"]
    ]
    # A model that was applied, not trained, is the same for all.
    return kept | ({"model": first["model"]} if "model" in first and "training" not in first else {})
