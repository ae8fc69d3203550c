"""The slice viewer: measured and synthesized BOLD under one cursor, packed small enough to lie inside the page."""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bold.drift import drift_regressors
from bids_eeg2fmri.bold.grid import Grid, percent_change
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.evaluation.metrics import residual_maker
from bids_eeg2fmri.reports.wording import count, number

# Of all viewers of a page before compression and base64, which together leave its size about the same or a fifth larger.
BUDGET_BYTES = 1_200_000
# Of a page: with more, each would have too few bytes to show more than lobes.
MOST_VIEWERS = 3
# Averages up to here cost little: the hemodynamic response and the usual smoothing are wider.
_HARMLESS_MM, _HARMLESS_S = 6.0, 4.0
_NEEDED = ("samples", "synthesized", "volumes")


@dataclass(frozen=True)
class Viewer:
    """What the page needs of one recording.

    Attributes
    ----------
    data : str
        JSON of numbers for ``viewer.js``: shape and affine of the blocks, times in s, s from one to the next, ends of the
        color scales in %, and ``packed``: base64 of the zlib stream of, one after the other, for measured and then
        synthesized the step of each block (float32, %), the same for its course (int8, in steps, block by block), and
        the mask (uint8, C order).
    caption : str
        What is shown, and what was averaged.
    """

    data: str
    caption: str


@dataclass(frozen=True)
class Script:
    """The one script that a page may run.

    Attributes
    ----------
    text : str
    source : str
        By which the page's Content-Security-Policy recognizes it.
    """

    text: str
    source: str


def viewer_script() -> Script:
    """Read the script of the viewer."""
    text = (resources.files("bids_eeg2fmri.reports") / "templates" / "viewer.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(text, f"'sha256-{digest}'")


def viewers_of(
    derivatives: Derivatives, recordings: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> list[Viewer | None]:
    """Make the viewers of a page, one per recording, that share its budget.

    Parameters
    ----------
    settings : mapping
        Those of the summary: slow changes are told from them.
    """
    period_s = settings.get("bold", {}).get("drift_period_s")
    able = [all(kind in entry.get("files", {}) for kind in _NEEDED) for entry in recordings]
    share = BUDGET_BYTES // max(1, min(sum(able), MOST_VIEWERS))
    viewers: list[Viewer | None] = []
    for entry in recordings:
        full = sum(viewer is not None for viewer in viewers) == MOST_VIEWERS
        viewers.append(None if full else viewer_of(derivatives, entry, budget_bytes=share, drift_period_s=period_s))
    return viewers


def viewer_of(
    derivatives: Derivatives,
    entry: Mapping[str, Any],
    *,
    budget_bytes: int = BUDGET_BYTES,
    drift_period_s: float | None = None,
) -> Viewer | None:
    """Make the viewer of a recording; None where measurement and synthesis are not on one grid, or one is missing.

    Parameters
    ----------
    entry : mapping
        The recording in the summary, with its ``files``.
    budget_bytes : int
        Voxels and volumes are averaged until the numbers of both sides fit.
    drift_period_s : float, optional
        Slower changes are removed, as for the scores; default: that of the settings.
    """
    sides = _read_sides(derivatives, entry.get("files", {}))
    if sides is None:
        return None
    places, affine = _canonical(sides.mask, sides.affine)
    zooms_mm = np.linalg.norm(affine[:3, :3], axis=0)
    factors, together = _choose_blocks(places, zooms_mm, sides.tr_s, len(sides.use), budget_bytes)
    shape = places.max(axis=0) // factors + 1
    where, block = np.unique(np.ravel_multi_index((places // factors).T, shape), return_inverse=True)
    mask = np.zeros(int(np.prod(shape)), dtype=np.uint8)
    mask[where] = 1
    to_mm = affine @ np.diag([*factors, 1.0])
    to_mm[:3, 3] += affine[:3, :3] @ ((factors - 1) / 2)  # the center of a block

    _, first, size = np.unique(np.flatnonzero(sides.use) // together, return_index=True, return_counts=True)
    courses = [
        np.add.reduceat(course, first, axis=1) / size
        for course in sides.courses(block, drift_period_s or Settings().bold.drift_period_s)
    ]
    times_s = np.add.reduceat((sides.onsets_s - sides.onsets_s[0])[sides.use], first) / size
    told = {
        "shape": shape.tolist(),
        "affine": np.round(to_mm, 3).tolist(),
        "times": np.round(times_s, 2).tolist(),
        "step_s": together * sides.tr_s,
        "limits": [_round_up(float(np.percentile(np.abs(course), 99))) for course in courses],
        "packed": base64.b64encode(zlib.compress(_pack(courses) + mask.tobytes(), 9)).decode(),
    }
    return Viewer(json.dumps(told, allow_nan=False), _caption(factors, zooms_mm, together, sides.tr_s, affine))


@dataclass(frozen=True)
class _Sides:
    """Both sides of a recording, where both are known.

    Attributes
    ----------
    measured, synthesized : arrays of shape (voxels, volumes that were synthesized)
        In percent.
    mask, affine : arrays
        Where the voxels lie, in C order.
    use : array of bool, shape (volumes,)
        Which volumes were synthesized.
    folds : array of shape (volumes that were synthesized,)
    onsets_s : array of shape (volumes,)
    """

    measured: np.ndarray
    synthesized: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    tr_s: float
    use: np.ndarray
    folds: np.ndarray
    onsets_s: np.ndarray

    def courses(self, block: np.ndarray, drift_period_s: float) -> list[np.ndarray]:
        """Average each side over blocks, given the block of each voxel; take out what neither is judged by."""
        from scipy.sparse import csr_array

        drift = drift_regressors(len(self.use), tr_s=self.tr_s, shortest_period_s=drift_period_s)[self.use]
        constants = self.folds[:, None] == np.unique(self.folds)
        q = residual_maker(np.hstack([drift, constants])).astype(np.float32)
        weights = (1 / np.bincount(block))[block].astype(np.float32)
        mean = csr_array((weights, (block, np.arange(len(block)))))
        means = [mean @ side for side in (self.measured, self.synthesized)]
        return [course - (course @ q) @ q.T for course in means]


def _read_sides(derivatives: Derivatives, files: Mapping[str, str]) -> _Sides | None:
    import nibabel as nib

    if not all(kind in files and (derivatives.root / files[kind]).is_file() for kind in _NEEDED):
        return None
    samples = derivatives.read_samples(files["samples"], leave_out=("power",))
    if "change" not in samples:
        return None
    series = nib.load(derivatives.root / files["synthesized"])
    # The stored integers, for the whole series in double precision may not fit into memory. Their scale factor cancels in
    # a percentage.
    stored = series.dataobj.get_unscaled()
    inside = stored.max(axis=3) > 0
    if not Grid(samples["mask"], samples["affine"]).same_as(Grid(inside, series.affine)):
        return None
    volumes = pd.read_csv(derivatives.root / files["volumes"], sep="\t", na_values="n/a")
    use, mask = volumes["synthesized"].to_numpy(dtype=bool), samples["mask"] & inside
    if not mask.any() or use.sum() < 3:
        return None
    synthesized = stored[mask][:, use].T.astype(np.float32)
    return _Sides(
        measured=samples["change"][np.ix_(use, mask[samples["mask"]])].T,
        synthesized=percent_change(synthesized, synthesized.mean(axis=0)).T,
        mask=mask,
        affine=samples["affine"],
        tr_s=float(samples["tr_s"]),
        use=use,
        folds=volumes["fold"].fillna(0).to_numpy()[use],  # a saved model has none: one block
        onsets_s=volumes["onset"].to_numpy(dtype=float),
    )


def _canonical(mask: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn and crop a grid so that its axes run to the right, the front and the top, or nearly so.

    Returns
    -------
    places : array of int, shape (voxels, 3)
        Where each voxel of the mask (in its C order) lies in the new grid.
    affine : array of shape (4, 4)
        Of the new grid.
    """
    import nibabel as nib

    turn = nib.orientations.io_orientation(affine)
    places = np.argwhere(mask)
    turned = np.empty_like(places)
    for axis, (target, direction) in enumerate(turn.astype(int)):
        turned[:, target] = places[:, axis] if direction > 0 else mask.shape[axis] - 1 - places[:, axis]
    affine = affine @ nib.orientations.inv_ornt_aff(turn, mask.shape)
    low = turned.min(axis=0)
    affine[:3, 3] += affine[:3, :3] @ low
    return turned - low, affine


def _choose_blocks(
    places: np.ndarray, zooms_mm: np.ndarray, tr_s: float, n_volumes: int, budget_bytes: int
) -> tuple[np.ndarray, int]:
    """Choose how many voxels along each axis, and how many volumes, one number stands for.

    Of what fits the budget, that which coarsens least beyond what a hemodynamic response blurs anyway. Blocks grow along
    the axis where they are then still shortest, and rather upright: axial slices keep their sharpness longest.
    """
    factors, tried = np.ones(3, dtype=int), []
    while True:
        blocks = np.zeros(places.max(axis=0) // factors + 1, dtype=bool)
        blocks[tuple((places // factors).T)] = True
        n_times = budget_bytes // (2 * np.count_nonzero(blocks)) - 4  # a step takes as much as four values
        if n_times > 0:
            together = int(np.ceil(n_volumes / n_times))
            block_mm = float((factors * zooms_mm).prod() ** (1 / 3))
            rank = max(1.0, block_mm / _HARMLESS_MM) * max(1.0, together * tr_s / _HARMLESS_S)
            tried.append((rank, block_mm, factors.copy(), together))
            if together == 1:
                break
        factors[np.argmin((factors + 1) * zooms_mm * (1.1, 1.1, 1.0))] += 1
    _, _, factors, together = min(tried, key=lambda choice: choice[:2])
    return factors, together


def _pack(courses: Sequence[np.ndarray]) -> bytes:
    """Write courses (blocks, times) as whole numbers of steps, with a step for each block.

    With one step for all, a moving voxel at the edge of the brain would leave the others, and a prediction that is small
    by nature, a handful of numbers.
    """
    steps, counted = [], []
    for course in courses:
        most = np.abs(course).max(axis=1)
        # Less is rounding; blown up to full range, a prediction of no change would get an r.
        step = np.where(most > 1e-3, most / 127, 0).astype("<f4")
        steps.append(step)
        counted.append(np.rint(course / np.where(step > 0, step, np.inf)[:, None]).astype(np.int8))
    return b"".join(array.tobytes() for array in (*steps, *counted))


def _round_up(value: float) -> float:
    """Round to the next number of two digits, for a scale."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.6g}")


def _caption(factors: np.ndarray, zooms_mm: np.ndarray, together: int, tr_s: float, affine: np.ndarray) -> str:
    size = " by ".join(number(mm, 0 if abs(mm - round(mm)) < 0.05 else 1) for mm in factors * zooms_mm)
    if factors.max() == 1 and together == 1:
        shown = f"Every voxel ({size} mm) and volume."
    else:
        place = f"{'blocks' if factors.max() > 1 else 'voxels'} of {size} mm"
        span = f"{count(together, 'volume')} ({number(together * tr_s, 1)} s)"
        when = f"means of {span}" if together > 1 else "every volume"
        shown = f"To keep the page small: {place}, {when}; their r is not that of single voxels and volumes."
    cosines = np.abs(np.diag(affine[:3, :3] / zooms_mm))
    tilt = float(np.degrees(np.arccos(np.clip(cosines, 0, 1)).max()))
    tilted = (
        f" Slices follow the axes of the image, which are tilted by up to {number(tilt, 0)} degrees: the sliders tell x, y and z "
        "in its middle, the text at the cursor."
    )
    return (
        "Percent signal change; slow drifts and the mean of each held-out block are removed from both sides. "
        f"{shown} Left in the picture is left in the head (neurological view); x, y, z: mm to the right, front and top; time: "
        f"from the first volume.{tilted if tilt > 1 else ''} The synthesized row has its own color scale, for a prediction is "
        "smaller by nature. Among so many places some agree by luck: the verdict is what counts."
    )
