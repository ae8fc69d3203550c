"""The unit that a prediction from elsewhere is in, and what it predicts to change."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bids_eeg2fmri.bold.grid import Grid, percent_change

Unit = Literal["intensity", "percent", "other"]

# A voxel whose mean is a smaller share of the median is no brain in the prediction: percent of next to nothing is any number.
LEAST_BRAIN = 0.1
# What is left of a background by interpolation may lie this far below 0, as a share of the brightest; z-scores lie lower.
DARKEST = -0.05


def unit_of(predictions: Sequence[np.ndarray], grid: Grid) -> Unit:
    """Tell intensities from what has no zero of its own: z-scores and the like have a background, or a mean, below 0.

    Parameters
    ----------
    predictions : sequence of arrays of shape (x, y, z, volumes)
        Whole volumes.
    grid : Grid
        With the voxels that are judged.

    Returns
    -------
    str
        "intensity" or "other"; percent signal change can't be told from others by its looks.
    """
    for prediction in predictions:
        mean = np.nan_to_num(prediction.mean(-1, dtype=np.float64))
        darkest, brightest = np.percentile(mean, [1, 99])
        within = mean[grid.mask]
        middle = np.median(within)
        if middle <= 0 or darkest < DARKEST * brightest or np.mean(within < LEAST_BRAIN * middle) > 0.5:
            return "other"
    return "intensity"


def changes_of(
    predicted: Sequence[np.ndarray],
    blocks: Sequence[np.ndarray],
    measured: Sequence[np.ndarray],
    unit: Unit,
    notes: list[str],
) -> tuple[list[np.ndarray], bool]:
    """Give what is predicted as change from its own mean over time.

    Nothing that the measurement says of changes has a part in it. In an "other" unit all runs are multiplied by one number
    that gives the predicted mean image the contrast of the measured one: r is the same without it, a constant image is told by it,
    and skill, which would come from the measurement then, is not to be taken from it.

    Parameters
    ----------
    predicted, measured : sequences of arrays of shape (volumes, voxels)
        Run by run.
    blocks : sequence of arrays of shape (volumes,)
        -1 where nothing was predicted; the change is 0 there.
    unit : str
    notes : list of str
        Is told what was taken for granted.

    Returns
    -------
    changes : list of arrays of shape (volumes, voxels)
        In percent, unless the unit is "other".
    amplitude_known : bool
        Whether their size can be compared with that of the measured changes.
    """
    runs = list(zip(predicted, blocks, strict=True))
    means = [table[block >= 0].mean(0, dtype=np.float64) for table, block in runs]
    if unit == "intensity":
        brains = [mean >= LEAST_BRAIN * np.median(mean) for mean in means]
        n_outside = max(int(np.sum(~brain)) for brain in brains)
        if n_outside:
            notes.append(
                f"{n_outside} of {len(means[0])} voxels of the mask hold no brain in the prediction: taken as no change predicted"
            )
        changes = [
            np.where(brain & (block >= 0)[:, None], percent_change(table, np.where(brain, mean, 1)), 0)
            for (table, block), mean, brain in zip(runs, means, brains, strict=True)
        ]
        return [change.astype(np.float32) for change in changes], True
    changes = [
        np.where((block >= 0)[:, None], table - mean, 0).astype(np.float32)
        for (table, block), mean in zip(runs, means, strict=True)
    ]
    if unit == "percent":
        return changes, True
    notes.append(
        "the prediction has no unit that percent signal change can be computed from (its mean is not above 0 everywhere): it is "
        "judged by r alone, for its scale could only be taken from the measurement; if it is percent signal change, pass "
        "--unit percent"
    )
    n_judged = sum(int(np.sum(block >= 0)) for block in blocks)
    spread = float(np.sqrt(sum(np.square(c, dtype=np.float64).sum() for c in changes) / (n_judged * len(means[0]))))
    contrast = float(np.mean([mean.std() for mean in means]))
    if spread <= 1e-6 * max(float(np.abs(mean).max()) for mean in means):  # rounding of single precision
        return [np.zeros_like(change) for change in changes], True
    if contrast <= spread:
        # Standardized voxel by voxel: nothing tells how large the changes are.
        return [(change / spread).astype(np.float32) for change in changes], False
    of_measured = np.mean([100 * table.mean(0).std() / table.mean() for table in measured])
    return [(change * (of_measured / contrast)).astype(np.float32) for change in changes], True
