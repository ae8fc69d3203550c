"""Bands that hold what they say, and published numbers that never stand alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.bold.regions import tile_regions
from bids_eeg2fmri.workflow.account import Account, Task
from bids_eeg2fmri.workflow.results import (
    PUBLISHED_VOLUMES,
    half_width,
    published_metrics,
    results_of,
    some_volumes,
    write_agreement,
)
from bids_eeg2fmri.workflow.scoring import score
from bids_eeg2fmri.workflow.verdict import judge


def slow(rng, n_volumes, n):
    return lfilter([1], [1, -0.6], rng.standard_normal((n_volumes + 30, n)), axis=0)[30:].astype(np.float32)


def test_bands_hold_about_95_percent_of_what_is_measured():
    rng = np.random.default_rng(0)
    scale = np.array([0.5, 1.0, 3.0])  # regions differ in how far off predictions are
    inside = []
    for _ in range(60):
        errors, blocks = [slow(rng, n, 3) * scale for n in (150, 100)], [np.arange(n) * 5 // n for n in (150, 100)]
        inside += [np.abs(e) <= half for e, half in zip(errors, half_width(errors, blocks), strict=True)]
    np.testing.assert_allclose(np.concatenate(inside).mean(0), 0.95, atol=0.015)


def test_a_band_is_told_by_the_errors_of_the_other_blocks_alone():
    rng = np.random.default_rng(1)
    errors, blocks = rng.standard_normal((80, 2)), np.arange(80) // 20
    [half] = half_width([errors], [blocks])
    np.testing.assert_allclose(half[25], np.quantile(np.abs(np.delete(errors, np.s_[20:40], 0)), 0.95, axis=0))
    poison = errors.copy()
    poison[20:40] = 1e6
    [after] = half_width([poison], [blocks])
    np.testing.assert_array_equal(after[20:40], half[20:40])
    assert (after[:20] > half[:20]).all()


def test_one_block_alone_has_no_band():
    [half] = half_width([np.ones((30, 2))], [np.full(30, 3)])
    assert half.shape == (30, 2)
    assert np.isnan(half).all()


def test_runs_that_are_held_out_as_a_whole_tell_of_one_another():
    errors = [np.full((40, 2), 1.0), np.full((25, 2), 2.0), np.full((30, 2), 7.0)]
    halves = half_width(errors, [np.full(len(e), number) for number, e in enumerate(errors)])
    assert [half.shape for half in halves] == [(40, 2), (25, 2), (30, 2)]
    assert [np.unique(half).tolist() for half in halves] == [[7.0], [7.0], [2.0]]


def test_a_block_of_the_same_number_in_another_run_is_another_block():
    halves = half_width([np.full((40, 2), 1.0), np.full((25, 2), 2.0)], [np.zeros(40, int), np.zeros(25, int)])
    assert [np.unique(half).tolist() for half in halves] == [[2.0], [1.0]]


@pytest.fixture
def write(make_run, quick, tmp_path):
    """Write the agreement of runs that were predicted with an error; give their tables of regions."""

    def write(lengths, blocks):
        runs = []
        for number, n in enumerate(lengths):
            run = make_run(n, seed=number)
            eeg = tmp_path / f"sub-01/eeg/sub-01_task-rest_run-{number + 1}_eeg.vhdr"
            runs.append(replace(run, recording=replace(run.recording, eeg=eeg, bold=None)))
        grid = runs[0].grid
        regions = tile_regions(grid)
        rng = np.random.default_rng(2)
        measured = [slow(rng, n, grid.n_voxels) for n in lengths]
        predicted = [m + slow(rng, *m.shape) for m in measured]
        derivatives = Derivatives(tmp_path / "out", tmp_path)
        account = Account(Task(tmp_path, derivatives, quick), "01", [run.recording for run in runs], [], {}, 2.0)
        write_agreement(account, runs, regions, measured, predicted, blocks, grid)
        files = [account.entries[run.recording.file]["files"] for run in runs]
        assert all({"r_map", "regions"} <= set(of_run) for of_run in files)
        return regions, [derivatives.read_regions(of_run["regions"]) for of_run in files]

    return write


def test_each_region_is_written_with_a_band_around_what_was_synthesized(write):
    blocks = np.where(np.arange(90) < 6, -1, np.arange(90) // 30)
    regions, [table] = write([90], [blocks])
    kinds = ("measured", "synthesized", "low", "high")
    assert set(table) == {"onset", *(f"{name}_{kind}" for name in regions.names for kind in kinds)}
    assert table.iloc[:6, 1:].isna().all(axis=None)
    assert table.iloc[6:].notna().all(axis=None)
    for name in regions.names:
        low, middle, high = (table[f"{name}_{kind}"][6:] for kind in ("low", "synthesized", "high"))
        np.testing.assert_allclose(high - middle, middle - low, atol=1e-5)
        assert (high > middle).all()
        assert np.mean((table[f"{name}_measured"][6:] >= low) & (table[f"{name}_measured"][6:] <= high)) > 0.85


def test_runs_of_one_block_each_have_bands_if_there_are_two(write):
    _, tables = write([70, 60], [np.zeros(70, int), np.ones(60, int)])
    assert [len(table) for table in tables] == [70, 60]
    for table in tables:
        assert table.notna().all(axis=None)
    _, [alone] = write([70], [np.zeros(70, int)])
    assert alone.filter(regex="_(low|high)$").isna().all(axis=None)
    assert alone.filter(regex="_(measured|synthesized)$").notna().all(axis=None)


def test_some_volumes_are_spread_over_those_that_were_predicted():
    blocks = np.where((np.arange(300) < 20) | (np.arange(300) > 290), -1, 0)
    chosen = some_volumes(blocks)
    assert len(chosen) == PUBLISHED_VOLUMES == len(set(chosen))
    assert [chosen[0], chosen[-1]] == [20, 290]
    assert np.ptp(np.diff(chosen)) <= 1
    assert some_volumes(blocks[:24]).tolist() == [20, 21, 22, 23]


@pytest.fixture(scope="module")
def published(make_run):
    """A model that knows all that can be known of the change, in a brain large enough for windows of 11 voxels."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (17, 19, 9)), indexing="ij")
    grid = Grid(x**2 + y**2 + z**2 < 0.95, np.diag([9.0, 9.0, 12.0, 1.0]))
    anatomy = (1000 + 200 * np.cos(9 * x) * np.sin(7 * y + z))[grid.mask]
    rng = np.random.default_rng(3)
    runs, predicted, templates, blocks = [], [], [], []
    for number, n in enumerate((55, 35)):
        signal = rng.standard_normal((n, 1)) * np.clip(y, 0, None)[grid.mask]
        noise = 0.3 * rng.standard_normal((n, grid.n_voxels))
        # The head of this day is not quite that of the training volumes.
        own = anatomy * (1 + 0.02 * np.cos(5 * z + number))[grid.mask]
        run = make_run(n, seed=number)
        runs.append(replace(run, grid=grid, table=(own * (1 + (signal + noise) / 100)).astype(np.float32)))
        predicted.append(signal.astype(np.float32))
        templates.append(anatomy)
        blocks.append(np.where(np.arange(n) < 5, -1, 0))
    return runs, grid, predicted, templates, blocks


def test_published_metrics_never_stand_without_images_that_do_not_change(published):
    runs, grid, predicted, templates, blocks = published
    table = pd.DataFrame(published_metrics(runs, grid, "separable", predicted, templates, blocks))
    expected = {("calhas2022", m) for m in ("RMSE", "MAE", "SSIM")} | {
        ("e2fnet2025", m) for m in ("SSIM", "PSNR", "RMSE")
    }
    assert {tuple(key) for key in table[["paper", "metric"]].to_numpy()} == expected
    for _, rows in table.groupby(["paper", "metric"]):
        assert rows.model.tolist() == ["separable", "mean image", "own mean image"]
    assert np.isfinite(table.value).all()


def test_published_metrics_hardly_tell_a_perfect_model_from_a_mean_image(published):
    """Why they decide nothing: the model explains most of what changes, and by SSIM the image that never does is as good."""
    runs, grid, predicted, templates, blocks = published
    table = pd.DataFrame(published_metrics(runs, grid, "separable", predicted, templates, blocks))
    measured = 100 * (runs[0].table / runs[0].table.mean(0) - 1)
    assert np.corrcoef(measured.ravel(), predicted[0].ravel())[0, 1] > 0.6
    for paper in ("calhas2022", "e2fnet2025"):
        values = table[(table.paper == paper) & (table.metric == "SSIM")].set_index("model").value
        assert values["mean image"] > 0.98
        assert abs(values["separable"] - values["mean image"]) < 0.002
        # More is gained by a mean image of the right day than by all that can be known of changes.
        assert values["own mean image"] > values["separable"]


def test_published_metrics_are_means_over_runs_of_volumes_that_were_predicted(published):
    runs, grid, predicted, templates, blocks = published
    both = published_metrics(runs, grid, "separable", predicted, templates, blocks)
    alone = [
        published_metrics([run], grid, "separable", [p], [t], [b])
        for run, p, t, b in zip(runs, predicted, templates, blocks, strict=True)
    ]
    for together, first, second in zip(both, *alone, strict=True):
        assert together["value"] == pytest.approx((first["value"] + second["value"]) / 2)
    # What was not predicted is not looked at; a template of its own for each volume is.
    poison = [np.where(b[:, None] < 0, np.float32(500), p) for p, b in zip(predicted, blocks, strict=True)]
    by_volume = [np.tile(t, (len(b), 1)) for t, b in zip(templates, blocks, strict=True)]
    assert published_metrics(runs, grid, "separable", poison, by_volume, blocks) == both


def scored(quick, coupling, trained_on=False):
    rng = np.random.default_rng(4)
    grid = Grid(np.ones((4, 4, 4), bool), np.diag([15.0, 15.0, 15.0, 1.0]))
    regions = tile_regions(grid)
    said = slow(rng, 90, 64)
    measured = [coupling * said + slow(rng, 90, 64)]
    predicted = {"separable": [0.4 * said], "mean image": [0 * said]}
    quick = replace(quick, evaluation=replace(quick.evaluation, n_shifts=100))
    scores = score(measured, predicted, [np.arange(90) // 30], tr_s=[2.0], regions=regions, settings=quick, seed=0)
    return regions, scores, results_of(scores, regions, judge(scores, regions, alpha=0.05, trained_on=trained_on))


def test_results_hold_scores_verdict_regions_and_chance(quick):
    regions, scores, results = scored(quick, 0.8)
    assert results["verdict"]["better_than_chance"] is True
    assert [entry["model"] for entry in results["scores"]] == ["separable", "mean image"]
    assert [entry["name"] for entry in results["regions"]] == list(regions.names)
    assert [entry["p"] for entry in results["regions"]] == scores.chance.region_p.tolist()
    assert results["ceiling"]["region_median"] == pytest.approx(np.nanmedian(scores.ceilings))
    chance = results["chance"]
    assert (chance["p"], chance["learned_from"]) == (scores.chance.p, 1.0)
    assert len(chance["null_pooled_r"]) == 61  # shifts by 15 to 75 volumes
    assert [other["kind"] for other in chance["others"]] == ["phase-randomized prediction"]


def test_without_a_verdict_there_is_nothing_that_could_pass_for_evidence(quick):
    _, scores, results = scored(quick, 0.8, trained_on=True)
    assert scores.chance.p < 0.05
    assert "chance" not in results
    assert all("p" not in entry for entry in results["regions"])
