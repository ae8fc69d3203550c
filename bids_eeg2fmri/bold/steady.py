"""How many volumes were scanned before the magnetization was steady."""

import numpy as np

# Later ones are never taken for it: at the usual repetition times it is steady after some seconds.
LONGEST_S = 15.0
# Of the spread of the volumes that follow: a change of a percent is seen, the noise of a volume is not.
LEAST_DEVIATIONS = 5.0
LEAST_PERCENT = 1.0


def count_unsteady(course: np.ndarray, *, tr_s: float) -> int:
    """Count the volumes at the start that are brighter than all that follow could be by chance.

    Before the magnetization is steady, each excitation finds more of it than the next: the first volumes are bright and fall
    off. Nothing but an uninterrupted stretch from the first volume on counts.

    Parameters
    ----------
    course : array of shape (volumes,)
        Mean intensity of the brain.
    tr_s : float

    Examples
    --------
    >>> count_unsteady(np.array([140.0, 109.0, *(100 + np.tile([0.2, -0.2], 20))]), tr_s=2.0)
    2
    """
    most = min(int(np.ceil(LONGEST_S / tr_s)), len(course) // 4)
    # What comes later has drifted away from the start: the next minute or so is what the first volumes are compared with.
    later = course[most : max(5 * most, most + 20)]
    if not most or len(later) < 10:
        return 0
    middle = float(np.median(later))
    spread = 1.4826 * float(np.median(np.abs(later - middle)))
    bright = course[:most] - middle > max(LEAST_DEVIATIONS * spread, 0.01 * LEAST_PERCENT * middle)
    return int(np.argmin(bright)) if not bright.all() else most
