"""Which EEG and which BOLD were recorded at the same time, as far as names and times tell.

In the order of trust: what the user says, the same entities (unless scans.tsv puts them far apart), times of scans.tsv that
overlap, entities that differ in a way that people's do. The last is a question only, which the volume markers have to
answer: nothing is paired by guess.
"""

import itertools
import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bids_eeg2fmri.bids.index import BOLD_EXTENSIONS, EEG_EXTENSIONS, DataFile, Filters, is_selected, parse_entities
from bids_eeg2fmri.bids.reading.tables import read_table
from bids_eeg2fmri.bids.recordings import Status
from bids_eeg2fmri.errors import Eeg2FmriError, MissingFilesError, UsageError

logger = logging.getLogger(__name__)

# What has to agree for EEG and BOLD to be one recording, unless the user's filters ask for different labels.
PAIRING_ENTITIES = ("session", "task", "acquisition", "run")
# Clocks of scanner and amplifier are set by hand; what lies further apart was not recorded together.
LARGEST_CLOCK_ERROR_S = 3600.0


@dataclass(frozen=True)
class Pair:
    """EEG and BOLD that belong together; ``start_s`` is how long after the EEG the BOLD starts, if scans.tsv has it."""

    eeg: DataFile
    bold: DataFile
    reason: str
    start_s: float | None = None


@dataclass(frozen=True)
class Question:
    """Files that may belong together if the volume markers agree."""

    eeg: tuple[DataFile, ...]
    bold: tuple[DataFile, ...]
    reason: str
    in_order: bool = False  # whether the BOLD stands in the order in which it was scanned


@dataclass
class Proposal:
    """What names and times tell of a participant's files.

    ``apart`` are those that their times keep apart, with the reason; ``copies`` say what is there beside a file that is used.
    """

    pairs: list[Pair] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    rest: list[DataFile] = field(default_factory=list)
    apart: dict[DataFile, str] = field(default_factory=dict)
    copies: dict[DataFile, list[str]] = field(default_factory=dict)


def propose_pairs(
    dataset: Path,
    subject: str,
    files: Sequence[DataFile],
    *,
    templates: Sequence[tuple[str, str]] = (),
    filters: Filters | None = None,
    duration_of: Callable[[DataFile], float],
) -> Proposal:
    """Pair a participant's files.

    Parameters
    ----------
    dataset : Path
    subject : str
        Label without ``sub-``.
    files : sequence of DataFile
    templates : sequence of (EEG, BOLD)
        Paths that the user maps onto each other, see :func:`map_pairs`.
    filters : mapping, optional
        An entity for which EEG and BOLD are filtered by different single labels need not agree.
    duration_of : callable
        Gives the length in s of a recording; asked only where scans.tsv has times.
    """
    proposal = Proposal()
    eeg, bold = (_one_format([f for f in files if f.suffix == suffix], proposal) for suffix in ("eeg", "bold"))
    for a, b in map_pairs(dataset, subject, templates):
        if not all(is_selected(f, (filters or {}).get(f.suffix, {})) for f in (a, b)):
            continue
        proposal.pairs.append(Pair(a, b, "mapped in the settings"))
        eeg, bold = _without(eeg, a), _without(bold, b)
        # The raw EEG of a recording whose cleaned EEG was named.
        for other in [f for f in eeg if _key(f, PAIRING_ENTITIES) == _key(b, PAIRING_ENTITIES)]:
            proposal.copies.setdefault(a, []).append(f"not used, for the settings name another: {other.name}")
            eeg = _without(eeg, other)
    times = _acquisition_times(dataset, subject)

    keys = [e for e in PAIRING_ENTITIES if not _mapped_by_filters(e, filters or {})]
    same = f"same {', '.join(keys[:-1])} and {keys[-1]}" if len(keys) > 1 else f"same {''.join(keys)}"

    for key in sorted({_key(f, keys) for f in [*eeg, *bold]}, key=str):
        a_s, b_s = [f for f in eeg if _key(f, keys) == key], [f for f in bold if _key(f, keys) == key]
        if len(a_s) != 1 or len(b_s) != 1:
            continue
        gap_s = _gap(a_s[0], b_s[0], times, duration_of)
        if gap_s is not None and gap_s > LARGEST_CLOCK_ERROR_S:
            reason = f"{same}, but recorded {_in_words(gap_s)} apart by scans.tsv"
            proposal.apart |= {a_s[0]: reason, b_s[0]: reason}
        else:
            told = "" if gap_s is None else f"; times in scans.tsv {'do not overlap' if gap_s > 0 else 'overlap'}"
            proposal.pairs.append(Pair(a_s[0], b_s[0], same + told, _start(a_s[0], b_s[0], times)))
        eeg, bold = _without(eeg, a_s[0]), _without(bold, b_s[0])

    # After the names: the clocks that the times are from may differ by more than a run.
    for a, b in _overlapping(eeg, bold, times, duration_of):
        proposal.pairs.append(Pair(a, b, "times in scans.tsv overlap", _start(a, b, times)))
        eeg, bold = _without(eeg, a), _without(bold, b)

    for a_s, b_s in _related(eeg, bold, keys):
        gaps = [_gap(a, b, times, duration_of) for a in a_s for b in b_s]
        known = [gap for gap in gaps if gap is not None]
        if len(known) == len(gaps) and min(known) > LARGEST_CLOCK_ERROR_S:
            reason = f"{_difference(a_s, b_s, keys)}, and recorded {_in_words(min(known))} apart by scans.tsv"
            proposal.apart |= dict.fromkeys([*a_s, *b_s], reason)
        else:
            ordered, in_order = put_in_order(b_s, times)
            proposal.questions.append(Question(tuple(a_s), tuple(ordered), _difference(a_s, b_s, keys), in_order))
    asked = {f for q in proposal.questions for f in (*q.eeg, *q.bold)} | set(proposal.apart)
    proposal.rest = [f for f in [*eeg, *bold] if f not in asked]
    return proposal


def explain_rest(
    dataset: Path, subject: str, rest: Sequence[DataFile], *, n_pairs: int, filtered: Collection[str] = ()
) -> dict[DataFile, tuple[Status, str]]:
    """Say of each file without a partner why it has none.

    Parameters
    ----------
    rest : sequence of DataFile
        All that is left when names, times and markers have been heard.
    n_pairs : int
        Pairs that the participant has.
    filtered : collection of str
        "eeg" or "bold", if there are such files but the filters leave none.
    """
    kinds: Mapping[str, tuple[Status, str]] = {"eeg": ("EEG only", "BOLD"), "bold": ("BOLD only", "EEG")}
    answers: dict[DataFile, tuple[Status, str]] = {}
    for file in rest:
        status, other = kinds[file.suffix]
        others = [f for f in rest if f.suffix != file.suffix]
        close = [f for f in others if all(f.label(e) == file.label(e) for e in ("session", "task"))]
        if close:
            names = ", ".join(f.name for f in close[:4])
            answers[file] = (
                "ambiguous",
                f"{names} without a partner too, of the same session and task; if they were recorded together, map them in "
                "[[pairs]] of the settings or with --bids-filter-file",
            )
        elif others and not n_pairs:
            differing = next(
                (e for e in PAIRING_ENTITIES if all(f.label(e) != file.label(e) for f in others)), "acquisition or run"
            )
            answers[file] = ("not simultaneous", f"there is {other}, but of another {differing}")
        elif n_pairs or others:
            answers[file] = (status, f"no {other} of its task and run")
        elif {"eeg", "bold"} - {file.suffix} <= set(filtered):
            answers[file] = (status, f"the filters leave no {other}")
        else:
            answers[file] = (status, f"this participant has no {other}{_of_unknown_format(dataset, subject, other)}")
    return answers


def map_pairs(dataset: Path, subject: str, templates: Sequence[tuple[str, str]]) -> list[tuple[DataFile, DataFile]]:
    """Find the files that the user maps onto each other.

    Parameters
    ----------
    templates : sequence of (EEG, BOLD)
        Paths in the dataset; ``{subject}`` stands for the participant's label, any other name in braces for the same text
        on both sides: ``sub-{subject}/eeg/sub-{subject}_task-XON_run-{run}_eeg.vhdr``.

    Raises
    ------
    UsageError
        If the two sides have different names in braces, or a path is neither EEG nor BOLD.
    MissingFilesError
        If a file is there and the one it is mapped to is not.
    """
    pairs: list[tuple[DataFile, DataFile]] = []
    for eeg, bold in map(_checked, templates):
        for values in _matches(dataset, eeg, subject):
            a, b = (dataset / side.format(**values) for side in (eeg, bold))
            if not (b.exists() or b.is_symlink()):
                raise MissingFilesError(
                    f"{b}: expected as partner of {a.name} by [[pairs]], found none; correct the settings"
                )
            if any(b == other.path for _, other in pairs):
                raise UsageError(
                    f"[[pairs]]: expected one EEG for each BOLD, found two for {b.name}; correct the settings"
                )
            pairs.append((DataFile(a, "eeg", parse_entities(a.name)), DataFile(b, "bold", parse_entities(b.name))))
    return pairs


def refuse_idle_pairs(dataset: Path, templates: Sequence[tuple[str, str]]) -> None:
    """Refuse pairs of the settings that no participant has: a slip of the pen that would go unnoticed.

    Raises
    ------
    UsageError
        If no EEG file of the dataset matches one of the templates, or one is no template.
    """
    for eeg, _ in map(_checked, templates):
        if not any(dataset.glob(re.sub(r"{\w+}", "*", eeg))):
            raise UsageError(f"[[pairs]]: expected EEG such as {eeg!r} in {dataset}, found none; correct the settings")


def _checked(template: tuple[str, str]) -> tuple[str, str]:
    """Refuse what is no pair of templates."""
    eeg, bold = (side.removeprefix("./") for side in template)
    for side in (eeg, bold):
        if Path(side).is_absolute() or re.search(r"[{}*?]", re.sub(r"{\w+}", "", side)):
            raise UsageError(
                f"[[pairs]]: expected a path in the dataset, with names such as {{run}} in braces, found {side!r}; correct it"
            )
    if not eeg.endswith(EEG_EXTENSIONS) or not bold.endswith(BOLD_EXTENSIONS):
        raise UsageError(
            f"[[pairs]]: expected eeg = a path that ends in {', '.join(EEG_EXTENSIONS)} and bold = one that ends in "
            f"{', '.join(BOLD_EXTENSIONS)}, found {eeg!r} and {bold!r}; correct them"
        )
    names = [set(re.findall(r"{(\w+)}", side)) for side in (eeg, bold)]
    if names[0] != names[1]:
        raise UsageError(f"[[pairs]]: expected the same names in braces in {eeg!r} and {bold!r}; correct them")
    return eeg, bold


def _matches(dataset: Path, template: str, subject: str) -> list[dict[str, str]]:
    """Values of the names in braces for which the file exists, of this participant."""
    with_subject = template.replace("{subject}", subject)
    if not re.match(rf"sub-{re.escape(subject)}_", Path(with_subject).name):
        return []  # a path of somebody else, spelt out
    if "{" not in template and not (dataset / template).exists():
        raise MissingFilesError(f"{dataset / template}: expected by [[pairs]], found none; correct the settings")
    parts = re.split(r"({\w+})", with_subject)
    seen: set[str] = set()
    pattern = ""
    for part in parts:
        name = part[1:-1]
        if part.startswith("{"):
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>[^/_]+)"
            seen.add(name)
        else:
            pattern += re.escape(part)
    found = sorted(dataset.glob(re.sub(r"{\w+}", "*", with_subject)))
    matches = (re.fullmatch(pattern, path.relative_to(dataset).as_posix()) for path in found)
    return [{"subject": subject, **match.groupdict()} for match in matches if match]


# ---------------------------------------------------------------------------------------------------------------- names


def _key(file: DataFile, entities: Sequence[str]) -> tuple[str | int | None, ...]:
    return tuple(file.label(entity) for entity in entities)


def _without(files: Sequence[DataFile], file: DataFile) -> list[DataFile]:
    """Leave out a file, and the same recording in other formats."""
    return [f for f in files if _stem(f.path) != _stem(file.path)]


def _mapped_by_filters(entity: str, filters: Filters) -> bool:
    """The user asked for one label on each side, and not for the same."""
    nothing = object()
    eeg, bold = (filters.get(suffix, {}).get(entity, nothing) for suffix in ("eeg", "bold"))
    if eeg is nothing or bold is nothing or eeg == bold:
        return False
    return all(side is None or len(side) == 1 for side in (eeg, bold))  # type: ignore[arg-type]


def _one_format(files: Sequence[DataFile], proposal: Proposal) -> list[DataFile]:
    """Keep one file of a recording that is there in several formats, and one echo of a series."""
    extensions = (*EEG_EXTENSIONS, *BOLD_EXTENSIONS)
    of: dict[str, list[DataFile]] = {}
    for file in files:
        # By the name itself: pybids makes the same entities of names that it does not understand.
        of.setdefault(re.sub(r"_echo-[^_]+", "", str(_stem(file.path))), []).append(file)
    kept = []
    for same in of.values():
        # The second echo is the one that is closest to T2* of grey matter in the usual trains of three to five.
        echoes = sorted({f.label("echo") for f in same if f.label("echo") is not None}, key=str)
        echo = echoes[min(1, len(echoes) - 1)] if echoes else None
        chosen = min(
            (f for f in same if f.label("echo") == echo),
            key=lambda f: next(i for i, extension in enumerate(extensions) if f.name.endswith(extension)),
        )
        kept.append(chosen)
        if len(same) > 1:
            left = ", ".join(f.name for f in same if f is not chosen)
            proposal.copies.setdefault(chosen, []).append(f"not used, for it is the same recording: {left}")
    return kept


def _related(
    eeg: Sequence[DataFile], bold: Sequence[DataFile], keys: Sequence[str]
) -> list[tuple[list[DataFile], list[DataFile]]]:
    """Groups of EEG and BOLD whose entities differ only as people's do: connected parts of who could go with whom."""
    groups: list[tuple[list[DataFile], list[DataFile]]] = []
    for a, b in itertools.product(eeg, bold):
        if not _compatible(a, b, keys):
            continue
        touching = [g for g in groups if a in g[0] or b in g[1]]
        merged: tuple[list[DataFile], list[DataFile]] = ([], [])
        for group in [*touching, ([a], [b])]:
            for side, members in zip(merged, group, strict=True):
                side += [m for m in members if m not in side]
        groups = [g for g in groups if g not in touching] + [merged]
    return [(sorted(a, key=lambda f: f.name), sorted(b, key=lambda f: f.name)) for a, b in groups]


def _compatible(a: DataFile, b: DataFile, keys: Sequence[str]) -> bool:
    """Same session; tasks that are the same or go on with a suffix; run and acquisition the same or missing on one side."""
    for entity in keys:
        x, y = a.label(entity), b.label(entity)
        if x == y:
            continue
        if entity == "session":
            return False
        if entity == "task":
            long, short = sorted((str(x), str(y)), key=len, reverse=True)
            if None in (x, y) or not long.startswith(short):
                return False
        elif None not in (x, y):
            return False
    return True


def _difference(eeg: Sequence[DataFile], bold: Sequence[DataFile], keys: Sequence[str]) -> str:
    differing = [e for e in keys if {f.label(e) for f in eeg} != {f.label(e) for f in bold}]
    if not differing:
        return "several files with the same entities"
    return f"{' and '.join(differing)} {'differs' if len(differing) == 1 else 'differ'}"


def put_in_order(bold: Sequence[DataFile], times: Mapping[Path, datetime]) -> tuple[list[DataFile], bool]:
    """Sort series by when they were scanned, or by the number of their run; say whether that is known."""
    starts = {f: times[_stem(f.path)] for f in bold if _stem(f.path) in times}
    if len(starts) == len(bold) == len(set(starts.values())):
        return sorted(bold, key=lambda f: starts[f]), True
    runs = {f: run for f in bold if isinstance(run := f.label("run"), int)}
    alike = all(len({f.label(e) for f in bold}) == 1 for e in ("task", "acquisition", "direction", "reconstruction"))
    if alike and len(runs) == len(bold) == len(set(runs.values())):
        return sorted(bold, key=lambda f: runs[f]), True
    return list(bold), False


def _of_unknown_format(dataset: Path, subject: str, modality: str) -> str:
    """Mention EEG in a format that BIDS does not know, as some datasets keep it behind a .bidsignore."""
    if modality != "EEG":
        return ""
    found = [path.name for path in sorted(dataset.glob(f"sub-{subject}/**/eeg/*.mat")) if not path.name.startswith(".")]
    if not found:
        return ""
    return f" in a format of BIDS, but {found[0]}; convert it to BrainVision or EDF with a marker for each volume"


# ---------------------------------------------------------------------------------------------------------------- times


def _acquisition_times(dataset: Path, subject: str) -> dict[Path, datetime]:
    """Read acq_time of every file in the participant's scans.tsv; times that can't be true are left out."""
    times: dict[Path, datetime] = {}
    tables = [
        p for p in sorted(dataset.glob(f"sub-{subject}/**/sub-{subject}*_scans.tsv")) if not p.name.startswith(".")
    ]
    for path in tables:
        try:
            table = read_table(path)
        except Eeg2FmriError as error:
            logger.warning("%s; its times are not used", error)
            continue
        if not {"filename", "acq_time"} <= set(table.columns):
            continue
        for filename, text in zip(table.filename, table.acq_time, strict=True):
            try:
                time = datetime.fromisoformat(text)
            except ValueError:
                continue
            if time.time() != time.min.time():  # a date alone: the time was taken away
                times[_stem(path.parent / filename)] = time
    if all(time.tzinfo for time in times.values()):
        times = {path: time.astimezone(UTC) for path, time in times.items()}
    times = {path: time.replace(tzinfo=None) for path, time in times.items()}
    # One time for everything is what an anonymizer leaves.
    return times if len(set(times.values())) > 1 or len(times) <= 1 else {}


def _stem(path: Path) -> Path:
    """A path without its extensions: of BrainVision's three files any one may be listed."""
    return path.with_name(path.name.partition(".")[0])


def _start(eeg: DataFile, bold: DataFile, times: Mapping[Path, datetime]) -> float | None:
    a, b = _stem(eeg.path), _stem(bold.path)
    return (times[b] - times[a]).total_seconds() if a in times and b in times else None


def _gap(eeg: DataFile, bold: DataFile, times: Mapping[Path, datetime], duration_of) -> float | None:
    """Time in s between the end of one and the start of the other, negative where they overlap; None if unknown."""
    start = _start(eeg, bold, times)
    if start is None:
        return None
    return max(start - duration_of(eeg), -start - duration_of(bold))


def _overlapping(
    eeg: Sequence[DataFile], bold: Sequence[DataFile], times: Mapping[Path, datetime], duration_of
) -> list[tuple[DataFile, DataFile]]:
    """Pairs of files each of which overlaps with no other, by at least half of the shorter one."""
    overlaps = []
    for a, b in itertools.product(eeg, bold):
        gap_s = _gap(a, b, times, duration_of)
        if gap_s is not None and -gap_s >= 0.5 * min(duration_of(a), duration_of(b)):
            overlaps.append((a, b))
    return [(a, b) for a, b in overlaps if sum(a is x or b is y for x, y in overlaps) == 1]


def _in_words(seconds: float) -> str:
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.0f} days"
