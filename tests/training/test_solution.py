import numpy as np
import pytest

from bids_eeg2fmri.training.solution import choose

INNER = [(np.array([0, 1, 2]), np.array([4, 5])), (np.array([3, 4, 5]), np.array([0, 1]))]
TARGETS = np.array([[2.0, -1], [-2, 1], [0, 3], [1, 0], [2, 2], [-2, -2]])


def said(which, factors):
    return np.array([factor * TARGETS[which] for factor in factors])


def test_the_candidate_with_the_least_error_over_all_splits_is_chosen():
    """The second is best in the first split, the third in the other one and over both."""
    factors = [(0.0, 0.9, 0.6), (0.0, 0.1, 0.8)]
    choice = choose(
        TARGETS,
        INNER,
        [said(learn, (0.0, 0.5, 1.0)) for learn, _ in INNER],
        [said(judge, f) for (_, judge), f in zip(INNER, factors, strict=True)],
        independent=1.0,
    )
    assert choice.best == 3
    np.testing.assert_allclose(choice.training_loss, [[1, 0.25, 0]] * 2)
    np.testing.assert_allclose(choice.validation_loss, [[1, 0.01, 0.16], [1, 0.81, 0.04]])
    np.testing.assert_allclose(choice.judged[1], 0.8 * TARGETS[:2])
    assert choice.gains == pytest.approx([1, 1], abs=0.02)


def test_what_predicts_no_change_is_not_believed():
    none = [said(judge, (0.0,)) for _, judge in INNER]
    choice = choose(TARGETS, INNER, [said(learn, (0.0,)) for learn, _ in INNER], none, independent=1.0)
    assert choice.gains.tolist() == [0, 0]
    assert choice.validation_loss == ((1.0,), (1.0,))
