import pytest

from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.workflow.participant import _without_short_runs


def test_a_run_too_short_to_train_on_is_left_out_with_a_reason(make_run, quick):
    long, short = make_run(100), make_run(9, seed=1)
    kept, left_out = _without_short_runs([long, short], quick)
    assert kept == [long]
    assert [(recording.name, reason.split(":")[0]) for recording, reason in left_out] == [
        ("sub-01_task-rest_run-2", "too short to train on")
    ]


def test_nothing_but_short_runs_is_an_error_with_the_numbers(make_run, quick):
    with pytest.raises(InputDataError, match=r"expected at least \d+ volumes .* found 9; apply a saved model"):
        _without_short_runs([make_run(9)], quick)
