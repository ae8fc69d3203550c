import base64
import copy
import hashlib
import json
import re
import zlib

import nibabel as nib
import numpy as np
import pytest

from bids_eeg2fmri.reports.participant import participant_report
from bids_eeg2fmri.reports.viewer import viewer_of, viewers_of

SIDES = ("measured", "synthesized")


def unpack(viewer):
    """Decode as the page does: {side: (blocks, times)} with the steps, and the mask."""
    told = json.loads(viewer.data)
    raw = zlib.decompress(base64.b64decode(told["packed"]))
    mask = np.frombuffer(raw[-int(np.prod(told["shape"])) :], np.uint8).reshape(told["shape"]) > 0
    n, n_times = int(mask.sum()), len(told["times"])
    steps = np.frombuffer(raw, "<f4", 2 * n).reshape(2, n)
    counts = np.frombuffer(raw, np.int8, 2 * n * n_times, 8 * n).reshape(2, n, n_times)
    courses = dict(zip(SIDES, steps[..., None] * counts, strict=True))
    return told, courses, dict(zip(SIDES, steps, strict=True)), mask


def test_the_page_gets_back_each_number_within_half_a_step(viewable):
    _, courses, steps, mask = unpack(viewer_of(viewable.derivatives, viewable.entry))
    assert mask.shape == (5, 6, 7)
    assert mask.all()
    for side in SIDES:
        error = np.abs(courses[side] - viewable.residual(side))
        assert np.all(error <= 0.5 * steps[side][:, None] + 1e-5)
        assert np.all(np.abs(courses[side]).max(axis=1) == pytest.approx(127 * steps[side]))


def test_the_step_of_a_voxel_is_its_own(viewable):
    steps = unpack(viewer_of(viewable.derivatives, viewable.entry))[2]
    assert len(np.unique(steps["measured"])) == 5 * 6 * 7


def test_volumes_without_synthesis_are_left_out_and_times_count_from_the_first_volume(viewable):
    told = unpack(viewer_of(viewable.derivatives, viewable.entry))[0]
    assert told["times"] == pytest.approx(2.1 * np.arange(5, 41))


@pytest.mark.parametrize("budget_bytes", [500, 1100, 9000])
def test_what_does_not_fit_is_averaged_over_voxels_of_the_mask_and_over_volumes(viewable, budget_bytes):
    viewer = viewer_of(viewable.derivatives, viewable.entry, budget_bytes=budget_bytes)
    told, courses, steps, mask = unpack(viewer)
    factors = np.rint(np.diag(told["affine"])[:3] / (20, 21, 22)).astype(int)
    together = round(told["step_s"] / 2.1)
    assert factors.max() > 1 or together > 1
    groups = np.flatnonzero(viewable.use) // together
    of_voxel = np.argwhere(np.ones((5, 6, 7))) // factors
    for side in SIDES:
        residual = viewable.residual(side)
        blocks = np.stack([residual[(of_voxel == block).all(axis=1)].mean(axis=0) for block in np.argwhere(mask)])
        expected = np.stack([blocks[:, groups == group].mean(axis=1) for group in np.unique(groups)], axis=1)
        assert np.all(np.abs(courses[side] - expected) <= 0.5 * steps[side][:, None] + 1e-5)
    center_mm = np.array([-40, -69, -48]) + (factors - 1) / 2 * (20, 21, 22)
    assert np.array(told["affine"])[:3, 3] == pytest.approx(center_mm)
    onset = 2.1 * np.flatnonzero(viewable.use)
    expected = [onset[groups == group].mean() for group in np.unique(groups)]
    assert told["times"] == pytest.approx(expected, abs=0.006)


def test_the_numbers_fit_the_budget_and_the_caption_says_what_that_cost(viewable):
    viewer = viewer_of(viewable.derivatives, viewable.entry, budget_bytes=5000)
    raw = zlib.decompress(base64.b64decode(json.loads(viewer.data)["packed"]))
    assert len(raw) - 5 * 6 * 7 <= 5000
    assert re.search(r"To keep the page small: (voxels|blocks) of [\d.]+ by", viewer.caption)
    assert "Every voxel (20 by 21 by 22 mm) and volume" in viewer_of(viewable.derivatives, viewable.entry).caption


def test_a_place_has_the_same_mm_whichever_way_the_image_is_stored(viewable, tmp_path):
    """Right to left, and with axes swapped: what lies at a place in mm stays there."""
    there = {}
    for name, turn in {"as is": [[0, 1], [1, 1], [2, 1]], "turned": [[1, 1], [0, -1], [2, -1]]}.items():
        moved = _turned(viewable, np.array(turn), tmp_path / name)
        told, courses, _, mask = unpack(viewer_of(moved.derivatives, moved.entry))
        mm = np.argwhere(mask) @ np.array(told["affine"])[:3, :3].T + np.array(told["affine"])[:3, 3]
        there[name] = {
            tuple(place): course for place, course in zip(mm.round(3).tolist(), courses["measured"], strict=True)
        }
    assert there["as is"].keys() == there["turned"].keys()
    assert len(there["as is"]) == 5 * 6 * 7
    for place, course in there["as is"].items():
        assert there["turned"][place] == pytest.approx(course, abs=1e-5)


def _turned(viewable, turn, folder):
    moved = copy.copy(viewable.derivatives)
    moved.root = folder
    files = viewable.entry["files"]
    for kind in ("samples", "synthesized", "volumes"):
        (folder / files[kind]).parent.mkdir(parents=True, exist_ok=True)
    series = nib.load(viewable.derivatives.root / files["synthesized"]).as_reoriented(turn)
    series.to_filename(folder / files["synthesized"])
    (folder / files["volumes"]).write_bytes((viewable.derivatives.root / files["volumes"]).read_bytes())
    samples = viewable.derivatives.read_samples(files["samples"])
    filled = np.zeros((*samples["mask"].shape, len(samples["change"])), dtype=np.float32)
    filled[samples["mask"]] = samples["change"].T
    filled = nib.orientations.apply_orientation(filled, turn)
    samples["mask"] = nib.orientations.apply_orientation(samples["mask"], turn)
    samples |= {"change": filled[samples["mask"]].T, "affine": series.affine}
    np.savez(folder / files["samples"], **samples)
    return type(viewable)(moved, viewable.entry, *(None,) * 4)


def test_a_prediction_of_no_change_is_flat_and_not_rounding_blown_up(viewable, tmp_path):
    still = _turned(viewable, np.array([[0, 1], [1, 1], [2, 1]]), tmp_path)
    path = tmp_path / viewable.entry["files"]["synthesized"]
    series = nib.load(path)
    nib.Nifti1Image(np.repeat(series.get_fdata()[..., :1], 41, axis=3), series.affine).to_filename(path)
    courses = unpack(viewer_of(still.derivatives, still.entry))[1]
    assert not courses["synthesized"].any()
    assert courses["measured"].any()


@pytest.mark.parametrize("missing", ["samples", "synthesized", "volumes"])
def test_without_one_of_its_files_there_is_no_viewer(viewable, missing):
    files = {kind: path for kind, path in viewable.entry["files"].items() if kind != missing}
    assert viewer_of(viewable.derivatives, viewable.entry | {"files": files}) is None
    gone = viewable.entry["files"] | {missing: "sub-07/moved_away"}
    assert viewer_of(viewable.derivatives, viewable.entry | {"files": gone}) is None


@pytest.mark.parametrize("change", [{"affine": np.diag([20.0, 21, 23, 1])}, {"change": None}])
def test_without_measurement_on_the_same_grid_there_is_no_viewer(viewable, tmp_path, change):
    other = _turned(viewable, np.array([[0, 1], [1, 1], [2, 1]]), tmp_path)
    samples = other.derivatives.read_samples(viewable.entry["files"]["samples"]) | change
    arrays = {name: array for name, array in samples.items() if array is not None}
    np.savez(tmp_path / viewable.entry["files"]["samples"], **arrays)
    assert viewer_of(other.derivatives, other.entry) is None


def test_many_recordings_share_the_budget_and_the_first_three_are_shown(viewable):
    alone = viewers_of(viewable.derivatives, [viewable.entry], {})
    viewers = viewers_of(viewable.derivatives, [viewable.entry] * 5, {})
    assert [viewer is not None for viewer in viewers] == [True, True, True, False, False]
    assert viewers[0] == alone[0]  # so small a brain fits a third of it


def test_slow_changes_are_told_from_the_settings(viewable):
    slow = viewers_of(viewable.derivatives, [viewable.entry], {"bold": {"drift_period_s": 10_000.0}})[0]
    measured = unpack(slow)[1]["measured"]
    # Nothing but block means is taken out: half a period over the recording is still there.
    assert np.abs(measured).mean() > 1.2 * np.abs(viewable.residual("measured")).mean()


def test_a_page_with_a_viewer_may_run_its_script_and_no_other(viewable, written, look):
    page = look(participant_report(viewable.derivatives, written | {"recordings": [viewable.entry]}))
    policy = next(tag["content"] for tag in page.all("meta") if tag.get("http-equiv"))
    (script,) = re.findall(r"<script>(.*?)</script>", page.html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert [tag.get("type") for tag in page.all("script")] == ["application/json", None]


def test_a_page_without_a_viewer_may_run_no_script(page):
    policy = next(tag["content"] for tag in page.all("meta") if tag.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not page.all("script")


def test_the_script_is_given_numbers_only(viewable):
    told = json.loads(viewer_of(viewable.derivatives, viewable.entry).data)
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", told.pop("packed"))
    assert not re.search(r"[a-z]", json.dumps(list(told.values())))
