"""The judge of anybody's predictions, from the command line."""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.config import load_settings
from bids_eeg2fmri.evaluation.__main__ import main
from bids_eeg2fmri.reports.plain import in_plain_text
from bids_eeg2fmri.workflow.foreign import Files
from bids_eeg2fmri.workflow.judging import judge_files

SHAPE, N, TR = (11, 12, 10), 150, 2.0
SETTINGS = "[bold]\nn_components = 4\n[training]\nn_folds = 3\n[evaluation]\nn_shifts = 100\n"
AFFINE = np.diag([12.0, 11.0, 10.0, 1.0])
AFFINE[:3, 3] = -60.0
GRID = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
BRAIN = np.linalg.norm((GRID - (np.array(SHAPE) - 1) / 2) / np.array([4.5, 5.0, 4.0]), axis=-1) < 1
ACTIVE = BRAIN & (GRID[..., 0] > 5)
ANATOMY = np.where(BRAIN, 900.0 + 30 * GRID[..., 1] - 20 * GRID[..., 2], 25.0)


def course_of(seed, n=N):
    """Draw what is as slow as a hemodynamic response, and faster than drift; standard deviation 1."""
    slow = np.convolve(np.random.default_rng(seed).standard_normal(n + 8), np.hanning(9), mode="valid")
    slow -= np.convolve(slow, np.ones(31) / 31, mode="same")
    return slow / slow.std()


def image_of(data, tr_s=TR, affine=AFFINE):
    image = nib.Nifti1Image(data.astype(np.float32), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((*image.header.get_zooms()[:3], *([tr_s] if data.ndim == 4 else [])))
    return image


def series(percent):
    """Put percent signal change, (x, y, z, volumes), on the anatomy."""
    return ANATOMY[..., None] * (1 + percent / 100)


def predict(course, size=0.5):
    return series(size * ACTIVE[..., None] * course)


@dataclass(frozen=True)
class Answer:
    """What the command left; the summary is kept, for the next answer takes its place."""

    code: int
    out: str
    err: str
    folder: Path
    summary: dict

    @property
    def verdict(self):
        return self.summary["verdict"]

    @property
    def scores(self):
        return {row["model"]: row for row in self.summary["scores"]}

    @property
    def line(self):
        """The one line on stderr."""
        [line] = self.err.splitlines()
        assert "Traceback" not in line
        return line.removeprefix("python -m bids_eeg2fmri.evaluation: ")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A run, its mask, and settings that are quick."""
    folder = tmp_path_factory.mktemp("foreign")
    noise = np.random.default_rng(1).standard_normal((*SHAPE, N))
    nib.save(image_of(series(0.5 * ACTIVE[..., None] * course_of(2) + 0.8 * noise)), folder / "measured.nii.gz")
    nib.save(image_of(BRAIN.astype(np.uint8)), folder / "mask.nii.gz")
    (folder / "quick.toml").write_text(SETTINGS)
    return folder


@pytest.fixture
def judge(files, tmp_path, capsys):
    """Judge predictions, given as arrays, images or names of files, against the run."""

    def judge(*images, **options):
        paths = []
        for number, image in enumerate(images):
            path = tmp_path / f"predicted{number}.nii.gz"
            if isinstance(image, np.ndarray):
                image = image_of(image)
            if isinstance(image, nib.Nifti1Image):
                nib.save(image, path)
            paths += [path if isinstance(image, nib.Nifti1Image) else image, files / "measured.nii.gz"]
        known = {"mask": files / "mask.nii.gz", "config-file": files / "quick.toml", "output": tmp_path / "out"}
        arguments = [str(path) for path in paths]
        for name, value in (known | {key.replace("_", "-"): value for key, value in options.items()}).items():
            values = value if isinstance(value, list) else [value]
            for one in values:
                arguments += [] if one is None else [f"--{name}"] if one is True else [f"--{name}", str(one)]
        try:
            code = main(arguments)
        except SystemExit as leaving:  # argparse's way to end
            code = leaving.code
        told = capsys.readouterr()
        path = tmp_path / "out" / "summary.json"
        summary = json.loads(path.read_text()) if code == 0 and path.is_file() else {}
        return Answer(code, told.out, told.err, tmp_path / "out", summary)

    return judge


@pytest.fixture
def judged(files, tmp_path):
    """Judge without the command line, whose page takes seconds to draw; the same numbers, NaN where JSON has null."""
    settings = load_settings(files / "quick.toml")

    def judged(*images, unit=None, **known):
        runs = []
        for number, image in enumerate(images):
            path = tmp_path / f"predicted{number}.nii.gz"
            nib.save(image if isinstance(image, nib.Nifti1Image) else image_of(image), path)
            runs.append(Files(path, files / "measured.nii.gz", **known))
        summary = judge_files(runs, settings, mask=files / "mask.nii.gz", unit=unit).summary
        return Answer(0, in_plain_text(summary), "", tmp_path, summary)

    return judged


# ------------------------------------------------------------------------------------------------------- known answers


def test_a_prediction_that_knows_the_signal_is_better_than_chance_and_baselines(judge):
    answer = judge(predict(course_of(2)))
    assert answer.code == 0, answer.err
    assert answer.verdict["better_than_chance"]
    assert answer.verdict["better_than_baselines"]
    assert not answer.verdict["collapsed"]
    assert answer.out.startswith("BETTER THAN CHANCE AND THAN THE BASELINES THAT IGNORE THE EEG\n")
    row = answer.scores["prediction"]
    # The signal is a third of the standard deviation that it shares with noise, in some voxels.
    active = ACTIVE.sum() / BRAIN.sum()
    expected = 0.25 * active / (0.25 * active + 0.64)
    assert row["pooled_skill"] == pytest.approx(expected, abs=0.03)
    assert row["pooled_r"] == pytest.approx(np.sqrt(expected), abs=0.05)
    assert row["pooled_skill_low"] < expected < row["pooled_skill_high"]
    r = np.asarray(nib.load(answer.folder / "r.nii.gz").dataobj)
    assert r[ACTIVE].mean() > 0.45
    assert not r[BRAIN & ~ACTIVE].any()
    assert [other["kind"] for other in answer.summary["chance"]["others"]] == ["phase-randomized prediction"]


@pytest.mark.parametrize("shift", [40, -52])
def test_the_same_prediction_at_another_time_is_no_better_than_chance(shift, judged):
    answer = judged(predict(np.roll(course_of(2), shift)))
    assert answer.verdict["headline"] == "No better than chance"
    assert answer.summary["chance"]["p"] > 0.05
    assert answer.scores["prediction"]["pooled_skill"] < 0


def test_anatomy_alone_is_called_a_constant_image_however_high_its_ssim(judge):
    answer = judge(series(np.zeros((*SHAPE, N))))
    assert answer.code == 0, answer.err
    assert answer.verdict["headline"] == "The model gives a constant image"
    assert answer.verdict["collapsed"]
    assert answer.verdict["better_than_chance"] is answer.verdict["better_than_baselines"] is False
    assert answer.scores["prediction"]["pooled_skill"] == 0
    assert answer.scores["prediction"]["pooled_r"] == 0
    published = {(row["paper"], row["metric"], row["model"]): row["value"] for row in answer.summary["published"]}
    ssim = published["calhas2022", "SSIM", "prediction"]
    assert ssim == pytest.approx(published["calhas2022", "SSIM", "own mean image"], abs=0.01)
    assert "these measure anatomy" in answer.out
    assert "Better" not in answer.out


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_one_number_in_all_voxels_and_volumes_is_a_constant_image_too(value, judged):
    answer = judged(np.full((*SHAPE, N), value))
    assert answer.verdict["collapsed"]


def test_baselines_are_there_as_far_as_something_is_known_for_them(judged, tmp_path):
    events = pd.DataFrame({"onset": np.arange(10, 290, 28.0), "duration": 14.0, "trial_type": "task"})
    events.to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    names = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    motion = pd.DataFrame(np.random.default_rng(3).standard_normal((N, 6)), columns=names)
    motion.to_csv(tmp_path / "confounds.tsv", sep="\t", index=False)
    answer = judged(predict(course_of(2)), events=tmp_path / "events.tsv", confounds=tmp_path / "confounds.tsv")
    assert list(answer.scores) == [
        *("prediction", "time only", "schedule only", "nuisance only", "global signal", "own mean image")
    ]
    assert {row["model"] for row in answer.summary["task"]} >= {"prediction", "schedule only"}
    assert "Task maps" in answer.out
    for model in ("time only", "schedule only", "nuisance only"):
        assert abs(answer.scores[model]["pooled_skill"]) < 0.04
    assert "the participant" not in answer.out
    assert "own mean image: the mean of the measured run itself" in " ".join(answer.out.split())


def test_eeg_is_aligned_by_its_markers_and_makes_the_linear_model(dataset, judge, files, tmp_path):
    stem = dataset / "sub-01"
    measured = stem / "func" / "sub-01_task-rest_bold.nii.gz"
    image = nib.load(measured)
    arguments = [str(measured), str(measured), "--eeg", str(stem / "eeg" / "sub-01_task-rest_eeg.vhdr")]
    assert main([*arguments, "--config-file", str(files / "quick.toml"), "--output", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    rows = {row["model"]: row for row in summary["scores"]}
    assert rows["lagged band-power ridge"]["kind"] == "linear"
    # The EEG starts 14.3 s before the first volume; the first windows are not whole.
    [recording] = summary["recordings"]
    assert "first volume at 14.3" in recording["alignment"]["evidence"]
    assert recording["n_volumes"] == image.shape[3]
    assert recording["n_judged"] == image.shape[3] - 3
    # A prediction that equals the measurement is perfect.
    assert rows["prediction"]["pooled_r"] == pytest.approx(1, abs=1e-4)
    assert rows["prediction"]["pooled_skill"] == pytest.approx(1, abs=0.01)


# ----------------------------------------------------------------------------------------------------------- any unit


def test_percent_signal_change_is_as_good_as_intensities_if_it_is_named(judged):
    percent = 0.5 * ACTIVE[..., None] * course_of(2)
    as_intensity = judged(series(percent)).scores["prediction"]
    as_percent = judged(percent, unit="percent").scores["prediction"]
    assert as_percent["pooled_skill"] == pytest.approx(as_intensity["pooled_skill"], abs=1e-4)
    assert as_percent["pooled_r"] == pytest.approx(as_intensity["pooled_r"], abs=1e-4)


def test_z_scores_are_judged_by_r_alone_and_their_size_is_still_seen_by_the_contrast_of_their_mean(judged):
    intensities = predict(course_of(2))
    plain = judged(intensities)
    answer = judged((intensities - intensities.mean()) / intensities.std())
    row = answer.scores["prediction"]
    assert np.isnan(row["pooled_skill"])
    assert np.isnan(row["gain"])
    assert all(np.isnan(other["gain"]) for other in answer.scores.values())
    assert row["pooled_r"] == pytest.approx(plain.scores["prediction"]["pooled_r"], abs=0.02)
    assert row["amplitude"] == pytest.approx(plain.scores["prediction"]["amplitude"], rel=0.15)
    assert answer.verdict["better_than_chance"]
    assert answer.verdict["better_than_baselines"]
    assert "can't be told without its unit" in answer.verdict["sentences"][1]
    constant = np.broadcast_to(ANATOMY[..., None], (*SHAPE, N))
    assert judged((constant - constant.mean()) / constant.std()).verdict["collapsed"]


def test_series_standardized_voxel_by_voxel_have_no_amplitude(judged):
    rng = np.random.default_rng(6)
    data = ACTIVE[..., None] * course_of(2) + 0.1 * rng.standard_normal((*SHAPE, N))
    answer = judged((data - data.mean(-1, keepdims=True)) / data.std(-1, keepdims=True))
    assert np.isnan(answer.scores["prediction"]["amplitude"])
    assert answer.verdict["collapsed"] is None
    assert answer.verdict["better_than_chance"]


def test_a_brain_that_is_smaller_in_the_prediction_predicts_no_change_elsewhere(judged):
    larger_half = GRID[..., 0] > 3
    answer = judged(predict(course_of(2)) * larger_half[..., None])
    n_outside = np.sum(BRAIN & ~larger_half)
    whole = judged(predict(course_of(2)))
    assert (
        f"{n_outside} of {BRAIN.sum()} voxels of the mask hold no brain in the prediction" in answer.summary["notes"][0]
    )
    assert answer.scores["prediction"]["pooled_r"] == pytest.approx(whole.scores["prediction"]["pooled_r"], abs=1e-5)


# ---------------------------------------------------------------------------------------------------- runs and blocks


def test_two_runs_are_judged_together(judged):
    answer = judged(predict(course_of(2)), predict(course_of(2)))
    assert [recording["n_judged"] for recording in answer.summary["recordings"]] == [N, N]
    assert "300 volumes of 2 runs" in answer.out


def test_volumes_that_nobody_predicted_are_not_judged_and_may_hold_anything(judged, tmp_path):
    fold = np.where(np.arange(N) < 9, "n/a", (np.arange(N) >= 80).astype(int).astype(str))
    pd.DataFrame({"volume": np.arange(N), "fold": fold}).to_csv(tmp_path / "blocks.tsv", sep="\t", index=False)
    predicted = predict(course_of(2))
    predicted[..., 80:] += 40  # another model, another mean
    predicted[..., :9] = np.nan
    answer = judged(predicted, blocks=tmp_path / "blocks.tsv")
    assert answer.summary["recordings"][0]["n_judged"] == N - 9
    assert answer.scores["prediction"]["pooled_r"] > 0.3
    assert "2 models predicted different parts" in answer.verdict["sentences"][-1]


def test_the_same_seed_gives_the_same_numbers(judge):
    first, second = (judge(predict(course_of(2)), random_seed=5, output=None) for _ in range(2))
    assert first.out == second.out
    assert first.out != judge(predict(course_of(2)), random_seed=6, output=None).out


# ------------------------------------------------------------------------------------------------------------- output


def test_the_page_needs_nothing_and_escapes_names(judge, tmp_path):
    evil = tmp_path / "<script>alert(1)<"
    evil.mkdir()
    path = evil / "p.nii.gz"
    nib.save(image_of(predict(course_of(2))), path)
    answer = judge(path)
    page = (answer.folder / "report.html").read_text()
    assert "<script" not in page
    assert "http" not in page.split("<main", 1)[1].split("<footer", 1)[0].replace("http://www.w3.org", "")
    assert answer.verdict["headline"] in page
    assert "own mean image" in page
    table = pd.read_csv(answer.folder / "scores.tsv", sep="\t", na_values="n/a")
    assert table.model.iloc[0] == "prediction"
    assert {"kind", "pooled_r_low", "gain_high", "connectivity_r", "pooled_r_no_global"} <= set(table.columns)


def test_nothing_is_written_without_an_output(judge, tmp_path):
    answer = judge(predict(course_of(2)), output=None)
    assert answer.code == 0, answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["predicted0.nii.gz"]


# ------------------------------------------------------------------------------------------------------------- errors

GOOD = predict(course_of(2))
OTHER_AFFINE = AFFINE + np.pad([[3.0]], ((0, 3), (3, 0)))
NAN = GOOD.copy()
NAN[5, 6, 4, 17] = np.nan


@pytest.mark.parametrize(
    ("image", "code", "message"),
    [
        ("nowhere.nii.gz", 66, "nowhere.nii.gz: expected a file, found none"),
        (GOOD[..., 0], 65, "expected a series of volumes (4-D), found 3-D"),
        (GOOD[..., :148], 65, "expected 150 volumes, as measured.nii.gz has, found 148"),
        (
            GOOD[:10],
            65,
            "expected the grid of measured.nii.gz (11 x 12 x 10 voxels, affine [12 0 0 -60; 0 11 0 -60; 0 0 ",
        ),
        (image_of(GOOD, affine=OTHER_AFFINE), 65, "found 11 x 12 x 10 voxels, affine [12 0 0 -57; "),
        (image_of(GOOD, tr_s=2.5), 65, "found 2 s in the measured series and 2.5 s in the header"),
        (NAN, 65, "expected numbers in the mask, found NaN or infinity in 1 of 150 volumes and 1 of "),
    ],
)
def test_a_prediction_that_does_not_fit_is_refused_in_one_line(image, code, message, judge):
    answer = judge(image)
    assert answer.code == code
    assert message in answer.line
    assert not (answer.folder / "summary.json").exists()


def test_what_is_no_nifti_is_refused(judge, tmp_path):
    (tmp_path / "text.nii.gz").write_text("no image")
    assert judge(tmp_path / "text.nii.gz").line.startswith(f"{tmp_path / 'text.nii.gz'}: expected a whole NIfTI file")
    whole = tmp_path / "whole.nii.gz"
    nib.save(image_of(GOOD), whole)
    (tmp_path / "cut.nii.gz").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    answer = judge(tmp_path / "cut.nii.gz")
    assert answer.code == 65
    assert "found it unreadable" in answer.line
    nib.save(nib.MGHImage(GOOD.astype(np.float32), AFFINE), tmp_path / "free.mgz")
    answer = judge(tmp_path / "free.mgz")
    assert answer.code == 65
    assert "it is a MGHImage" in answer.line


def test_a_prediction_on_another_grid_can_be_resampled(judge):
    moved = np.zeros((13, 12, 10, N))
    moved[1:12] = GOOD
    affine = AFFINE.copy()
    affine[0, 3] -= 12.0
    answer = judge(image_of(moved, affine=affine), resample=True)
    assert answer.code == 0, answer.err
    assert answer.scores["prediction"]["pooled_r"] == pytest.approx(
        judge(GOOD).scores["prediction"]["pooled_r"], abs=1e-3
    )


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"tr": 3.0}, 65, "measured.nii.gz: expected one repetition time, found 3 s in --tr and 2 s in the header"),
        ({"tr": -1.0}, 64, "--tr: expected a time in s above 0, found -1"),
        ({"mask": "nowhere.nii"}, 66, "nowhere.nii: expected a file, found none"),
        ({"eeg": "nowhere.vhdr"}, 66, "nowhere.vhdr: expected a file, found none"),
        ({"events": "nowhere.tsv"}, 66, "nowhere.tsv: expected a file, found none"),
        ({"confounds": "nowhere.tsv"}, 66, "nowhere.tsv: expected a file, found none"),
        ({"blocks": "nowhere.tsv"}, 66, "nowhere.tsv: expected a file, found none"),
        ({"events": ["a.tsv", "b.tsv"]}, 64, "--events: expected one for each of 1 runs, found 2"),
        ({"alpha": 2.0}, 64, "evaluation.alpha: input should be less than 1, not 2.0"),
        ({"random_seed": -1}, 64, "--random-seed: expected a number from 0"),
        ({"output": "/proc/nowhere"}, 73, "/proc/nowhere: expected a folder to write to"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(options, code, message, judge):
    answer = judge(GOOD, **options)
    assert answer.code == code
    assert message in answer.line


def test_a_measurement_without_intensities_is_refused(files, tmp_path, capsys):
    nib.save(image_of(GOOD - GOOD.mean(-1, keepdims=True)), tmp_path / "centered.nii.gz")
    nib.save(image_of(GOOD), tmp_path / "predicted.nii.gz")
    paths = [str(tmp_path / "predicted.nii.gz"), str(tmp_path / "centered.nii.gz")]
    assert main([*paths, "--mask", str(files / "mask.nii.gz")]) == 65
    assert "centered.nii.gz: expected intensities, found" in capsys.readouterr().err


def test_a_mask_has_to_lie_on_the_grid_and_hold_something(judge, tmp_path):
    nib.save(image_of(BRAIN[:9].astype(np.uint8)), tmp_path / "small.nii.gz")
    assert "small.nii.gz: expected the grid of measured.nii.gz" in judge(GOOD, mask=tmp_path / "small.nii.gz").line
    nib.save(image_of(np.zeros(SHAPE, np.uint8)), tmp_path / "empty.nii.gz")
    answer = judge(GOOD, mask=tmp_path / "empty.nii.gz")
    assert answer.code == 65
    assert "empty.nii.gz: expected a mask of at least 20 voxels, found 0" in answer.line


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"block": range(N)}), "expected a column fold, found block"),
        (pd.DataFrame({"fold": range(N - 1)}), "expected 150 rows, one per volume, found 149"),
        (pd.DataFrame({"fold": ["first"] * N}), "expected whole numbers from 0 on or n/a as fold, found 'first'"),
        (
            pd.DataFrame({"fold": ["n/a"] * (N - 7) + ["0"] * 7}),
            "expected at least 20 volumes that were predicted, found 7",
        ),
    ],
)
def test_a_table_of_blocks_that_does_not_fit_is_refused(table, message, judge, tmp_path):
    table.to_csv(tmp_path / "blocks.tsv", sep="\t", index=False)
    answer = judge(GOOD, blocks=tmp_path / "blocks.tsv")
    assert answer.code == 65
    assert message in answer.line


def test_files_come_in_pairs(capsys):
    assert main(["a.nii.gz", "b.nii.gz", "c.nii.gz"]) == 64
    assert "expected PREDICTED MEASURED, two files for each run, found 3" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------------- help


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom bids_eeg2fmri.evaluation.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'nibabel', 'mne', 'keras', 'tensorflow', 'pydantic'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "bids_eeg2fmri.evaluation", "--help"], capture_output=True, text=True
        )
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5
    assert done.returncode == 0
    assert "It is assumed that one model predicted the series" in done.stdout


def test_a_judgement_needs_no_tensorflow(files, tmp_path):
    nib.save(image_of(GOOD), tmp_path / "predicted.nii.gz")
    code = (
        "import sys\nfrom bids_eeg2fmri.evaluation.__main__ import main\n"
        "code = main(sys.argv[1:])\n"
        "print(sorted({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)), code, file=sys.stderr)\n"
    )
    paths = [str(tmp_path / "predicted.nii.gz"), str(files / "measured.nii.gz")]
    options = ["--mask", str(files / "mask.nii.gz"), "--config-file", str(files / "quick.toml")]
    done = subprocess.run([sys.executable, "-c", code, *paths, *options], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[] 0"


def test_the_example_of_the_documentation_prints_what_it_says(capsys):
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    code, printed = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, re.DOTALL)[-1]
    exec(compile(code, "docs/evaluation.md", "exec"), {})
    assert capsys.readouterr().out == printed
