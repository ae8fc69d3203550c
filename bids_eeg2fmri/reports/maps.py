"""Pictures of heads and brains: power over the scalp, the mask, and where synthesized and measured BOLD agree."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_eeg2fmri.reports.figures import BLUE, INK, ORANGE, Picture, blank, picture
from bids_eeg2fmri.reports.wording import count, number, percent

if TYPE_CHECKING:
    import nibabel as nib

BANDS_HZ = {"theta": (4, 7), "alpha": (8, 12), "beta": (13, 30)}
# From this on, a color hides the brain below it.
OPAQUE_R = 0.3
_CUTS = 4
# NIfTI's code of the space.
_MNI = 4


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
            bar.set_label("dB re 1 µV²/Hz", fontsize=10)
            told.append(
                f"{name} is strongest at {names[int(values.argmax())]} and weakest at {names[int(values.argmin())]}"
            )
        return picture(
            figure,
            alt=f"Head maps of EEG power at {count(len(names), 'channel')}: {'; '.join(told)}.",
            caption="Mean power over the scalp, seen from above, nose up; each map has its own scale.",
            pixels=True,
        )


def draw_mask(template: "nib.Nifti1Image", mask: "nib.Nifti1Image", *, in_mni: bool = False) -> Picture:
    """Show the outline of the mask over the mean image; on the MNI template also those of its brain and white matter."""
    from nilearn import datasets, plotting

    inside = np.asarray(mask.dataobj) > 0
    volume_ml = inside.sum() * abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    with blank(4.5, layout=None) as figure:
        for direction, cuts, axes in _rows(mask, bottom=0.0):
            display = plotting.plot_anat(
                template, display_mode=direction, cut_coords=cuts, figure=figure, axes=axes, annotate=False,
                draw_cross=False, colorbar=False, black_bg=False, dim=0, threshold=1e-6,
            )  # fmt: skip
            display.add_contours(mask, levels=[0.5], colors=[ORANGE], linewidths=1.2)
            if in_mni:
                for of_template in (
                    datasets.load_mni152_brain_mask(resolution=3),
                    datasets.load_mni152_wm_mask(resolution=3),
                ):
                    display.add_contours(of_template, levels=[0.5], colors=[BLUE], linewidths=0.7)
            _label(display, direction)
        where = " and those of the MNI template's brain and white matter" if in_mni else ""
        return picture(
            figure,
            alt=f"Slices through the mean image with the outline of the brain mask{where}: {count(int(inside.sum()), 'voxel')}, "
            f"{number(volume_ml, 0)} ml.",
            caption=f"Mask (outline) over the mean image, of which only the inside is stored: {inside.sum():,} voxels, "
            f"{number(volume_ml, 0)} ml. An adult's mask usually has 1200 to 2000 ml."
            + (" Blue: brain and white matter of the MNI template, on which the image should lie." if in_mni else ""),
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
    fading: dict[str, Any] = {"transparency": _magnitude(r_map), "transparency_range": [0, OPAQUE_R]}
    if not np.nan_to_num(r).any():
        # That of a constant image. nilearn asks for an extent, and then shows nothing of it.
        r_map = nib.Nifti1Image(np.full_like(r, 1e-5), r_map.affine)
        fading = {"transparency": 0}
    with blank(5.1, layout=None) as figure:
        for direction, cuts, axes in _rows(mask, bottom=0.135):
            display = plotting.plot_stat_map(
                r_map, bg_img=template, display_mode=direction, cut_coords=cuts, figure=figure, axes=axes, annotate=False,
                draw_cross=False, colorbar=False, black_bg=False, dim=-0.8, cmap="RdBu_r", vmin=-limit, vmax=limit,
                resampling_interpolation="nearest", **fading,
            )  # fmt: skip
            _label(display, direction)
        scale = figure.add_axes((0.2, 0.1, 0.6, 0.022))
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


def draw_glass_brain(r_map: "nib.Nifti1Image", mask: "nib.Nifti1Image", *, limit: float) -> Picture:
    """Show the whole map at once, as if the brain were of glass: along each line of sight, the r farthest from 0.

    The outlines of a template are drawn for an image in its space, MNI152; otherwise those of the mask.
    """
    import nibabel as nib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    inside = np.asarray(mask.dataobj) > 0
    r = np.where(inside, np.asarray(r_map.dataobj, dtype=np.float32), 0)
    in_mni = _MNI in (int(r_map.header["sform_code"]), int(r_map.header["qform_code"]))
    with blank(2.7, layout=None) as figure:
        if in_mni:
            from nilearn import plotting

            display = plotting.plot_glass_brain(
                nib.Nifti1Image(r, r_map.affine), display_mode="ortho", figure=figure, axes=(0.0, 0.26, 1.0, 0.74),
                plot_abs=False, colorbar=False, black_bg=False, cmap="RdBu_r", vmin=-limit, vmax=limit, threshold=1e-6,
                annotate=False,
            )  # fmt: skip
            display.annotate(size=10, positions=False)
            outlines = "The outlines are those of the MNI152 template."
        else:
            _project(
                figure, nib.Nifti1Image(r, r_map.affine), nib.Nifti1Image(inside.astype(np.uint8), mask.affine), limit
            )
            outlines = "The image is not in MNI152 space, so the outline is that of the brain mask, not of a template."
        scale = figure.add_axes((0.2, 0.19, 0.6, 0.035))
        figure.colorbar(ScalarMappable(Normalize(-limit, limit), "RdBu_r"), cax=scale, orientation="horizontal")
        scale.set_xlabel("r over time")
        i, j, k = np.unravel_index(int(np.argmax(r)), r.shape)
        peak = r_map.affine[:3, :3] @ (i, j, k) + r_map.affine[:3, 3]
        return picture(
            figure,
            alt="Glass brain from the right, the back and above, colored by the r farthest from 0 along each line of sight. The "
            f"largest r, {number(r.max())}, lies at x = {number(peak[0], 0)}, y = {number(peak[1], 0)}, "
            f"z = {number(peak[2], 0)} mm.",
            caption=f"The whole brain at once: each point shows the r farthest from 0 along the line of sight. {outlines}",
            pixels=True,
        )


def draw_task_maps(
    template: "nib.Nifti1Image",
    measured: "nib.Nifti1Image",
    synthesized: "nib.Nifti1Image",
    mask: "nib.Nifti1Image",
    *,
    condition: str,
) -> Picture:
    """Show what a condition does to the measured and to the synthesized series, slice by slice below each other."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from nilearn import plotting

    inside = np.asarray(mask.dataobj) > 0
    _, cuts, _ = _rows(mask, bottom=0.0, n_cuts=5)[0]
    told = []
    short = condition if len(condition) <= 36 else f"{condition[:35]}…"
    with blank(3.3, layout=None) as figure:
        for row, (kind, z_map) in enumerate((("measured", measured), ("synthesized", synthesized))):
            z = np.nan_to_num(np.asarray(z_map.dataobj, dtype=np.float32))[inside]
            # Each has its own scale: a prediction holds only what it is sure of, so its effects are smaller.
            limit = max(0.5, float(np.ceil(2 * np.percentile(np.abs(z), 99.5)) / 2))
            top = 1 - 0.5 * row
            display = plotting.plot_stat_map(
                z_map, bg_img=template, display_mode="z", cut_coords=cuts, figure=figure, axes=(0.01, top - 0.42, 0.83, 0.34),
                annotate=False, draw_cross=False, colorbar=False, black_bg=False, dim=-0.8, cmap="RdBu_r", vmin=-limit,
                vmax=limit, transparency=_magnitude(z_map), transparency_range=[0, 0.6 * limit],
                resampling_interpolation="nearest",
            )  # fmt: skip
            _label(display, "z")
            figure.text(0.02, top - 0.015, f"{short}: {kind}", va="top")
            scale = figure.add_axes((0.875, top - 0.41, 0.022, 0.3))
            figure.colorbar(ScalarMappable(Normalize(-limit, limit), "RdBu_r"), cax=scale)
            scale.set_title("z", loc="center", fontsize=10)
            told.append(f"{kind} from {number(z.min(), 1)} to {number(z.max(), 1)}")
        return picture(
            figure,
            alt=f"Slices through the z maps of the condition {condition}: {'; '.join(told)}.",
            caption=f"Condition {condition}: the same general linear model on the measured and on the synthesized series, both in "
            "units of the measured noise. Each row has its own scale. These are maps of the whole "
            "run, to look at; the table compares those of held-out blocks, which is stricter.",
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


def _magnitude(image: "nib.Nifti1Image") -> "nib.Nifti1Image":
    import nibabel as nib

    return nib.Nifti1Image(np.abs(np.nan_to_num(np.asarray(image.dataobj, dtype=np.float32))), image.affine)


def _project(figure: Any, r_map: "nib.Nifti1Image", mask: "nib.Nifti1Image", limit: float) -> None:
    """Draw the projections along x, y and z, each within the outline of the mask."""
    import nibabel as nib

    upright, outline = nib.as_closest_canonical(r_map), nib.as_closest_canonical(mask)
    inside = np.asarray(outline.dataobj) > 0
    # A frame of one voxel closes the outline of a brain that fills its image.
    brain = tuple(slice(where.min(), where.max() + 1) for where in np.nonzero(inside))
    inside, r = np.pad(inside[brain], 1), np.pad(np.asarray(upright.dataobj)[brain], 1)
    sizes_mm = np.array(upright.header.get_zooms()[:3]) * r.shape
    # From the right: y to the right, z up; from the back: x, z; from above: x, y.
    views = [(axis, *(other for other in range(3) if other != axis)) for axis in range(3)]
    widths = np.array([sizes_mm[across] for _, across, _ in views])
    heights = np.array([sizes_mm[up] for _, _, up in views])
    inch = figure.get_size_inches()
    per_mm = min(0.88 * inch[0] / widths.sum(), 0.68 * inch[1] / heights.max())
    gap = (1 - per_mm * widths.sum() / inch[0]) / 4
    left = gap
    for (axis, across, _), width, height in zip(views, widths, heights, strict=True):
        w, h = per_mm * width / inch[0], per_mm * height / inch[1]
        axes = figure.add_axes((left, 0.635 - h / 2, w, h))
        left += w + gap
        farthest = np.take_along_axis(r, np.abs(r).argmax(axis=axis, keepdims=True), axis=axis).squeeze(axis)
        silhouette = inside.any(axis=axis)
        shown = np.ma.masked_where(~silhouette, farthest).T
        axes.imshow(shown, origin="lower", cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        axes.contour(silhouette.T.astype(float), levels=[0.5], colors=[INK], linewidths=1.2)
        axes.axis("off")
        if across == 0:
            for at, side in ((0.0, "L"), (1.0, "R")):
                axes.text(at, 0.98, side, transform=axes.transAxes, ha="center", va="top", fontsize=10)


def _rows(
    mask: "nib.Nifti1Image", *, bottom: float, n_cuts: int = _CUTS
) -> list[tuple[str, list[float], tuple[float, float, float, float]]]:
    """Cuts evenly through the mask, and where their row goes."""
    where = np.argwhere(np.asarray(mask.dataobj) > 0)
    xyz = where @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    height = (1 - bottom) / 3
    rows = []
    for row, axis in enumerate((2, 1, 0)):
        cuts = low[axis] + (high[axis] - low[axis]) * np.linspace(0.2, 0.8, n_cuts)
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
            0.5, -0.01, f"{direction} = {number(cut, 0)}", transform=axes.transAxes, ha="center", va="top", fontsize=10
        )
        if number_of_cut == 0 and direction in "yz":
            for x, side in ((0.04, "L"), (0.96, "R")):
                axes.text(x, 0.99, side, transform=axes.transAxes, ha="center", va="top", fontsize=10, color=INK)


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
