"""Where EEG channels are: measured positions, as far as they can be true; else those of their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from bids_eeg2fmri.eeg.bad_channels import CENTER_M

Position = Sequence[float] | None

# From the center of a head to its electrodes.
NEAREST_M, FARTHEST_M = 0.05, 0.15
# Distances are told along a head of this radius, whatever the size of the one that was measured.
RADIUS_MM = 90.0
# From where the names put the typical electrode. Caps that were measured, or are those of other templates, differ by 10 to 20 mm
# in the head frame; coordinates of an MRI, or around the center of a sphere, by 35 to 45, turned ones by more than 100.
FARTHEST_FROM_NAME_MM = 30.0
# Electrodes that it takes to doubt the rest of a table, or to tell a common reference.
FEWEST = 4

# Electrodes that have been renamed.
_RENAMED = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
# What stands behind an electrode in the name of a channel and is the reference of all.
_REFERENCES = {
    "A1",
    "A2",
    "M1",
    "M2",
    "A1A2",
    "M1M2",
    "A12",
    "M12",
    "REF",
    "LE",
    "RE",
    "LER",
    "AVG",
    "AVE",
    "AV",
    "AR",
    "CAR",
}
_REFERENCES |= {"EAR", "CLE", "COM"}
_GLUED = re.compile(r"(?<=[0-9Z])(A[12]|M[12]|REF|LE|AVG)$")
# Caps that count through the alphabet, as BioSemi's and EGI's do: their C3 or F4 is none of the 10-10 system.
_COUNTED = re.compile(r"[A-H]\d+")
_COUNTED_ALONE = re.compile(r"[BDGH]\d+|[AE]([3-9]|\d\d+)")  # E1 and E2 are eyes in sleep


@dataclass(frozen=True)
class Places:
    """Where channels are.

    Attributes
    ----------
    positions_m : list of (x, y, z) or None
        One for each channel, in m in the head frame: to the right, front and top, the origin between the ears.
    by_name : tuple of str
        Channels that are where the template of the 10-10 system has their names.
    remark : str
        Why measured positions were not believed; empty where they were.
    """

    positions_m: list[list[float] | None]
    by_name: tuple[str, ...] = ()
    remark: str = ""


def find_electrodes(names: Sequence[str]) -> dict[str, str]:
    """Tell of which electrode of the 10-05 system each channel is; channels that are of none are left out.

    Whatever the case, the decoration, and the reference that the name tells. A channel between two electrodes is of none, unless
    the second is that of most channels.

    Parameters
    ----------
    names : sequence of str
        All EEG channels of a recording: what a name means depends on the others.

    Examples
    --------
    >>> find_electrodes(["FP1", "EEG T3-Ref", "Fc5..", "C3-P3", "ECG"])
    {'FP1': 'Fp1', 'EEG T3-Ref': 'T7', 'Fc5..': 'FC5'}
    """
    parts = {name: _parts(name) for name in names}
    seconds = [part[1] for part in parts.values() if len(part) == 2]
    shared = {second for second in seconds if 2 * seconds.count(second) > max(len(names), FEWEST)}
    counted = any(_COUNTED_ALONE.fullmatch(part[0]) for part in parts.values() if part)
    electrodes = {}
    for name, (first, *rest) in ((name, part) for name, part in parts.items() if part):
        electrode = _by_upper_case().get(_RENAMED.get(first, first))
        if electrode is None or not set(rest) <= _REFERENCES | shared:
            continue
        # M1-M2 is between two references.
        if (counted and _COUNTED.fullmatch(first)) or (first in _REFERENCES and rest):
            continue
        electrodes[name] = electrode
    return electrodes


def is_between_electrodes(name: str, electrodes: dict[str, str]) -> bool:
    """Tell whether a channel is the difference of two electrodes, such as Fp1-F7: it is at no place."""
    known = _by_upper_case().keys() | _RENAMED.keys() | _REFERENCES
    return name not in electrodes and sum(part in known for part in _parts(name)) > 1


def place_channels(names: Sequence[str], measured_m: Sequence[Position]) -> Places:
    """Place channels where they were measured, as far as that can be true; else where their names are on a template.

    Parameters
    ----------
    names : sequence of str
        All EEG channels of a recording.
    measured_m : sequence of (x, y, z) or None
        One for each channel, in m in the head frame.
    """
    electrodes = find_electrodes(names)
    named = {name: place_of(electrode) for name, electrode in electrodes.items()}
    known = {
        name: np.asarray(xyz, dtype=float)
        for name, xyz in zip(names, measured_m, strict=True)
        if xyz is not None and np.isfinite(xyz).all() and not is_between_electrodes(name, electrodes)
    }
    good = {name: xyz for name, xyz in known.items() if NEAREST_M <= _from_center(xyz) <= FARTHEST_M}
    both = [name for name in good if name in named]
    remark = ""
    if len(good) < len(known) / 2:
        farthest_mm = 1000 * max(map(_from_center, known.values()))
        remark = (
            f"{len(known) - len(good)} of {len(known)} are not on a head (up to {farthest_mm:.3g} mm from its center)"
        )
    elif len(good) >= FEWEST and max(np.ptp(list(good.values()), axis=0)) < NEAREST_M:
        remark = f"all {len(good)} are at nearly the same place"
    elif len(both) >= FEWEST:
        off_mm = float(np.median([distance_mm(good[name], named[name]) for name in both]))
        if off_mm > FARTHEST_FROM_NAME_MM:
            remark = f"they are {off_mm:.0f} mm from where their names are"
    if remark:
        good = {}
    positions = {name: good.get(name, named.get(name)) for name in names}
    return Places(
        [None if xyz is None else np.round(xyz, 5).tolist() for xyz in positions.values()],
        tuple(name for name in names if name in named and name not in good),
        remark,
    )


def place_of(electrode: str) -> np.ndarray:
    """Give x, y, z in m in the head frame of an electrode on MNE's template of the 10-05 system."""
    return _template()[electrode]


def distance_mm(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Measure along a head of 90 mm radius; how large the measured head is does not matter.

    Examples
    --------
    >>> round(distance_mm((0, 0, 0.13), (0, 0.11, 0.04)))  # a quarter of the way around
    141
    """
    one, other = (np.asarray(xyz) - CENTER_M for xyz in (a, b))
    cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    return float(RADIUS_MM * np.arccos(np.clip(cosine, -1, 1)))


def _from_center(xyz: np.ndarray) -> float:
    return float(np.linalg.norm(xyz - CENTER_M))


def _parts(name: str) -> list[str]:
    """Split "EEG Fp1-Ref" into FP1 and REF; numbers by themselves count channels."""
    text = re.sub(r"^EEG", "", name.upper())
    parts = [part for part in re.split(r"[^0-9A-Z]+", text) if part and not part.isdecimal()]
    return [piece for part in parts for piece in _GLUED.sub(r"-\1", part).split("-")]


@cache
def _template() -> dict[str, np.ndarray]:
    import mne
    from mne.channels.montage import transform_to_head

    positions = transform_to_head(mne.channels.make_standard_montage("colin27_1005")).get_positions()["ch_pos"]
    # The ears are not on the scalp, and A1 and A2 are the first electrodes of caps that count.
    return {name: xyz for name, xyz in positions.items() if name not in ("A1", "A2", *_RENAMED)}


@cache
def _by_upper_case() -> dict[str, str]:
    return {name.upper(): name for name in _template()}
