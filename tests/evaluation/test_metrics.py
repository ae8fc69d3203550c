import numpy as np
import pytest

from bids_eeg2fmri.evaluation.metrics import Course, coverage, measure_agreement, residual_maker


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def pair(rng, n_volumes=70, n=4):
    measured = rng.standard_normal((n_volumes, n))
    return measured, 0.4 * measured + rng.standard_normal((n_volumes, n))


def test_r_is_the_correlation_of_numpy(rng):
    measured, predicted = pair(rng)
    agreement = measure_agreement([Course(measured, predicted, np.ones((70, 1)))])
    expected = [np.corrcoef(measured[:, i], predicted[:, i])[0, 1] for i in range(4)]
    np.testing.assert_allclose(agreement.r, expected, atol=1e-6)


def test_amplitude_and_skill_by_their_definitions(rng):
    measured, predicted = pair(rng)
    measured -= measured.mean(0)
    predicted -= predicted.mean(0)
    agreement = measure_agreement([Course(measured, predicted, np.ones((70, 1)))])
    np.testing.assert_allclose(agreement.amplitude, predicted.std(0) / measured.std(0), rtol=1e-6)
    np.testing.assert_allclose(
        agreement.skill, 1 - ((measured - predicted) ** 2).sum(0) / (measured**2).sum(0), rtol=1e-6
    )
    assert agreement.pooled_r == pytest.approx(np.corrcoef(measured.ravel(), predicted.ravel())[0, 1], rel=1e-4)


def test_neither_side_is_judged_by_the_nuisance(rng):
    measured, predicted = pair(rng)
    nuisance = np.stack([np.ones(70), np.linspace(-1, 1, 70), np.arange(70) > 30], 1)
    clean = measure_agreement([Course(measured, predicted, nuisance)])
    drifting = Course(
        measured + nuisance @ rng.standard_normal((3, 4)) * 50, predicted - 9 * nuisance[:, 1:2], nuisance
    )
    np.testing.assert_allclose(measure_agreement([drifting]).r, clean.r, atol=1e-4)


def test_runs_are_judged_together_each_around_its_own_mean(rng):
    a, b = pair(rng, 70), pair(rng, 45)
    runs = [Course(*a, np.ones((70, 1))), Course(b[0] + 100, b[1] - 7, np.ones((45, 1)))]
    agreement = measure_agreement(runs)
    measured, predicted = (np.concatenate([x - x.mean(0), y - y.mean(0)]) for x, y in zip(a, b, strict=True))
    expected = [np.corrcoef(measured[:, i], predicted[:, i])[0, 1] for i in range(4)]
    np.testing.assert_allclose(agreement.r, expected, atol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 3.7])
def test_a_prediction_that_does_not_change_agrees_with_nothing(rng, constant):
    measured = rng.standard_normal((70, 4)).astype(np.float32)
    agreement = measure_agreement([Course(measured, np.full_like(measured, constant), np.ones((70, 1)))])
    assert agreement.r.tolist() == [0, 0, 0, 0]
    assert agreement.pooled_r == 0
    np.testing.assert_allclose(agreement.skill, 0, atol=1e-5)
    assert agreement.amplitude.max() == 0


@pytest.mark.parametrize("constant", [0.0, 5.0, 123.4])
def test_a_measured_series_that_never_changes_agrees_with_nothing(rng, constant):
    measured, predicted = (table.astype(np.float32) for table in pair(rng))
    measured[:, 2] = constant
    nuisance = np.stack([np.ones(70), np.linspace(-1, 1, 70), np.arange(70) > 30], 1)
    agreement = measure_agreement([Course(measured, predicted, nuisance)])
    assert agreement.r[2] == agreement.skill[2] == agreement.amplitude[2] == 0
    assert all(np.isfinite(getattr(agreement, name)).all() for name in ("r", "skill", "amplitude", "pooled_r"))


def test_a_prediction_that_is_worse_than_the_mean_has_negative_skill(rng):
    measured = rng.standard_normal((70, 4))
    assert measure_agreement([Course(measured, -measured, np.ones((70, 1)))]).skill.max() < -2


def test_the_residual_maker_has_the_rank_of_the_nuisance():
    ones = np.ones((20, 1))
    assert residual_maker(np.hstack([ones, 2 * ones, np.eye(20)[:, :3]])).shape == (20, 4)


def test_intervals_that_are_too_narrow_hold_less_than_they_should():
    noise = np.random.default_rng(0).standard_normal((400, 30))
    course = Course(noise + 5, np.zeros_like(noise), np.ones((400, 1)))  # the mean is left out on both sides
    found = {size: coverage([course], [np.full((400, 30), size)], (0.9,))[0] for size in (0.5, 1.0, 2.0)}
    assert found[0.5] < 0.62
    assert found[1.0] == pytest.approx(0.9, abs=0.01)
    assert found[2.0] > 0.99
