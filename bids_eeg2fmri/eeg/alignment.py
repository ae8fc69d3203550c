"""The onset of every stored volume on the EEG's clock."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bids_eeg2fmri.eeg.candidates import (
    SAME_S,
    Candidate,
    Marker,
    Scan,
    coincide,
    covers,
    find_candidates,
    is_part,
    reaches_edges,
)
from bids_eeg2fmri.eeg.trains import MOST_MISSING, SHORTEST, fit_line
from bids_eeg2fmri.errors import AlignmentError

# Scanners send one or two triggers more when they stop, or discard a last volume.
MOST_TRAILING = 2
# Onsets are given only if three standard errors of the clock's line are less than this.
ACCURACY_S = 0.0035
# Usual numbers of dummies that no sidecar tells of.
MOST_DUMMIES = 8
# A code that is refused although its number is as close as this to the volumes stored makes any other one doubtful.
CLOSE_NUMBER = 10
# Of the markers between the first and the last of a train. Where another code is regular too, what lacks many may be
# stimuli that were locked to the scanner.
LOWEST_SHARE, LOWEST_SHARE_AMONG_OTHERS = 0.6, 0.95
# Places beyond the ends of a train where a marker may belong to it: so many if it came late, and at all.
NEAR, FAR = MOST_MISSING + 2, 20


@dataclass(frozen=True)
class Alignment:
    """Where the volumes are, and why we believe it.

    Attributes
    ----------
    onsets_s : array of shape (volumes,)
        Onsets by the clock model: a line through the markers. Negative before the EEG starts.
    markers_s : array of shape (volumes,)
        The markers as recorded; NaN where there is none.
    tr_s : float
        Repetition time by the EEG's clock.
    drift_ppm : float
        How much longer that is than the repetition time of the BOLD file.
    jitter_ms : float
        Standard deviation of the markers around the line; NaN without markers.
    evidence : str
        All of it in words.
    notes : tuple of str
        What was taken for granted, and what looks odd.
    code : str
        The marker; empty without one.
    others_s : tuple of float
        Markers of that code that belong to no stored volume: dummies, an aborted start, what came after the last.
    """

    onsets_s: np.ndarray
    markers_s: np.ndarray
    tr_s: float
    drift_ppm: float
    jitter_ms: float
    evidence: str
    notes: tuple[str, ...] = ()
    code: str = ""
    others_s: tuple[float, ...] = ()


def align(markers: Sequence[Marker], scan: Scan, *, duration_s: float, resolution_s: float) -> Alignment:
    """Find the marker that the scanner sent with every volume, and fit its clock.

    See :func:`align_runs`, of which this is the case of one series.
    """
    return align_runs(markers, [scan], duration_s=duration_s, resolution_s=resolution_s)[0]


def align_runs(
    markers: Sequence[Marker], scans: Sequence[Scan], *, duration_s: float, resolution_s: float
) -> list[Alignment]:
    """Find the volume markers of the series that were scanned, one after the other, during one EEG file.

    A code is told by its regularity, not by its name: its interval is the repetition time (or that of slices, or of slices
    at a time) and its number fits the stored volumes. Markers more than that have to be explained: as volumes that were
    discarded (``n_dummies``, or the place that the events of both sides give), else one or two as sent after the last
    volume. Fewer are explained only if the EEG starts or ends during the series. Whatever allows two answers is refused.

    Parameters
    ----------
    markers : sequence of Marker
    scans : sequence of Scan
        In the order in which they were scanned.
    duration_s : float
        Of the EEG file.
    resolution_s : float
        Sampling interval of the EEG, or whatever else the markers are rounded to.

    Raises
    ------
    AlignmentError
        If no answer, or more than one, is left; the message says what each code offers.
    """
    possible: list[list[Alignment]] = []
    for scan in scans:
        answers, refusals = _answers(markers, scan, duration_s, resolution_s)
        if not answers:
            raise AlignmentError(_nothing_fits(markers, scan, refusals))
        possible.append(answers)
    orders = list(itertools.islice(_in_turn(possible), 5))
    if len(orders) == 1:
        return orders[0]
    scan = scans[0]
    expected = f"expected {scan.n_volumes} volume markers {scan.tr_s:g} s apart"
    if not orders:
        raise AlignmentError(f"{expected} for each of {len(scans)} runs one after the other, found no such order")
    which = next(i for i in range(len(scans)) if len({id(order[i]) for order in orders}) > 1)
    found = " or ".join(dict.fromkeys(order[which].evidence.split(";")[0] for order in orders[:4]))
    starts = " or ".join(dict.fromkeys(f"{order[which].onsets_s[0]:.3f} s" for order in orders[:4]))
    raise AlignmentError(
        f"{expected}, found more than one answer: the first volume at {starts} of the EEG ({found}); name the right code in "
        "alignment.code of the settings, or leave only its markers in the file"
    )


def align_from(start_s: float, scan: Scan, *, evidence: str, note: str) -> Alignment:
    """Place the volumes from a known start by their repetition time alone."""
    onsets = start_s + scan.tr_s * np.arange(scan.n_volumes)
    return Alignment(onsets, np.full(scan.n_volumes, np.nan), scan.tr_s, 0.0, np.nan, evidence, (note,))


# ------------------------------------------------------------------------------------------------------------ answers


def _in_turn(possible: Sequence[Sequence[Alignment]], after_s: float = -np.inf) -> Iterator[list[Alignment]]:
    """Give every choice of one answer for each series in which they follow one another."""
    if not possible:
        yield []
        return
    for answer in possible[0]:
        if answer.onsets_s[0] > after_s:
            for rest in _in_turn(possible[1:], float(answer.onsets_s[-1])):
                yield [answer, *rest]


class _Refused(Exception):
    """Why a candidate is none."""


def _answers(
    markers: Sequence[Marker], scan: Scan, duration_s: float, resolution_s: float
) -> tuple[list[Alignment], list[str]]:
    """Give what the markers allow, and what was refused."""
    candidates = find_candidates(markers, scan, resolution_s=resolution_s)
    others = [m for m in markers if not any(c.marker is m for c in candidates)]
    answered: list[tuple[Candidate, Alignment]] = []
    refused: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        try:
            rivals = [c for c in candidates if c is not candidate and not c.joined and not coincide(c, candidate)]
            _refuse_doubtful(candidate, rivals, scan, duration_s)
            lead, words, notes = _place_first_volume(candidate, scan, others, duration_s, resolution_s)
            answered.append((candidate, _fit(candidate, scan, lead, words, notes, resolution_s)))
        except _Refused as why:
            refused.append((candidate, str(why)))
    answers: list[Alignment] = []
    for candidate, answer in _without_shifted_copies(answered, resolution_s):
        close = [c for c, _ in refused if c.marker is not candidate.marker and _is_close(c, candidate, scan)]
        if close:
            doubt = f"{close[0].n_volumes} x {close[0].marker.code!r} are as regular"
            refused.append((candidate, doubt))
        elif not any(np.abs(a.onsets_s - answer.onsets_s).max() < SAME_S for a in answers):
            answers.append(answer)
    return answers, [f"{_describe(candidate)}: {why}" for candidate, why in refused]


def _without_shifted_copies(
    answered: list[tuple[Candidate, Alignment]], resolution_s: float
) -> list[tuple[Candidate, Alignment]]:
    """Leave out an events.tsv that counts from the first volume marker, where the file's own markers tell better."""
    kept = []
    for candidate, answer in answered:
        own = [a for c, a in answered if c.marker.source != "events.tsv" and c.n_volumes == candidate.n_volumes]
        from_zero = candidate.onsets_s[0] < 2 * resolution_s
        if candidate.marker.source == "events.tsv" and from_zero and own and own[0].onsets_s[0] > SAME_S:
            continue
        kept.append((candidate, answer))
    return kept


def _refuse_doubtful(candidate: Candidate, rivals: Sequence[Candidate], scan: Scan, duration_s: float) -> None:
    """Refuse what other regular markers make doubtful: stimuli locked to the scanner, clocks that run all the time."""
    of_others = [rival for rival in rivals if rival.marker is not candidate.marker]
    covered = any(covers(rival, candidate) for rival in of_others)
    whole = [rival for rival in of_others if covers(rival, candidate) and is_part(candidate, rival)]
    if whole:
        raise _Refused(f"they are some of {whole[0].n_volumes} x {whole[0].marker.code!r}")
    if candidate.share < (1.0 if covered else LOWEST_SHARE_AMONG_OTHERS if of_others else LOWEST_SHARE):
        raise _Refused(f"{1 - candidate.share:.0%} of them are missing")
    if of_others and all(reaches_edges(candidate.onsets_s, scan, duration_s)):
        other = of_others[0].marker.code
        raise _Refused(f"it runs from the start of the file to its end, as a clock does, and {other!r} are as regular")
    if rivals and candidate.n_volumes < scan.n_volumes:
        raise _Refused(f"{scan.n_volumes - candidate.n_volumes} fewer than stored, and there are other regular markers")


def _is_close(rival: Candidate, candidate: Candidate, scan: Scan) -> bool:
    """Whether a refused code would have been the answer, had something about it been a little different."""
    surplus = rival.n_volumes - scan.n_volumes
    starts_with_file = rival.onsets_s[0] < 1.2 * scan.tr_s <= candidate.onsets_s[0]
    if starts_with_file and surplus > MOST_DUMMIES + (scan.n_dummies or 0) and covers(rival, candidate):
        return False  # a clock
    expected = (scan.n_volumes, scan.n_volumes + (scan.n_dummies or 0))
    found = (rival.n_volumes, rival.n_spanned)
    return any(abs(number - n) <= CLOSE_NUMBER for number in found for n in expected)


def _has_irregular(candidate: Candidate, outwards_s: np.ndarray, scan: Scan) -> bool:
    """Whether the code has a marker outside the train that may belong to it.

    Parameters
    ----------
    outwards_s : array of shape (places,)
        Where the next markers beyond an end of the train would lie.
    """
    far = np.abs(candidate.strays_s[:, None] - outwards_s)
    # One that came late is near its place; one that did not, on it, however many are missing before it.
    late = far[:, :NEAR] < max(0.1 * scan.tr_s, 0.08)
    return bool(late.any() or np.any(far < 0.01 * scan.tr_s))


def _place_first_volume(
    candidate: Candidate, scan: Scan, others: Sequence[Marker], duration_s: float, resolution_s: float
) -> tuple[int, str, list[str]]:
    """Tell how many volumes after a train's first marker the stored series starts, with the reason and what to note.

    Negative where the EEG starts during the series.
    """
    n, told = scan.n_volumes, scan.n_dummies
    surplus = candidate.n_volumes - n
    at_start, at_end = reaches_edges(candidate.onsets_s, scan, duration_s)
    # It may be the state of the trigger's line when the recording began, and no volume.
    in_first_sample = candidate.onsets_s[0] < 1.5 * resolution_s
    interval_s = (candidate.onsets_s[-1] - candidate.onsets_s[0]) / (candidate.place[-1] - candidate.place[0])
    outwards_s = interval_s * np.arange(1, FAR + 1)
    if _has_irregular(candidate, candidate.onsets_s[0] - outwards_s, scan):
        raise _Refused("shortly before the first there is one that is not regular: a late volume, or none")
    if _has_irregular(candidate, candidate.onsets_s[-1] + outwards_s, scan):
        raise _Refused("shortly after the last there is one that is not regular: a late volume, or none")
    if surplus == 0 and told and at_end:
        raise _Refused(
            f"as many as stored, but {told} were told to be discarded, and the EEG may have ended before the last"
        )
    if surplus == 0:
        return 0, "", []
    if candidate.joined and surplus != told:
        raise _Refused(f"{candidate.n_volumes} volumes with those that lack a marker, {n} are stored")
    # A first marker that stands alone may be none of them.
    certain = candidate.place[1] <= 1 and not in_first_sample
    if told is not None and 0 <= surplus - told <= MOST_TRAILING and (certain or surplus == told):
        after = surplus - told
        words = f"{told} before the stored ones discarded" if told else ""
        return told, ", ".join(filter(None, [words, f"{after} after them ignored" if after else ""])), []
    # A clock is regular whatever the volumes do, so stimuli can't tell where on it they start.
    a_clock = surplus > 0 and at_start and at_end
    by_events = _place_by_events(candidate, scan, others) if not a_clock else None
    if surplus > 0:
        if by_events is not None:
            return by_events, f"{by_events} before the stored ones, as the events of both sides tell", []
        if told is None and surplus <= MOST_TRAILING and certain and not a_clock:
            note = (
                f"{surplus} more {'marker' if surplus == 1 else 'markers'} than volumes, taken to come after the last volume; if "
                f"before the first, set alignment.n_dummies = {surplus}"
            )
            return 0, f"{surplus} after the last stored one ignored", [note]
        if told and surplus < told and at_start and not at_end:
            return surplus, f"EEG starts during the discarded volumes, {surplus} of them before the stored ones", []
        known = "nothing tells how many came" if told is None else f"{told} were told to come"
        raise _Refused(f"{surplus} more than stored, and {known} before the first")
    if candidate.n_volumes < max(SHORTEST, n / 2):
        raise _Refused(f"{-surplus} fewer than stored")
    first_s, end_s = candidate.onsets_s[0], candidate.onsets_s[-1] + 0.1 * scan.tr_s
    outside = (candidate.strays_s < first_s) | (candidate.strays_s > end_s)
    if outside.any():
        raise _Refused(f"{-surplus} fewer than stored, and {outside.sum()} elsewhere in the file")
    if by_events is not None:
        return by_events, f"{-by_events} volumes before the first marker, as the events of both sides tell", []
    if at_start and not at_end and not in_first_sample:
        note = f"the EEG starts after the first {-surplus} volumes, if no marker came after the last"
        return surplus, "EEG starts during the series", [note]
    if at_end and not at_start and not told:
        note = f"the EEG ends before the last {-surplus} volumes"
        if told is None:
            note += "; if volumes were scanned before the first stored one, set alignment.n_dummies"
        return 0, "EEG ends during the series", [note]
    raise _Refused(f"{-surplus} fewer than stored, and nothing tells whether the first or the last are missing")


def _place_by_events(candidate: Candidate, scan: Scan, others: Sequence[Marker]) -> int | None:
    """Tell the first stored volume by stimuli that stand in the EEG's markers and in the BOLD's events.tsv."""
    surplus = candidate.n_volumes - scan.n_volumes
    places = np.arange(min(surplus, 0), max(surplus, 0) + 1)
    slope, start = np.polyfit(candidate.place, candidate.onsets_s, 1)
    near_s = min(0.1, 0.2 * scan.tr_s)
    best = np.zeros(len(places))
    for condition in scan.events:
        for code in others:
            if not 3 <= len(condition) <= 2 * len(code.onsets_s) or len(code.onsets_s) > 4 * len(condition):
                continue
            marks = np.sort(code.onsets_s)
            for i, place in enumerate(places):
                first = start + slope * place
                expected = first + condition * slope / scan.tr_s
                right = np.searchsorted(marks, expected).clip(1, len(marks) - 1)
                miss = np.minimum(np.abs(marks[right] - expected), np.abs(marks[right - 1] - expected))
                best[i] = max(best[i], 2 * float(np.sum(miss < near_s)) / (len(condition) + len(marks)))
    if best.max() < 0.7 or np.sum(best > 0.7 * best.max()) > 1:
        return None
    return int(places[best.argmax()])


def _fit(candidate: Candidate, scan: Scan, lead: int, words: str, notes: list[str], resolution_s: float) -> Alignment:
    """Draw the clock's line through the markers of the stored volumes, and judge how well it is known."""
    n = scan.n_volumes
    place = candidate.place - lead
    stored = (place >= 0) & (place < n)
    if stored.sum() < SHORTEST:
        raise _Refused(f"only {stored.sum()} of the stored volumes have one")
    x, y = place[stored], candidate.onsets_s[stored]
    intercept, slope, used = fit_line(x, y, least=max(0.001, 1.5 * resolution_s))
    residual = y - (intercept + slope * x)
    if not used.mean() > 0.9 or np.abs(residual).max() > 0.1 * scan.tr_s:
        raise _Refused("they are not regular")
    spread = float(np.std(residual[used]))
    far = max(abs(0 - x[used].mean()), abs(n - 1 - x[used].mean()))
    error_s = spread * np.sqrt(1 / used.sum() + far**2 / np.sum((x[used] - x[used].mean()) ** 2))
    # Of few markers the spread is known badly.
    if 3 * (1 + 10 / used.sum()) * error_s > ACCURACY_S:
        raise _Refused(f"they jitter by {1e3 * spread:.1f} ms, too much for onsets within {1e3 * SAME_S:g} ms")
    markers = np.full(n, np.nan)
    whole = np.isclose(x, np.rint(x))
    markers[np.rint(x[whole]).astype(int)] = y[whole]
    missing = int(np.sum(np.isnan(markers[int(np.ceil(x[0])) : int(x[-1]) + 1])))
    drift_ppm = 1e6 * (slope / scan.tr_s - 1)
    if abs(drift_ppm) > 1000:
        notes = [
            *notes,
            f"the EEG's clock and the repetition time differ by {drift_ppm / 1e4:.2f} %; check RepetitionTime",
        ]
    if missing:
        told = "1 volume has" if missing == 1 else f"{missing} volumes have"
        notes = [*notes, f"{told} no marker; the onset is that of the clock model"]
    elsewhere = len(candidate.marker.onsets_s) - len(candidate.onsets_s) if candidate.whole else 0
    if elsewhere:
        notes = [*notes, f"{elsewhere} more of the markers are not of this series"]
    marker = candidate.marker
    evidence = (
        f"{candidate.what} {marker.code!r} in {marker.source}: {candidate.n_volumes} volumes found, {n} stored"
        f"{', ' + words if words else ''}; first volume at {intercept:.3f} s of the EEG, interval {slope:.6g} s "
        f"({round(drift_ppm, 1) + 0.0:+.1f} ppm), jitter {1e3 * spread:.2f} ms"
    )
    return Alignment(
        onsets_s=intercept + slope * np.arange(n),
        markers_s=markers,
        tr_s=float(slope),
        drift_ppm=drift_ppm,
        jitter_ms=1e3 * spread,
        evidence=evidence,
        notes=tuple(notes),
        code=marker.code,
        others_s=tuple(np.setdiff1d(marker.onsets_s, y).tolist()) if candidate.whole else (),
    )


# ------------------------------------------------------------------------------------------------------------- in words


def _nothing_fits(markers: Sequence[Marker], scan: Scan, refusals: Sequence[str]) -> str:
    expected = f"expected {scan.n_volumes} volume markers {scan.tr_s:g} s apart"
    if refusals:
        remedy = "look at the markers in the EEG file, or pass --assume-start-together if EEG and BOLD do"
        if any("more than stored" in why for why in refusals):
            remedy = (
                "tell how many volumes were discarded in alignment.n_dummies, or in NumberOfVolumesDiscardedByScanner of the "
                "BOLD sidecar"
            )
        if any("are as regular" in why for why in refusals):
            remedy = "name the volume marker in alignment.code of the settings"
        return f"{expected}, found {'; '.join(refusals[:4])}; {remedy}"
    most = sorted(markers, key=lambda m: -len(m.onsets_s))[:6]
    found = "; ".join(f"{len(m.onsets_s)} x {m.code!r}{_every(m)} ({m.source})" for m in most) or "no marker at all"
    return (
        f"{expected}, found {found}; check RepetitionTime and that the markers were exported, or pass --assume-start-together "
        "if EEG and BOLD do"
    )


def _describe(candidate: Candidate) -> str:
    count = len(candidate.onsets_s)
    return f"{count} x {candidate.marker.code!r} from {candidate.onsets_s[0]:.3f} s on ({candidate.marker.source})"


def _every(marker: Marker) -> str:
    return f" every {np.median(np.diff(marker.onsets_s)):.4g} s" if len(marker.onsets_s) > 1 else ""
