"""Which recordings a participant has, and where the volumes of each lie on the EEG's clock.

Names and times propose pairs (``bids.pairing``), volume markers confirm or refuse them (``eeg.alignment``). Signals are read
only where markers don't help and the scanner's artefact may.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, permutations
from pathlib import Path
from typing import Any

import numpy as np

from bids_eeg2fmri.bids.index import DataFile, Filters, index_dataset, select_files
from bids_eeg2fmri.bids.pairing import Pair, Question, explain_rest, propose_pairs, put_in_order
from bids_eeg2fmri.bids.pipelines import find_preprocessed_bold, match_cleaned_eeg
from bids_eeg2fmri.bids.reading import (
    BoldHeader,
    EegHeader,
    find_events_file,
    find_root,
    read_bold_header,
    read_eeg,
    read_eeg_header,
    read_events,
)
from bids_eeg2fmri.bids.reading.sidecars import read_sidecar
from bids_eeg2fmri.bids.recordings import Pipeline, Recording, Status
from bids_eeg2fmri.config import AlignmentSettings, Settings
from bids_eeg2fmri.eeg.alignment import Alignment, align_from, align_runs
from bids_eeg2fmri.eeg.candidates import Marker, Scan
from bids_eeg2fmri.eeg.scans import find_scans
from bids_eeg2fmri.errors import AlignmentError, Eeg2FmriError, MissingFilesError

# Series of one EEG file of which every order is tried, where nobody knows it.
MOST_PERMUTED = 5
# By how much the length of cleaned EEG may differ from that of the recording, if the two start together.
SAME_LENGTH_S = 0.1


@dataclass(frozen=True)
class Planned:
    """A recording, and where its volumes are.

    Attributes
    ----------
    recording : Recording
    alignment : Alignment or None
        None without both EEG and BOLD, or if it failed.
    error : Eeg2FmriError or None
        Why a pair has no alignment.
    """

    recording: Recording
    alignment: Alignment | None = None
    error: Eeg2FmriError | None = None

    @property
    def problem(self) -> str | None:
        return str(self.error) if self.error else None


def plan_participant(
    dataset: Path,
    subject: str,
    settings: Settings | None = None,
    filters: Filters | None = None,
    *,
    files: Sequence[DataFile] | None = None,
    pipelines: Sequence[Pipeline] = (),
    insist_on_space: bool = True,
    read_signals: bool = True,
) -> list[Planned]:
    """Find, pair and align what a participant has.

    Parameters
    ----------
    dataset : Path
    subject : str
        Label without ``sub-``.
    settings : Settings, optional
    filters : mapping, optional
        See ``bids.index``.
    files : sequence of DataFile, optional
        The participant's, if the dataset has been indexed.
    pipelines : sequence of Pipeline, optional
        Where to look for preprocessed BOLD and cleaned EEG.
    insist_on_space : bool
        False takes BOLD as recorded where a pipeline has it, but not in the space of the settings; True makes that an error.
    read_signals : bool
        False leaves out what needs the EEG's signals: the gradient artefact.

    Returns
    -------
    list of Planned
        In the order of their names; every file is in one of them.

    Raises
    ------
    NothingSelectedError
        If the participant has recordings but the filters leave none.
    """
    settings = settings or Settings()
    found = list(index_dataset(dataset, [subject])[subject] if files is None else files)
    cleaned, unrecorded = match_cleaned_eeg(pipelines, subject, [file for file in found if file.suffix == "eeg"])
    found += unrecorded
    headers = _Headers(dataset, settings.alignment, read_signals=read_signals, cleaned=cleaned, pipelines=pipelines)
    selected = select_files(found, filters or {}, subject=subject)
    proposal = propose_pairs(
        dataset,
        subject,
        selected,
        templates=settings.pair_templates,
        filters=filters,
        duration_of=headers.duration_s,
    )
    plan = [headers.planned(subject, pair, alignment) for pair, alignment in headers.align_all(proposal.pairs)]
    rest = list(proposal.rest)
    answers: dict[DataFile, tuple[Status, str]] = {f: ("not simultaneous", why) for f, why in proposal.apart.items()}
    for question in proposal.questions:
        paired, others = headers.answer(question)
        plan += [headers.planned(subject, pair, alignment) for pair, alignment in paired]
        answers |= others
    filtered = {file.suffix for file in found} - {file.suffix for file in selected}
    answers |= explain_rest(dataset, subject, rest, n_pairs=len(plan), filtered=filtered)
    for file, (status, reason) in answers.items():
        metadata = headers.sidecar(file)
        if file.suffix == "eeg":
            recording = Recording(subject, headers.path(file), None, status, reason, {}, metadata)
        else:
            recording = Recording(subject, None, file.path, status, reason, metadata, {})
        plan.append(Planned(recording))
    plan = [_with_copies(planned, proposal.copies) for planned in plan]
    if settings.bold.preprocessed == "auto":
        plan = [_with_preprocessed(planned, pipelines, settings.bold.space, insist_on_space) for planned in plan]
    return sorted(plan, key=lambda planned: (planned.recording.name, planned.recording.status))


def plan_pairs(
    pairs: Sequence[tuple[Path, Path]], bold_headers: Sequence[BoldHeader], settings: Settings
) -> list[Planned]:
    """Align EEG and BOLD files that the user names as recorded together, wherever they lie.

    Parameters
    ----------
    pairs : sequence of (EEG, BOLD)
        BOLD that was scanned during one EEG file is placed in it together.
    bold_headers : sequence of BoldHeader
        What is known of each BOLD file.
    settings : Settings
    """
    known = {bold: header for (_, bold), header in zip(pairs, bold_headers, strict=True)}
    planned: dict[Path, Planned] = {}
    for eeg in dict.fromkeys(eeg for eeg, _ in pairs):
        headers = _Headers(find_root(eeg), settings.alignment, read_signals=True)
        headers.take(known)
        of_eeg = [
            Pair(DataFile(eeg, "eeg", {}), DataFile(bold, "bold", {}), "named by the user")
            for other, bold in pairs
            if other == eeg
        ]
        for pair, alignment in headers.align_all(of_eeg):
            planned[pair.bold.path] = headers.planned("", pair, alignment)
    return [planned[bold] for _, bold in pairs]


def _with_copies(planned: Planned, copies: Mapping[DataFile, list[str]]) -> Planned:
    """Mention the other formats of a recording, which may hold the markers that this one lacks."""
    recording = planned.recording
    told = [t for file, texts in copies.items() if file.path in (recording.eeg, recording.bold) for t in texts]
    return replace(planned, recording=replace(recording, reason="; ".join([recording.reason, *told])))


def _with_preprocessed(planned: Planned, pipelines: Sequence[Pipeline], space: str, insist: bool) -> Planned:
    """Add what a pipeline made of the BOLD of a pair."""
    recording = planned.recording
    if not recording.paired or planned.error is not None:
        return planned
    assert recording.bold is not None
    try:
        found = find_preprocessed_bold(pipelines, recording.bold, space)
    except Eeg2FmriError as error:
        return replace(planned, error=error) if insist else planned
    return replace(planned, recording=replace(recording, preprocessed=found))


class _Headers:
    """What headers and sidecars say, each read once."""

    def __init__(
        self,
        dataset: Path,
        settings: AlignmentSettings,
        *,
        read_signals: bool,
        cleaned: Mapping[Path, Path] | None = None,
        pipelines: Sequence[Pipeline] = (),
    ):
        self.dataset = dataset
        self.settings = settings
        self.read_signals = read_signals
        self.cleaned = cleaned or {}
        self.pipelines = pipelines
        self._eeg: dict[Path, EegHeader] = {}
        self._bold: dict[Path, BoldHeader] = {}

    def take(self, known: Mapping[Path, BoldHeader]) -> None:
        """Take what has been read of BOLD files already."""
        self._bold |= known

    def path(self, file: DataFile) -> Path:
        """What is read of a file: EEG as a pipeline has cleaned it, if one has."""
        return self.cleaned.get(file.path, file.path)

    def sidecar(self, file: DataFile) -> Mapping[str, Any]:
        path = self.path(file)
        return read_sidecar(self.dataset if path.is_relative_to(self.dataset) else find_root(path), path)

    def eeg(self, file: DataFile) -> EegHeader:
        if file.path not in self._eeg:
            path = self.path(file)
            header = read_eeg_header(path, self.sidecar(file))
            if path != file.path and not header.markers:
                header = self._with_markers_as_recorded(file, header)
            self._eeg[file.path] = header
        return self._eeg[file.path]

    def _with_markers_as_recorded(self, file: DataFile, header: EegHeader) -> EegHeader:
        """Take the markers of the EEG as recorded where the cleaned one has none and is of the same length: one clock."""
        try:
            recorded = read_eeg_header(file.path, read_sidecar(self.dataset, file.path))
        except Eeg2FmriError:
            return header  # it need not be there
        same = abs(recorded.duration_s - header.duration_s) <= SAME_LENGTH_S
        return replace(header, markers=recorded.markers) if same else header

    def bold(self, file: DataFile) -> BoldHeader:
        if file.path not in self._bold:
            try:
                self._bold[file.path] = read_bold_header(file.path, self.sidecar(file))
            except MissingFilesError:
                # What a pipeline made of it has as many volumes.
                made = find_preprocessed_bold(self.pipelines, file.path, "auto")
                if made is None:
                    raise
                self._bold[file.path] = read_bold_header(made.path, self.sidecar(file))
        return self._bold[file.path]

    def duration_s(self, file: DataFile) -> float:
        """Give the length of a recording; 0 if its header can't be read, which is told when it is its turn."""
        try:
            if file.suffix == "eeg":
                return self.eeg(file).duration_s
            return self.bold(file).n_volumes * self.bold(file).tr_s
        except Eeg2FmriError:
            return 0.0

    def planned(self, subject: str, pair: Pair, alignment: Alignment | Eeg2FmriError) -> Planned:
        recording = Recording(
            subject,
            self.path(pair.eeg),
            pair.bold.path,
            "paired",
            pair.reason,
            self.sidecar(pair.bold),
            self.sidecar(pair.eeg),
        )
        if isinstance(alignment, Eeg2FmriError):
            return Planned(recording, None, alignment)
        return Planned(recording, alignment)

    # ---------------------------------------------------------------------------------------------------------- pairs

    def align_all(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Alignment | Eeg2FmriError]]:
        """Align each pair; series that the user mapped to one EEG file together, if just one order of them fits."""
        for _, same in groupby(sorted(pairs, key=lambda p: p.eeg.path), key=lambda p: p.eeg.path):
            runs = list(same)
            orders = []
            if len(runs) > 1:
                bold, in_order = put_in_order([pair.bold for pair in runs], {})
                orders = self._several_runs(Question((runs[0].eeg,), tuple(bold), "", in_order))
            placed = {pair.bold: alignment for pair, alignment in orders[0]} if len(orders) == 1 else {}
            for pair in runs:
                yield pair, placed.get(pair.bold) or self.align(pair)

    def align(self, pair: Pair) -> Alignment | Eeg2FmriError:
        """Align a pair by its markers; where they don't help by the artefact, by scans.tsv, or as the user says."""
        try:
            scan = self.scan(pair.eeg, pair.bold)
            try:
                return self.by_markers(pair.eeg, [scan])[0]
            except AlignmentError as refused:
                other = self._without_markers(pair, scan, str(refused))
                found = str(refused).rpartition("; ")[0]  # what comes last is what to do about it
                return replace(other, notes=(*other.notes, f"the markers do not help: {found}"))
        except Eeg2FmriError as error:
            named = any(str(file.path) in str(error) for file in (pair.eeg, pair.bold))
            return error if named else type(error)(f"{pair.eeg.path}: {error}")

    def _without_markers(self, pair: Pair, scan: Scan, refused: str) -> Alignment:
        if self.read_signals:
            try:
                by_artefact = self._by_artefact(pair, scan)
                if by_artefact is not None:
                    return by_artefact
            except AlignmentError as error:
                refused += f"; by the artefact, {error}"
        if pair.start_s is not None:
            if -scan.tr_s * scan.n_volumes < pair.start_s < self.eeg(pair.eeg).duration_s:
                return align_from(
                    pair.start_s,
                    scan,
                    evidence=f"scans.tsv: the BOLD starts {pair.start_s:.3f} s after the EEG",
                    note="the onsets are as good as the clocks that scans.tsv was written from, seconds at best",
                )
            refused += f" (by scans.tsv the BOLD starts {pair.start_s:g} s after the EEG, which is not during it)"
        if self.settings.assume_start_together:
            return align_from(
                0.0,
                scan,
                evidence="assumed, as --assume-start-together says: the first volume starts with the EEG file",
                note="nothing in the data confirms that EEG and BOLD start together",
            )
        if not self.read_signals:
            refused += " (a gradient artefact, which may tell as well, is looked for when the signals are read)"
        raise AlignmentError(refused)

    def _by_artefact(self, pair: Pair, scan: Scan) -> Alignment | None:
        header = self.eeg(pair.eeg)
        eeg = read_eeg(Recording("", pair.eeg.path, None, "EEG only", "", {}, self.sidecar(pair.eeg)))
        markers = [
            Marker("the EEG itself", f"gradient artefact of stretch {number}", onsets)
            for number, onsets in enumerate(find_scans(eeg.raw, eeg.channels, tr_s=scan.tr_s), start=1)
        ]
        if not markers:
            return None
        [found] = align_runs(markers, [scan], duration_s=header.duration_s, resolution_s=1 / header.sfreq)
        numbers = found.evidence.partition(": ")[2].rpartition(", jitter")[0]
        return replace(
            found,
            markers_s=np.full(scan.n_volumes, np.nan),
            jitter_ms=np.nan,
            evidence=f"gradient artefact in the EEG: {numbers}",
            notes=found.notes,
            others_s=(),
        )

    def by_markers(self, eeg: DataFile, scans: Sequence[Scan]) -> list[Alignment]:
        header = self.eeg(eeg)
        code = self.settings.code
        markers = [
            Marker(source, name, onsets)
            for (source, name), onsets in header.markers.items()
            if code is None or name == code or name.partition("/")[2] == code
        ]
        own = {m.code.rpartition("/")[2]: len(m.onsets_s) for m in markers if m.source != "events.tsv"}
        # The same code in both: events.tsv is a copy, rounded at best.
        markers = [m for m in markers if m.source != "events.tsv" or own.get(m.code, 0) < len(m.onsets_s)]
        if code is not None and not markers:
            found = ", ".join(sorted({repr(name) for _, name in header.markers})) or "no marker at all"
            raise AlignmentError(
                f"expected alignment.code = {code!r} of the settings, found {found}; correct the settings"
            )
        return align_runs(markers, scans, duration_s=header.duration_s, resolution_s=1 / header.sfreq)

    def scan(self, eeg: DataFile, bold: DataFile) -> Scan:
        header = self.bold(bold)
        told = self.settings.n_dummies
        groups = {header.n_slices, header.slice_groups or 0} - {0, 1}
        return Scan(
            header.n_volumes,
            header.tr_s,
            n_dummies=header.n_discarded if told is None else told,
            groups=tuple(sorted(groups)),
            events=tuple(self._stimuli(eeg, bold)),
        )

    def _stimuli(self, eeg: DataFile, bold: DataFile) -> Iterator[np.ndarray]:
        """Onsets of each condition, in s from the first volume, unless the table is a copy of the EEG's."""
        path, other = find_events_file(self.dataset, bold.path), find_events_file(eeg.path.parent, eeg.path)
        if path is None:
            return
        try:
            table = read_events(path)
            if other is not None and path.read_bytes() == other.read_bytes():
                return
        except (Eeg2FmriError, OSError):
            return  # told when the events are written
        if "trial_type" in table:
            for _, rows in table.groupby("trial_type"):
                yield rows.onset.to_numpy()
        yield table.onset.to_numpy()

    # ------------------------------------------------------------------------------------------------------ questions

    def answer(self, question: Question) -> tuple[list[tuple[Pair, Alignment]], dict[DataFile, tuple[Status, str]]]:
        """Pair what the volume markers fit, and nothing else; say of the others why not."""
        why = f"{question.reason}, the volume markers fit"
        if len(question.eeg) == 1 and len(question.bold) > 1:
            orders = self._several_runs(question)
            if len(orders) == 1:
                return orders[0], {}
            if orders:
                unknown = (
                    f"{question.reason}, and the volume markers fit the series in more than one order; tell it by acq_time in "
                    "scans.tsv"
                )
                return [], dict.fromkeys((*question.eeg, *question.bold), ("ambiguous", unknown))
        fits: dict[tuple[DataFile, DataFile], Alignment] = {}
        refused: dict[DataFile, str] = {}
        for eeg in question.eeg:
            for bold in question.bold:
                try:
                    fits[eeg, bold] = self.by_markers(eeg, [self.scan(eeg, bold)])[0]
                except Eeg2FmriError as error:
                    found = str(error).rpartition("; ")[0] or str(error)
                    refused |= dict.fromkeys((eeg, bold), f"with {eeg.name}: {found}")
        pairs = [(a, b) for a, b in fits if sum(a is x or b is y for x, y in fits) == 1]
        done = {file for pair in pairs for file in pair}
        others: dict[DataFile, tuple[Status, str]] = {}
        for file in (*question.eeg, *question.bold):
            if file in done:
                continue
            partners = [(b if file is a else a).name for a, b in fits if file in (a, b)]
            if partners:
                others[file] = (
                    "ambiguous",
                    f"{question.reason}, and the volume markers fit {', '.join(partners)}; map them in [[pairs]] of the "
                    "settings or with --bids-filter-file",
                )
            elif pairs:
                others[file] = (
                    "EEG only" if file.suffix == "eeg" else "BOLD only",
                    f"{question.reason}, and the volume markers do not fit ({refused[file]})",
                )
            else:
                others[file] = (
                    "not simultaneous",
                    f"{question.reason}, and the volume markers do not fit ({refused[file]})",
                )
        return [(Pair(a, b, why), fits[a, b]) for a, b in pairs], others

    def _several_runs(self, question: Question) -> list[list[tuple[Pair, Alignment]]]:
        """Place several series in one EEG file, in their order, or where nobody knows it in each order that fits."""
        [eeg] = question.eeg
        if not question.in_order and len(question.bold) > MOST_PERMUTED:
            return []
        orders = [question.bold] if question.in_order else permutations(question.bold)
        found = []
        for order in orders:
            try:
                alignments = self.by_markers(eeg, [self.scan(eeg, bold) for bold in order])
            except Eeg2FmriError:
                continue
            runs = f"{question.reason}, {len(order)} runs in one EEG file, the volume markers fit one after the other"
            found.append([(Pair(eeg, bold, runs), a) for bold, a in zip(order, alignments, strict=True)])
        return found
