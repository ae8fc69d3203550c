"""Between participants, too, what ignores the EEG stands beside the model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.evaluation.baselines import schedule_features
from bids_eeg2fmri.workflow.account import Account, Task
from bids_eeg2fmri.workflow.blind import NUISANCE, SCHEDULE
from bids_eeg2fmri.workflow.transfer import read_sample, transfer

N = 75


@pytest.fixture
def written(make_run, quick, tmp_path):
    """Three participants whose BOLD follows their own schedule of the same two conditions."""
    derivatives = Derivatives(tmp_path / "derivatives", tmp_path)
    paths = []
    pattern = np.random.default_rng(0).standard_normal(make_run(N).grid.n_voxels)
    for number in range(3):
        rng = np.random.default_rng(number)
        onsets_s = np.sort(rng.uniform(0, 2 * N - 10, 14)).round(2)
        # Their names sort differently in each: a third type is there in one of them.
        kinds = rng.choice(["left", "right"], 14) if number else np.r_[["break"] * 2, ["left", "right"] * 6]
        events = pd.DataFrame({"onset": onsets_s, "duration": 3.0, "trial_type": kinds})
        run = make_run(N, seed=number)
        course = schedule_features(events, N, 2.0, ["left", "right"])
        course = course[:, 3] - course[:, 6]
        change = np.outer(course / course.std(), pattern) + rng.standard_normal((N, len(pattern)))
        eeg = tmp_path / f"sub-{number:02d}/eeg/sub-{number:02d}_task-x_eeg.vhdr"
        recording = replace(run.recording, subject=f"{number:02d}", eeg=eeg, bold=None)
        run = replace(
            run,
            recording=recording,
            table=(500 * (1 + change / 100)).astype(np.float32),
            events=events,
            motion=rng.standard_normal((N, 24)).astype(np.float32) if number != 1 else None,
        )
        account = Account(Task(tmp_path, derivatives, quick), f"{number:02d}", [recording], [], {}, 2.0)
        account.samples(run)
        path = derivatives.write_events(recording, events).as_posix()
        paths.append((f"sub-{number:02d}", recording.name, account.entries[recording.file]["files"]["samples"], path))
    return derivatives, paths


def test_samples_keep_what_is_known_of_events_and_body(written):
    derivatives, paths = written
    first, second, _ = (read_sample(derivatives, *which) for which in paths)
    assert first.motion.shape == (N, 24)
    assert (second.motion, second.cardiac) == (None, None)
    assert set(second.events.trial_type) == {"left", "right"}
    assert read_sample(derivatives, *paths[0][:3]).events is None


def test_the_schedule_of_others_explains_what_follows_it(written, quick):
    derivatives, paths = written
    samples = [read_sample(derivatives, *which) for which in paths]
    transferred = transfer(derivatives, samples, quick, seed=0, report=lambda what: None)
    for scores in transferred.scores.values():
        table = scores.table.set_index("model")
        assert list(table.index) == [
            "smooth", "lagged band-power ridge", "time only", SCHEDULE, NUISANCE, "mean image"
        ]  # fmt: skip
        assert table.pooled_r[SCHEDULE] > 0.35
        assert table.pooled_r.drop(SCHEDULE).max() < 0.15


def test_the_model_is_told_who_is_who(written, quick):
    """What participants have for themselves can be told apart, so its share matters."""
    derivatives, paths = written
    samples = [read_sample(derivatives, *which) for which in paths]
    kernels = []
    for own_share in (0.0, 5.0):
        settings = replace(quick, training=replace(quick.training, options={"own_share": own_share}))
        transferred = transfer(derivatives, samples, settings, seed=0, report=lambda what: None)
        kernels.append(transferred.synthesizer.network.get_layer("coefficients").get_weights()[0])
    assert not np.allclose(*kernels, rtol=0.05)
