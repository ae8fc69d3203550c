"""Pictures of heads and brains: power over the scalp, the mask, and where synthesized and measured BOLD agree."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_eeg2fmri.reports.figures import INK, ORANGE, Picture, blank, picture
from bids_eeg2fmri.reports.wording import count, number, percent

if TYPE_CHECKING:
    import nibabel as nib

BANDS_HZ = {"theta": (4, 7), "alpha": (8, 12), "beta": (13, 30)}
# From this on, a color hides the brain below it.
OPAQUE_R = 0.3
_CUTS = 4


def draw_topographies(spectrum: Mapping[str, Any]) -> Picture | None:
    """Show the power of some bands over the scalp; None if too few positions are known."""
    positions = spectrum.get("positions_m") or []
    known = [i for i, xyz in enumerate(positions) if xyz is not None]
    places = np.array([positions[i] for i in known], dtype=float).reshape(-1, 3)
    if len(known) < 5 or len(np.unique(places.round(4), axis=0)) < len(known):
        return None
    freqs = np.array(spectrum["freqs_hz"], dtype=float)
    power = np.array(spectrum["mean_db"], dtype=float)[known] + 120
    bands = {name: (freqs >= low - 0.5) & (freqs <= high + 0.5) for name, (low, high) in BANDS_HZ.items()}
    bands = {name: inside for name, inside in bands.items() if inside.any()}
    if not bands:
        return None

    import mne

    names = [str(spectrum["channels"][i]) for i in known]
    center, radius = _fit_head(places)
    montage = mne.channels.make_dig_montage(dict(zip(names, places - center, strict=True)), coord_frame="head")
    info = mne.create_info(names, 100.0, "eeg", verbose="error").set_montage(montage, verbose="error")
    told = []
    with blank(2.75, layout=None) as figure:
        for column, (name, inside) in enumerate(bands.items()):
            values = power[:, inside].mean(axis=1)
            left = (column + 0.5) / len(BANDS_HZ)
            figure.text(left, 0.96, f"{name}, {BANDS_HZ[name][0]} to {BANDS_HZ[name][1]} Hz", ha="center", va="top")
            axes = figure.add_axes((left - 0.155, 0.29, 0.31, 0.6))
            image, _ = mne.viz.plot_topomap(
                values, info, axes=axes, show=False, cmap="viridis", contours=4, sphere=(0.0, 0.0, 0.0, radius), res=96
            )
            for outline in axes.lines:
                outline.set_color(INK)
            bar = figure.colorbar(
                image, cax=figure.add_axes((left - 0.12, 0.235, 0.24, 0.03)), orientation="horizontal"
            )
            bar.ax.locator_params(nbins=3)
            bar.outline.set_visible(False)
            bar.set_label("dB re 1 µV²/Hz", fontsize=9.5)
            told.append(
                f"{name} is strongest at {names[int(values.argmax())]} and weakest at {names[int(values.argmin())]}"
            )
        return picture(
            figure,
            alt=f"Head maps of EEG power at {count(len(names), 'channel')}: {'; '.join(told)}.",
            caption="Mean power over the scalp, seen from above, nose up; each map has its own scale.",
            pixels=True,
        )


def draw_mask(template: "nib.Nifti1Image", mask: "nib.Nifti1Image") -> Picture:
    """Show the outline of the mask over the mean image."""
    from nilearn import plotting

    inside = np.asarray(mask.dataobj) > 0
    volume_ml = inside.sum() * abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    with blank(4.5, layout=None) as figure:
        for direction, cuts, axes in _rows(mask, bottom=0.0):
            display = plotting.plot_anat(
                template, display_mode=direction, cut_coords=cuts, figure=figure, axes=axes, annotate=False,
                draw_cross=False, colorbar=False, black_bg=False, dim=0, threshold=1e-6,
            )  # fmt: skip
            display.add_contours(mask, levels=[0.5], colors=[ORANGE], linewidths=1.2)
            _label(display, direction)
        return picture(
            figure,
            alt=f"Slices through the mean image with the outline of the brain mask: {count(int(inside.sum()), 'voxel')}, "
            f"{number(volume_ml, 0)} ml.",
            caption=f"Mask (outline) over the mean image, of which only the inside is stored: {inside.sum():,} voxels, "
            f"{number(volume_ml, 0)} ml. An adult's mask usually has 1200 to 2000 ml.",
            pixels=True,
        )


def draw_r_map(
    template: "nib.Nifti1Image", r_map: "nib.Nifti1Image", mask: "nib.Nifti1Image", *, limit: float
) -> Picture:
    """Show where synthesized and measured BOLD agree over time.

    Parameters
    ----------
    limit : float
        r at the ends of the color scale, the same for all recordings of a participant.
    """
    import nibabel as nib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from nilearn import plotting

    r = np.asarray(r_map.dataobj, dtype=np.float32)
    inside = r[np.asarray(mask.dataobj) > 0]
    strength = nib.Nifti1Image(np.abs(r), r_map.affine)
    with blank(5.1, layout=None) as figure:
        for direction, cuts, axes in _rows(mask, bottom=0.12):
            display = plotting.plot_stat_map(
                r_map, bg_img=template, display_mode=direction, cut_coords=cuts, figure=figure, axes=axes, annotate=False,
                draw_cross=False, colorbar=False, black_bg=False, dim=-0.8, cmap="RdBu_r", vmin=-limit, vmax=limit,
                transparency=strength, transparency_range=[0, OPAQUE_R], resampling_interpolation="nearest",
            )  # fmt: skip
            _label(display, direction)
        scale = figure.add_axes((0.2, 0.085, 0.6, 0.022))
        figure.colorbar(ScalarMappable(Normalize(-limit, limit), "RdBu_r"), cax=scale, orientation="horizontal")
        scale.set_xlabel("r over time, synthesized against measured")
        quartiles = np.percentile(inside, [25, 50, 75])
        return picture(
            figure,
            alt=f"Slices through the brain, colored by r of synthesized and measured BOLD. Over {count(len(inside), 'voxel')} "
            f"r is {number(quartiles[1])} in the median, {number(quartiles[0])} to {number(quartiles[2])} in the middle half, "
            f"{number(inside.max())} at most; above {OPAQUE_R} in {percent((inside > OPAQUE_R).mean())} of them.",
            caption=f"No threshold: the nearer r is to 0, the more transparent the color; from ±{OPAQUE_R} on it is opaque. "
            "Slices lie evenly through the brain and are not chosen by their values. Coordinates in mm in the space of "
            "the image.",
            pixels=True,
        )


def background(series: "nib.Nifti1Image", mask: "nib.Nifti1Image") -> "nib.Nifti1Image":
    """Give an image, or the first volume of a series, with its extreme voxels toned down, as something to draw on."""
    import nibabel as nib

    # One volume is enough; the whole series may not fit into memory.
    volume = np.asarray(series.dataobj[..., 0] if series.ndim == 4 else series.dataobj, dtype=np.float32)
    inside = np.asarray(mask.dataobj) > 0
    darkest, brightest = np.percentile(volume[inside], [2, 99])
    return nib.Nifti1Image(np.where(inside, np.clip(volume, darkest, brightest), 0).astype(np.float32), series.affine)


def limit_of(r_maps: Sequence["nib.Nifti1Image"]) -> float:
    """Give the ends of a color scale that serves all maps: never so narrow that noise looks like a finding."""
    largest = max((float(np.percentile(np.abs(np.asarray(m.dataobj)), 99.9)) for m in r_maps), default=0.0)
    return float(np.clip(np.ceil(10 * largest) / 10, 0.4, 1.0))


def _rows(
    mask: "nib.Nifti1Image", *, bottom: float
) -> list[tuple[str, list[float], tuple[float, float, float, float]]]:
    """Cuts evenly through the mask, and where their row goes."""
    where = np.argwhere(np.asarray(mask.dataobj) > 0)
    xyz = where @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    height = (1 - bottom) / 3
    rows = []
    for row, axis in enumerate((2, 1, 0)):
        cuts = low[axis] + (high[axis] - low[axis]) * np.linspace(0.2, 0.8, _CUTS)
        rows.append(
            (
                "xyz"[axis],
                np.unique(cuts.round()).tolist(),
                (0.01, bottom + height * (2 - row) + 0.035, 0.98, height - 0.045),
            )
        )
    return rows


def _label(display: Any, direction: str) -> None:
    """Write each slice's coordinate below it, and left and right once."""
    for number_of_cut, (cut, panel) in enumerate(display.axes.items()):
        axes = panel.ax
        axes.text(
            0.5, -0.01, f"{direction} = {number(cut, 0)}", transform=axes.transAxes, ha="center", va="top", fontsize=9
        )
        if number_of_cut == 0 and direction in "yz":
            for x, side in ((0.04, "L"), (0.96, "R")):
                axes.text(x, 0.99, side, transform=axes.transAxes, ha="center", va="top", fontsize=9, color=INK)


def _fit_head(places: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit center and radius of the head to the electrodes, so that the drawn one suits whatever cap was used."""
    # |x|^2 = 2 c.x + (r^2 - |c|^2) is linear in the center c.
    design = np.column_stack([2 * places, np.ones(len(places))])
    solution, *_ = np.linalg.lstsq(design, (places**2).sum(axis=1), rcond=None)
    center = solution[:3]
    radius = float(np.sqrt(max(solution[3] + (center**2).sum(), 0)))
    if not 0.06 < radius < 0.14:  # too flat an array to tell
        return np.zeros(3), 0.095
    # The circle is drawn at the height of the ears, which is 0 in the head frame, and not at the sphere's equator.
    return np.array([center[0], center[1], min(center[2], 0.0)]), radius
