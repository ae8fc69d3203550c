import numpy as np
import pytest
from scipy.stats import kstest

from bids_eeg2fmri.evaluation.chance import (
    Forecast,
    compare_with,
    exchanged,
    randomize_phases,
    share_significant,
    shifted,
)
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement

LABELS = np.array([0, 0, 1, 1, 2])


def slow_noise(rng, n_volumes, n):
    """Autocorrelated as BOLD is."""
    white = rng.standard_normal((n_volumes + 20, n))
    return np.apply_along_axis(np.convolve, 0, white, np.hanning(7), mode="same")[10:-10]


def line(n):
    return np.stack([np.ones(n), np.linspace(-1, 1, n)], 1)


def forecast(measured, predicted):
    return Forecast.of(measured, predicted, line(len(measured)))


def compare(measured, predicted, *, n_draws=200, shortest=8, seed=0, **options):
    runs = [forecast(measured, predicted)]
    draws = shifted(runs, shortest=[shortest], n_draws=n_draws, seed=seed)
    return compare_with(runs, draws, labels=LABELS[: measured.shape[1]], **options)


def test_p_is_uniform_where_there_is_nothing():
    rng = np.random.default_rng(0)
    p, smallest, of_voxels = [], [], []
    for _ in range(250):
        chance = compare(slow_noise(rng, 60, 5), slow_noise(rng, 60, 5), independent_draws=20)
        step = 1 / (1 + len(chance.null_pooled_r))
        p.append(chance.p - rng.uniform(0, step))  # p has steps
        smallest.append(chance.region_p.min() - rng.uniform(0, step))
        of_voxels.append(chance.voxel_p[3])
    assert kstest(p, "uniform").pvalue > 0.01
    # Corrected for the number of regions, the smallest p of a null is an ordinary p.
    assert kstest(smallest, "uniform").pvalue > 0.01
    assert kstest(of_voxels, "uniform").pvalue > 0.01


def test_p_is_small_where_there_is_something():
    rng = np.random.default_rng(11)
    measured = slow_noise(rng, 120, 5)
    predicted = slow_noise(rng, 120, 5)
    predicted[:, 4] = measured[:, 4] + 0.5 * predicted[:, 4]
    chance = compare(measured, predicted, independent_draws=40)
    assert chance.p < 0.02
    assert chance.region_p[2] < 0.02
    assert chance.region_p[:2].min() > 0.05
    assert chance.voxel_p[4] < 1e-6
    assert share_significant(chance.voxel_p) == 0.2


def test_false_discoveries_among_voxels_without_anything_are_rare():
    rng = np.random.default_rng(6)
    p = []
    for _ in range(100):
        runs = [forecast(slow_noise(rng, 90, 60), slow_noise(rng, 90, 60))]
        draws = shifted(runs, shortest=[8], n_draws=200, seed=0)
        p.append(compare_with(runs, draws, labels=np.zeros(60, int), independent_draws=30).voxel_p)
    # Where there is nothing, a single voxel found is a false discovery; with the normal distribution it is in 14 of 100.
    assert sum(share_significant(of_one) > 0 for of_one in p) <= 5 + 2 * np.sqrt(100 * 0.05 * 0.95)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.01)
    assert np.mean(np.array(p) < 0.001) <= 0.002


def test_the_real_prediction_counts_among_the_draws():
    rng = np.random.default_rng(2)
    measured = slow_noise(rng, 60, 4)
    chance = compare(measured, measured, n_draws=1000, shortest=5)
    assert len(chance.null_pooled_r) == 51  # shifts by 5 to 55 volumes, each once
    assert chance.p == pytest.approx(1 / 52)


def test_the_score_of_the_real_prediction_is_that_of_the_metrics():
    rng = np.random.default_rng(3)
    measured, predicted = slow_noise(rng, 90, 5), slow_noise(rng, 90, 5)
    agreement = measure_agreement([Course(measured, predicted, line(90))])
    assert compare(measured, predicted).pooled_r == pytest.approx(agreement.pooled_r, abs=1e-4)


def held_out(rng, n_runs=2):
    """Runs of two blocks, each predicted by a model of its own basis."""
    runs = []
    for n in (60, 45)[:n_runs]:
        model = (np.arange(n) >= n // 2).astype(int)
        bases = rng.standard_normal((2, 3, 5)).astype(np.float32)
        runs.append(Forecast(slow_noise(rng, n, 5), line(n), model, rng.standard_normal((2, n, 3)), bases))
    return runs


def as_table(run, coefficients):
    """The prediction in voxels, the long way."""
    return np.stack([c @ run.bases[model] for c, model in zip(coefficients, run.model, strict=True)])


def test_models_of_blocks_score_as_the_voxels_that_they_predict():
    runs = held_out(np.random.default_rng(4))
    draw = next(shifted(runs, shortest=[10, 10], n_draws=80, seed=0))
    for coefficients in ([run.real for run in runs], draw):
        as_real = [
            Forecast(r.measured, r.nuisance, r.model, np.stack([c, c]), r.bases)
            for r, c in zip(runs, coefficients, strict=True)
        ]
        chance = compare_with(as_real, [draw], labels=LABELS, independent_draws=20)
        courses = [Course(r.measured, as_table(r, c), r.nuisance) for r, c in zip(runs, coefficients, strict=True)]
        assert chance.pooled_r == pytest.approx(measure_agreement(courses).pooled_r, abs=1e-5)


def test_a_block_is_never_set_against_what_another_block_s_model_says():
    runs = held_out(np.random.default_rng(5), n_runs=1)
    runs[0].coefficients[0] = 7.0
    runs[0].coefficients[1] = -3.0
    for draw in shifted(runs, shortest=[10], n_draws=80, seed=0):
        assert (draw[0][runs[0].model == 0] == 7.0).all()
        assert (draw[0][runs[0].model == 1] == -3.0).all()


def test_runs_are_shifted_each_by_its_own_amount():
    chance = compare_with(
        runs := held_out(np.random.default_rng(4)),
        shifted(runs, shortest=[10, 10], n_draws=80, seed=0),
        labels=LABELS,
    )
    assert chance.null_pooled_r.shape == (80,)
    assert len(set(chance.null_pooled_r.round(9))) > 70


def test_the_same_seed_gives_the_same_draws():
    runs = held_out(np.random.default_rng(5))
    a, b = (compare_with(runs, shifted(runs, shortest=[10, 10], n_draws=80, seed=7), labels=LABELS) for _ in range(2))
    np.testing.assert_array_equal(a.null_pooled_r, b.null_pooled_r)


def test_a_run_that_is_too_short_to_shift_is_refused():
    with pytest.raises(ValueError, match="too short to shift"):
        compare(np.ones((12, 3)), np.ones((12, 3)), shortest=7)


def test_the_eeg_of_another_run_is_taken_from_another_run():
    runs = held_out(np.random.default_rng(8))
    for number, run in enumerate(runs):
        run.coefficients[:] = number
    others = [[runs[1].coefficients], [runs[0].coefficients]]
    for first, second in exchanged(runs, others, n_draws=30, seed=0):
        assert first.shape == (60, 3)
        assert second.shape == (45, 3)
        assert (first == 1).all()
        assert (second == 0).all()
    with pytest.raises(ValueError, match="found none"):
        next(exchanged(runs[:1], [[]], n_draws=3, seed=0))


@pytest.mark.parametrize("n", [80, 81])
def test_random_phases_keep_spectra_and_what_columns_share(n):
    rng = np.random.default_rng(9)
    values = slow_noise(rng, n, 4) + 5
    values[:, 3] = values[:, 2]
    surrogate = randomize_phases(values, seed=3)
    np.testing.assert_allclose(np.abs(np.fft.rfft(surrogate, axis=0)), np.abs(np.fft.rfft(values, axis=0)), atol=1e-9)
    np.testing.assert_allclose(np.corrcoef(surrogate.T), np.corrcoef(values.T), atol=1e-9)
    np.testing.assert_allclose(surrogate[:, 3], surrogate[:, 2])
    assert abs(np.corrcoef(surrogate[:, 0], values[:, 0])[0, 1]) < 0.7


def test_a_prediction_that_does_not_change_has_r_0_and_is_no_better_than_chance():
    rng = np.random.default_rng(10)
    chance = compare(slow_noise(rng, 60, 5), np.full((60, 5), 3.0), independent_draws=20)
    assert chance.pooled_r == 0
    assert chance.p == 1
    assert (chance.voxel_p == 1).all()
