"""The BOLD of a recording: what was done to it, and how well."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bids_eeg2fmri.reports.figures import GREY, INK, ORANGE, Picture, blank, picture
from bids_eeg2fmri.reports.wording import count, number

# Framewise displacement that is usually taken for too much, in mm.
MUCH_MM = 0.5


def describe_bold(done: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what was done to a series before it was used: (what is asked, answer); steps that are unknown are left out."""
    space = str(done.get("space", "native"))
    where = "its own space" if space == "native" else f"the space {space}"
    if done.get("pipeline"):
        rows = [("Series", f"as {done['pipeline']} made it, in {where}: {done.get('file')}")]
    else:
        rows = [("Series", "as recorded" + ("" if space == "native" else f", normalized to {where}"))]
    n_unsteady, n_left_out = int(done.get("n_unsteady", 0)), int(done.get("n_left_out", 0))
    rows.append(("Before the steady state", f"{count(n_unsteady, 'volume')} left out" if n_unsteady else "no volume"))
    if n_left_out > n_unsteady:
        rows.append(("Scrubbed", f"{count(n_left_out - n_unsteady, 'volume')} left out for the motion of the head"))
    if done.get("motion"):
        rows.append(("Motion of the head", _motion(done["motion"])))
    if done.get("normalization"):
        before, after = done["normalization"]["overlap"]
        rows.append(
            (
                "Normalization",
                f"overlap with the template\N{RIGHT SINGLE QUOTATION MARK}s brain (Dice) {number(before)} by the affine part, "
                f"{number(after)} with the deformation; 1 is perfect, and below 0.9 the figure of the brain deserves a look",
            )
        )
    if done.get("slice_timing_corrected"):
        rows.append(("Slice timing", "corrected by the pipeline"))
    if done.get("n_confounds"):
        n = count(int(done["n_confounds"]), "confound")
        rows.append(("Confounds", f"{n} (strategy {done['confounds']}) left out of training and of all scores"))
    else:
        rows.append(
            ("Confounds", "none left out; the baseline that knows the nuisance only tells what they could explain")
        )
    if done.get("smoothing_fwhm_mm"):
        rows.append(
            ("Smoothing", f"{number(done['smoothing_fwhm_mm'], 1)} mm full width at half maximum, within the brain")
        )
    if done.get("tsnr"):
        before, after = done["tsnr"]
        rows.append(
            (
                "Signal to noise",
                f"mean over standard deviation in time, median voxel: {number(before, 0)} as recorded, {number(after, 0)} as used"
                if before is not None
                else f"mean over standard deviation in time, median voxel: {number(after, 0)}",
            )
        )
    return rows


def _motion(motion: Mapping[str, Any]) -> str:
    course = np.array(motion["framewise_mm"], dtype=float)
    n_much = int(np.sum(course > MUCH_MM))
    mean_mm = number(motion["framewise_mm_mean"])
    return (
        f"up to {number(motion['farthest_mm'], 1)} mm from where it was; from volume to volume {mean_mm} mm "
        f"on average, more than {MUCH_MM:g} mm {count(n_much, 'time')}; "
        + ("realigned" if motion["realigned"] else "left where it is, for interpolation would blur more than it mends")
    )


def draw_motion(done: Mapping[str, Any], tr_s: float) -> Picture:
    """Show how far the head moved from each volume to the next."""
    course = np.array(done["motion"]["framewise_mm"], dtype=float)
    times = tr_s * np.arange(len(course))
    with blank(2.2) as figure:
        axes = figure.subplots()
        axes.plot(times, course, color=INK, linewidth=1.0, rasterized=len(course) > 1000)
        axes.axhline(MUCH_MM, color=ORANGE, linewidth=1.0, linestyle=(0, (4, 2)))
        axes.axvspan(-0.5 * tr_s, (done["n_unsteady"] - 0.5) * tr_s, color=GREY, alpha=0.3, linewidth=0)
        axes.set_ylim(0, 1.1 * max(float(course.max()), MUCH_MM))
        axes.set_xlim(times[0] - 0.5 * tr_s, times[-1] + 0.5 * tr_s)
        axes.set_xlabel("time from the first volume (s)")
        axes.set_ylabel("moved (mm)")
        return picture(
            figure,
            alt=f"Framewise displacement of {count(len(course), 'volume')}: {number(course.mean())} mm on average, "
            f"{number(course.max(), 1)} mm at most, {count(int(np.sum(course > MUCH_MM)), 'time')} above {MUCH_MM:g} mm.",
            caption="Framewise displacement of the head as recorded: changes of position and, at 50 mm, of rotation, added up. "
            f"Dashed: {MUCH_MM:g} mm, above which a volume is usually taken for spoilt. Motion spoils the EEG at the same times.",
        )
