"""What participants share: a grid, a stimulus; and who is missing."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.testing.simulate import CAP, CAP_EXTENSION
from bids_eeg2fmri.workflow.account import Account, Task
from bids_eeg2fmri.workflow.group import _comparable_samples, _missing, _with_own_model
from bids_eeg2fmri.workflow.group_verdict import judge_group
from bids_eeg2fmri.workflow.mean_map import average_maps
from bids_eeg2fmri.workflow.shared_stimulus import share_stimulus

SHAPE, N = (3, 4, 5), 70
AFFINE = np.diag([3.0, 4.0, 5.0, 1.0])


@pytest.fixture
def derivatives(tmp_path):
    made = Derivatives(tmp_path / "out", tmp_path / "data")
    made.create()
    return made


def source(derivatives, name):
    eeg = derivatives.source / f"{name}_eeg.vhdr"
    return Recording(name[4:6], eeg, None, "paired", "same run")


@pytest.fixture
def with_map(derivatives):
    """Write a map of one r inside the mask; give the entry of the recording."""

    def write(name, r, *, mask=None, affine=AFFINE):
        mask = np.ones(SHAPE) if mask is None else mask
        r_map = nib.Nifti1Image((r * mask).astype(np.float32), affine)
        inside = nib.Nifti1Image(mask.astype(np.uint8), affine)
        files = {"r_map": derivatives.write_map(source(derivatives, name), r_map)}
        files["mask"] = derivatives.write_mask(source(derivatives, name), inside)
        return {"name": name, "files": {kind: path.as_posix() for kind, path in files.items()}}

    return write


def of_participants(*recordings):
    found = {}
    for entry in recordings:
        found.setdefault(entry["name"][:6], []).append(entry)
    return [{"participant_id": who, "recordings": entries} for who, entries in found.items()]


def test_maps_are_averaged_as_fishers_z_each_participant_once(derivatives, with_map):
    runs = [with_map("sub-01_run-1", 0.8), with_map("sub-01_run-2", 0.2), with_map("sub-02_run-1", -0.3)]
    mean = average_maps(derivatives, of_participants(*runs))
    expected = np.tanh(((np.arctanh(0.8) + np.arctanh(0.2)) / 2 + np.arctanh(-0.3)) / 2)
    np.testing.assert_allclose(mean.r.get_fdata(), expected, atol=1e-6)
    assert np.all(mean.count.get_fdata() == 2)
    assert mean.participants == ("sub-01", "sub-02")


def test_a_voxel_of_less_than_half_of_the_participants_is_left_out(derivatives, with_map):
    mask = np.ones(SHAPE)
    mask[0, 0, 0], few = 0, np.zeros(SHAPE)
    few[0, 1] = few[0, 0, 0] = 1
    runs = [
        with_map("sub-01_x", 0.4, mask=mask),
        with_map("sub-02_x", 0.4, mask=mask),
        with_map("sub-03_x", 0.6, mask=few),
    ]
    mean = average_maps(derivatives, of_participants(*runs))
    r, count = mean.r.get_fdata(), mean.count.get_fdata()
    assert (count[0, 0, 0], count[0, 1, 0], count[2, 0, 0]) == (1, 3, 2)
    assert r[0, 0, 0] == 0
    assert r[2, 0, 0] == pytest.approx(0.4)
    assert r[0, 1, 0] == pytest.approx(np.tanh((2 * np.arctanh(0.4) + np.arctanh(0.6)) / 3))


def test_maps_on_another_grid_are_left_out_and_named(derivatives, with_map):
    moved = AFFINE + np.pad([[2.0]], ((0, 3), (3, 0)))
    # One participant with many runs is not the majority.
    runs = [with_map(f"sub-01_run-{i}", 0.9, affine=moved) for i in range(3)]
    runs += [with_map("sub-02_x", 0.3), with_map("sub-03_x", 0.3)]
    mean = average_maps(derivatives, of_participants(*runs))
    np.testing.assert_allclose(mean.r.get_fdata(), 0.3, atol=1e-6)
    assert [entry["name"] for entry in mean.left_out] == ["sub-01_run-0", "sub-01_run-1", "sub-01_run-2"]
    assert "differs" in mean.left_out[0]["reason"]


def test_without_maps_there_is_no_mean(derivatives):
    assert average_maps(derivatives, of_participants({"name": "sub-01_x", "files": {}})) is None


@pytest.fixture
def watching(derivatives):
    """Write what a participant saw, and regions of which the first follows it."""
    stimulus = np.random.default_rng(0).standard_normal(N)

    def write(name, *, delay_s=0.0, n=N, noise=0.0, regions=("L15A15S15", "R15A15S15"), kinds="ab", skip=4):
        rng = np.random.default_rng(int(name[4:6]))
        recording = source(derivatives, name)
        events = pd.DataFrame({"onset": [3.0 + delay_s, 40.5 + delay_s], "duration": 2.0, "trial_type": list(kinds)})
        values = rng.standard_normal((n, len(regions)))
        values[:, 0] = stimulus[:n] + noise * values[:, 0]
        values[:skip] = np.nan
        table = pd.DataFrame({"onset": 7.0 + 2.0 * np.arange(n)})
        for number, region in enumerate(regions):
            table[f"{region}_measured"], table[f"{region}_synthesized"] = values[:, number], 1.0
        files = {"events": derivatives.write_events(recording, events)}
        files["regions"] = derivatives.write_regions(recording, table)
        return {"name": name, "tr_s": 2.0, "files": {kind: path.as_posix() for kind, path in files.items()}}

    return write


def test_what_all_saw_is_found_in_the_region_that_follows_it(derivatives, watching):
    entries = [watching(f"sub-0{i}_task-film", delay_s=0.1 * i, skip=i) for i in range(1, 5)]
    [stimulus] = share_stimulus(derivatives, of_participants(*entries))["stimuli"]
    assert (stimulus["task"], stimulus["n_volumes"]) == ("film", N - 4)
    assert stimulus["participants"] == ["sub-01", "sub-02", "sub-03", "sub-04"]
    assert [region["name"] for region in stimulus["regions"]] == ["L15A15S15", "R15A15S15"]
    first, second = (region["r"] for region in stimulus["regions"])
    assert first == pytest.approx(1.0)
    assert abs(second) < 0.3
    assert stimulus["median_r"] == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("other", [{"delay_s": 0.7}, {"kinds": "ba"}])
def test_events_of_another_time_or_kind_are_another_stimulus(derivatives, watching, other):
    entries = [watching("sub-01_task-film"), watching("sub-02_task-film", **other)]
    assert "same events, 0.5 s apart at most" in share_stimulus(derivatives, of_participants(*entries))["reason"]


def test_the_same_events_in_another_task_are_another_stimulus(derivatives, watching):
    entries = [watching("sub-01_task-film"), watching("sub-02_task-rest")]
    assert "reason" in share_stimulus(derivatives, of_participants(*entries))


def test_two_runs_of_one_participant_are_no_two_participants(derivatives, watching):
    entries = [watching(f"sub-01_task-film_run-{i}") for i in (1, 2)]
    assert "reason" in share_stimulus(derivatives, of_participants(*entries))


def test_who_has_other_regions_or_volumes_is_left_out_with_the_reason(derivatives, watching):
    entries = [watching(f"sub-0{i}_task-film") for i in (1, 2)]
    entries += [watching("sub-03_task-film", n=N - 1), watching("sub-04_task-film", regions=("L45A15S15",))]
    [stimulus] = share_stimulus(derivatives, of_participants(*entries))["stimuli"]
    assert stimulus["participants"] == ["sub-01", "sub-02"]
    assert [(entry["name"], entry["reason"]) for entry in stimulus["left_out"]] == [
        ("sub-03_task-film", "another number of volumes than most participants"),
        ("sub-04_task-film", "other regions than most participants"),
    ]


def test_a_recording_of_another_cap_is_left_out_with_what_to_do(make_run, quick, derivatives):
    caps = {"01": CAP[:12], "02": CAP[:12], "03": [*CAP[:3], *CAP_EXTENSION[:9]], "04": CAP[1:12]}
    summaries = []
    for label, names in caps.items():
        run = make_run(40, seed=int(label))
        spectrum = replace(run.spectrum, power=run.spectrum.power[:, [0] * len(names)], channels=tuple(names))
        recording = source(derivatives, f"sub-{label}_task-x")
        run = replace(run, recording=recording, spectrum=spectrum, positions=[None] * len(names))
        account = Account(Task(derivatives.source, derivatives, quick), label, [recording], [], {}, 2.0)
        account.samples(run)
        summaries.append({"participant_id": f"sub-{label}", "recordings": list(account.entries.values())})
    samples, left_out = _comparable_samples(derivatives, summaries)
    assert [s.participant for s in samples] == ["sub-01", "sub-02", "sub-04"]
    assert {s.spectrum.channels for s in samples} == {tuple(CAP[1:12])}
    [entry] = left_out
    assert entry["name"] == "sub-03_task-x"
    assert "name these in [montage] of the settings" in entry["reason"]


def test_who_was_never_processed_is_told_by_the_raw_data(derivatives):
    for label in ("01", "02", "03"):
        (derivatives.source / f"sub-{label}").mkdir(parents=True)
    (derivatives.source / "participants.tsv").write_text("participant_id\tage\nsub-01\t30\nsub-05\t31\nsub-03\t9\n")
    derivatives.write_failure("02", "sub-02_eeg.vhdr: expected a file, found none")
    missing = _missing(derivatives, [{"participant_id": "sub-01", "recordings": []}], [])
    assert [(entry["name"], entry["reason"]) for entry in missing] == [
        ("sub-02", "sub-02_eeg.vhdr: expected a file, found none"),
        ("sub-03", "not processed yet; run the participant level"),
        ("sub-05", "in participants.tsv, but without a folder in the dataset"),
    ]


def test_who_was_not_asked_for_is_told_in_one_line(derivatives):
    (derivatives.source / "sub-09").mkdir(parents=True)
    missing = _missing(derivatives, [{"participant_id": "sub-01", "recordings": []}], ["02", "03"])
    assert missing == [{"name": "sub-02, sub-03", "reason": "processed, but not among those of --participant-label"}]


def test_who_has_no_model_of_their_own_is_named(derivatives):
    summaries = [
        {"participant_id": "sub-01", "training": [], "chance": {"p": 0.2}},
        {"participant_id": "sub-02", "training": [], "verdict": {"headline": "No verdict: too short"}},
        {"participant_id": "sub-03", "chance": {"p": 0.2}, "model": {"bundle": "models/group"}},
        {"participant_id": "sub-04"},
    ]
    own, others = _with_own_model(summaries)
    assert list(own) == ["sub-01"]
    assert [entry["reason"] for entry in others] == [
        "No verdict: too short", "a saved model was applied (models/group)", "no BOLD to learn from"
    ]  # fmt: skip


@pytest.fixture
def judged():
    part = {"n": 6, "mean_r": 0.2, "mean_r_low": 0.1, "mean_r_high": 0.3, "p": 0.001, "p_population": 0.016}
    part |= {"mean_gain": 0.02, "mean_gain_low": 0.01, "mean_gain_high": 0.03, "p_gain_population": 0.03}
    return part | {"n_better": 4, "n_collapsed": 0, "regions": [{"name": "L15A15S15", "r": 0.3, "p": 0.01}]}


def test_a_group_that_beats_chance_but_not_the_schedule_is_told_so(judged):
    worse = judged | {"mean_gain": -0.01, "mean_gain_low": -0.02}
    verdict = judge_group({"within": worse, "transfer": {"reason": "too few"}}, alpha=0.05)
    assert verdict["headline"] == "No better than the baselines that ignore the EEG"
    assert (verdict["better_than_chance"], verdict["better_than_baselines"]) == (True, False)


def test_the_verdict_tells_in_how_many_where_and_for_whom(judged):
    verdict = judge_group({"within": judged, "transfer": judged | {"p": 0.4, "n_better": 1}}, alpha=0.05)
    assert verdict["headline"] == "Better than chance within participants"
    within, transfer = verdict["sentences"]
    assert "By themselves, 4 of 6 are better than both." in within
    assert "For the people they were drawn from: p = 0.016 for r, p = 0.030 for the skill" in within
    assert "In 1 of 1 regions, corrected for their number: L15A15S15 (mean r = 0.30)." in within
    assert transfer.startswith("Transferred between participants: no better than chance; mean r = 0.20")
    assert "L15A15S15" not in transfer


def test_few_participants_cannot_speak_for_others_and_that_is_told(judged):
    verdict = judge_group({"within": judged | {"n": 3, "n_better": 3}, "transfer": {"reason": "too few"}}, alpha=0.05)
    assert "and 3 can't give less than 0.125" in verdict["sentences"][0]


def test_constant_images_everywhere_are_the_headline(judged):
    flat = judged | {"p": 0.9, "mean_gain": 0.0, "n_better": 0, "n_collapsed": 6}
    verdict = judge_group({"within": flat, "transfer": {"reason": "too few"}}, alpha=0.05)
    assert verdict["headline"] == "The models give constant images"
    assert verdict["collapsed"] is True
    assert "In 6 of 6 the model gives a constant image." in verdict["sentences"][0]


@pytest.mark.parametrize(("space", "told"), [("native", True), ("standard", False), ("MNI152NLin2009cAsym", False)])
def test_transfer_between_brains_in_no_common_space_is_told_with_what_to_do(judged, space, told):
    verdict = judge_group({"within": judged, "transfer": judged | {"space": space}}, alpha=0.05)
    assert any("--output-spaces MNI152NLin2009aAsym" in sentence for sentence in verdict["sentences"]) == told


def test_a_recording_on_another_grid_is_left_out_with_what_to_do(make_run, quick, derivatives):
    summaries = []
    for number, label in enumerate(("01", "02", "03")):
        run = make_run(40, seed=number)
        recording = source(derivatives, f"sub-{label}_task-x")
        run = replace(run, recording=recording, grid=run.grid if number else replace(run.grid, space="T1w"))
        account = Account(Task(derivatives.source, derivatives, quick), label, [recording], [], {}, 2.0)
        account.samples(run)
        summaries.append({"participant_id": f"sub-{label}", "recordings": list(account.entries.values())})
    samples, [left] = _comparable_samples(derivatives, summaries)
    assert [sample.participant for sample in samples] == ["sub-02", "sub-03"]
    assert left["name"] == "sub-01_task-x"
    assert "voxel grid or position differ from those of most recordings" in left["reason"]
    assert "--output-spaces MNI152NLin2009aAsym" in left["reason"]
