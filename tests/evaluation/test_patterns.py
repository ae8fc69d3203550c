import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement
from bids_eeg2fmri.evaluation.patterns import connectivity_agreement, spatial_r, spectral_agreement, without_global

RUNS = (150, 110)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def nuisance_of(n):
    return np.stack([np.ones(n), np.linspace(-1, 1, n), np.arange(n) > n // 2], 1)


def make_courses(predict, rng, *, mixing=None, n=9, offset=0.0, dtype=np.float64):
    """Regions that are connected by a mixing matrix, a prediction made from each run, and nuisance on both sides."""
    mixing = np.eye(n) if mixing is None else mixing
    courses = []
    for n_volumes in RUNS:
        measured = rng.standard_normal((n_volumes, len(mixing))) @ mixing
        nuisance = nuisance_of(n_volumes)
        predicted = predict(measured) + nuisance @ rng.standard_normal((3, measured.shape[1])) + offset
        drifting = measured + nuisance @ rng.standard_normal((3, measured.shape[1])) * 5 + offset
        courses.append(Course(drifting.astype(dtype), predicted.astype(dtype), nuisance))
    return courses


def random_mixing(rng, n=40):
    return rng.standard_normal((n, n)) * rng.random(n)


def test_spatial_r_is_the_correlation_of_numpy_at_each_volume(rng):
    courses = make_courses(lambda measured: measured + rng.standard_normal(measured.shape), rng, n=30)
    expected = []
    for course in courses:
        q, _ = np.linalg.qr(course.nuisance)
        sides = [x - q @ (q.T @ x) for x in (course.measured, course.predicted)]
        expected += [np.corrcoef(m, p)[0, 1] for m, p in zip(*sides, strict=True)]
    np.testing.assert_allclose(spatial_r(courses), expected, atol=1e-9)
    assert 0.6 < np.median(expected) < 0.8


def test_spatial_r_is_the_same_however_many_voxels_are_read_at_once(rng, monkeypatch):
    courses = make_courses(lambda measured: measured + rng.standard_normal(measured.shape), rng, n=31)
    whole = spatial_r(courses)
    monkeypatch.setattr("bids_eeg2fmri.evaluation.patterns._VOXELS_AT_ONCE", 7)
    np.testing.assert_allclose(spatial_r(courses), whole, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 123.4])
@pytest.mark.parametrize("course_over_time", [np.zeros_like, np.sin])
def test_a_prediction_that_is_the_same_in_all_voxels_has_no_spatial_pattern(rng, dtype, offset, course_over_time):
    def predict(measured):
        return np.tile(course_over_time(np.arange(len(measured), dtype=float))[:, None], (1, measured.shape[1]))

    courses = make_courses(predict, rng, offset=offset, dtype=dtype)
    same = [
        Course(c.measured, predict(c.measured).astype(dtype) + dtype(offset), c.nuisance) for c in courses
    ]  # without make_courses' nuisance of each region
    assert spatial_r(same).tolist() == [0] * sum(RUNS)


def test_connectivity_agrees_with_itself_whatever_the_unit_of_each_run(rng):
    courses = make_courses(lambda measured: 0.3 * measured, rng, mixing=random_mixing(rng))
    courses[1] = Course(100 * courses[1].measured, courses[1].predicted, courses[1].nuisance)
    assert connectivity_agreement(courses) == pytest.approx(1)


def test_connectivity_can_agree_without_any_agreement_over_time(rng):
    mixing = random_mixing(rng)
    courses = make_courses(lambda measured: rng.standard_normal(measured.shape) @ mixing, rng, mixing=mixing)
    assert connectivity_agreement(courses) > 0.7
    assert np.abs(measure_agreement(courses).r).mean() < 0.1


def test_shuffled_connectivity_agrees_with_nothing(rng):
    shuffled = []
    for seed in range(20):
        one = np.random.default_rng(seed)
        order = one.permutation(40)
        courses = make_courses(lambda measured, order=order: measured[:, order], one, mixing=random_mixing(one))
        shuffled.append(connectivity_agreement(courses))
    assert abs(np.mean(shuffled)) < 0.05
    assert np.abs(shuffled).max() < 0.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_prediction_has_no_connectivity(rng, dtype):
    courses = make_courses(lambda measured: 0 * measured, rng, offset=50.0, dtype=dtype)
    assert np.isnan(connectivity_agreement(courses))


def test_two_regions_are_too_few_for_connectivity(rng):
    assert np.isnan(connectivity_agreement(make_courses(lambda measured: measured, rng, n=2)))


def test_a_region_that_does_not_change_is_left_out_of_connectivity(rng):
    def predict(measured):
        return measured * (np.arange(9) != 4)

    assert connectivity_agreement(make_courses(predict, rng)) == pytest.approx(1)


def test_a_prediction_that_is_global_alone_connects_all_pairs_alike(rng):
    def predict(measured):
        return np.tile(measured[:, :1], (1, measured.shape[1]))

    assert np.isnan(connectivity_agreement(make_courses(predict, rng)))


def smooth(table, sigma=2.0):
    return gaussian_filter1d(table, sigma, axis=0)


def test_spectra_agree_with_themselves(rng):
    courses = make_courses(lambda measured: 0.2 * measured, rng)
    assert spectral_agreement(courses, 2.1) == pytest.approx(1)


def test_spectra_agree_for_noise_that_is_as_smooth_as_the_measurement(rng):
    """Why a spectrum alone proves nothing."""
    courses = make_courses(lambda measured: smooth(rng.standard_normal(measured.shape)), rng)
    courses = [Course(smooth(c.measured), c.predicted, c.nuisance) for c in courses]
    assert spectral_agreement(courses, 2.1) > 0.9
    assert np.abs(measure_agreement(courses).r).mean() < 0.2


def test_spectra_disagree_where_the_prediction_is_fast_and_the_measurement_slow(rng):
    courses = make_courses(lambda measured: measured - smooth(measured), rng)
    courses = [Course(smooth(c.measured), c.predicted, c.nuisance) for c in courses]
    assert spectral_agreement(courses, 2.1) < -0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_prediction_that_does_not_change_counts_as_0_among_spectra(rng, dtype):
    courses = make_courses(lambda measured: 0 * measured, rng, offset=50.0, dtype=dtype)
    assert spectral_agreement(courses, 2.1) == 0
    some = make_courses(lambda measured: measured * (np.arange(9) < 3), rng)
    assert spectral_agreement(some, 2.1) == pytest.approx(3 / 9)


def test_runs_shorter_than_8_volumes_have_no_spectrum(rng):
    courses = make_courses(lambda measured: measured, rng)
    short = Course(courses[0].measured[:7], courses[0].predicted[:7], courses[0].nuisance[:7])
    assert np.isnan(spectral_agreement([courses[1], short], 2.1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_global_only_the_own_part_of_each_voxel_is_left(rng, dtype):
    own, common = rng.standard_normal((2, 140, 35))
    own -= own.mean(1, keepdims=True)
    nuisance = nuisance_of(140)

    def table(own, common, weight):
        return (own + weight * common[:, :1] * np.ones(35) + nuisance @ rng.standard_normal((3, 35))).astype(dtype)

    course = Course(table(own, common, 9), table(own, common[:, 1:], 4), nuisance)
    before, [after] = measure_agreement([course]).pooled_r, without_global([course])
    assert before < 0.3
    assert measure_agreement([after]).pooled_r > 0.98
    q, _ = np.linalg.qr(nuisance)
    residual = after.measured - q @ (q.T @ after.measured)
    assert np.abs(residual.mean(1)).max() < 1e-4
    assert after.measured.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_prediction_that_is_global_alone_agrees_with_nothing_without_it(rng, dtype):
    def predict(measured):
        return np.tile(measured.mean(1, keepdims=True), (1, measured.shape[1]))

    courses = make_courses(lambda measured: measured + 2 * measured[:, :1], rng, n=60, dtype=dtype)
    courses = [Course(c.measured, predict(c.measured).astype(dtype), c.nuisance) for c in courses]
    agreement = measure_agreement(without_global(courses))
    assert measure_agreement(courses).pooled_r > 0.05
    assert agreement.pooled_r == 0
    assert agreement.r.tolist() == [0] * 60


@pytest.mark.parametrize("constant", [0.0, 77.7])
def test_a_constant_prediction_stays_as_it_is_without_global(rng, constant):
    courses = make_courses(lambda measured: measured, rng)
    flat = [Course(c.measured, np.full_like(c.measured, constant), c.nuisance) for c in courses]
    for course in without_global(flat):
        assert np.all(course.predicted == constant)
