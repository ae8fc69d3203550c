import numpy as np
import pytest

from bids_eeg2fmri.eeg.trains import Train, drop_echoes, find_trains, fit_line, join_trains

RESOLUTION_S = 0.0002


def grid(n, *, first_s=3.7, period_s=1.9):
    return first_s + period_s * np.arange(n)


def trains_of(onsets_s, period_s=1.9, *, resolution_s=RESOLUTION_S):
    return find_trains(np.asarray(onsets_s, float), period_s, resolution_s=resolution_s)


def test_a_grid_is_one_train():
    [train] = trains_of(grid(23))
    np.testing.assert_array_equal(train.onsets_s, grid(23))
    assert train.index.tolist() == list(range(23))
    assert train.n_places == 23


def test_the_order_of_the_markers_does_not_matter():
    [train] = trains_of(np.random.default_rng(0).permutation(grid(23)))
    np.testing.assert_array_equal(train.onsets_s, grid(23))


@pytest.mark.parametrize("stated_s", [1.9 * 0.9955, 1.9 * 1.0045])
def test_the_period_may_be_off_by_half_a_percent(stated_s):
    [train] = trains_of(grid(150), stated_s)
    assert train.n_places == len(train.index) == 150


def test_another_period_gives_no_train():
    assert trains_of(grid(150), 1.9 * 1.03) == []
    assert trains_of(grid(150), 0.95) == []


def test_missing_markers_leave_places_out():
    [train] = trains_of(np.delete(grid(23), [4, 5, 6, 15]))
    assert train.index.tolist() == [i for i in range(23) if i not in (4, 5, 6, 15)]
    assert train.n_places == 23


def test_after_four_missing_markers_another_train_starts():
    early, late = trains_of(np.delete(grid(23), [9, 10, 11, 12]))
    assert [early.n_places, late.n_places] == [9, 10]
    np.testing.assert_array_equal(late.onsets_s, grid(23)[13:])
    assert late.index[0] == 0


def test_fewer_than_eight_markers_are_no_train():
    assert trains_of(grid(7)) == []
    assert len(trains_of(grid(8))) == 1
    assert trains_of([]) == []


def test_what_lies_off_the_grid_is_left_out():
    strays = [5.1, 17.4, 17.9, 60.0]
    [train] = trains_of([*grid(23), *strays])
    np.testing.assert_array_equal(train.onsets_s, grid(23))


def test_a_marker_that_came_late_leaves_its_place_out():
    onsets = grid(23)
    onsets[11] += 0.015  # so little that it is still its neighbours' neighbour
    [train] = trains_of(onsets)
    assert train.index.tolist() == [i for i in range(23) if i != 11]


def test_random_markers_are_no_train():
    assert trains_of(np.random.default_rng(1).uniform(0, 400, 60)) == []


def test_two_trains_at_different_times_come_in_their_order():
    early, late = trains_of([*grid(12, first_s=90.2), *grid(19)])
    assert [early.onsets_s[0], late.onsets_s[0]] == [3.7, 90.2]
    assert [early.n_places, late.n_places] == [19, 12]


@pytest.mark.parametrize("sfreq", [100, 250])
def test_markers_may_be_rounded_to_samples(sfreq):
    onsets = np.rint(grid(300, period_s=0.7283) * sfreq) / sfreq
    [train] = trains_of(onsets, 0.7283, resolution_s=1 / sfreq)
    assert len(train.index) == train.n_places == 300


def test_echoes_are_dropped_and_the_first_is_kept():
    onsets = np.array([1.0, 1.003, 1.06, 2.9, 2.95, 4.8])
    assert drop_echoes(onsets, 0.19).tolist() == [1.0, 2.9, 4.8]
    assert drop_echoes(np.array([]), 0.19).tolist() == []


def test_trains_on_one_grid_are_joined_over_a_gap():
    trains = trains_of(np.delete(grid(40), np.arange(13, 22)))
    [joined] = join_trains(trains, period_s=1.9, resolution_s=RESOLUTION_S)
    assert joined.n_places == 40
    assert joined.index.tolist() == [*range(13), *range(22, 40)]


def test_trains_off_each_others_grid_are_not_joined():
    trains = trains_of([*grid(13), *grid(18, first_s=3.7 + 22.3 * 1.9)])
    assert len(trains) == 2
    assert join_trains(trains, period_s=1.9, resolution_s=RESOLUTION_S) == []


def test_a_gap_longer_than_what_comes_before_it_is_not_bridged():
    """The period of a short train is known too badly to count the places of a long gap."""
    trains = trains_of([*grid(9), *grid(18, first_s=3.7 + 25 * 1.9)])
    assert join_trains(trains, period_s=1.9, resolution_s=RESOLUTION_S) == []


def test_a_train_goes_on_with_a_later_one():
    early = Train(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 3]))
    joined = early.joined(Train(np.array([9.0, 10.0]), np.array([0, 1])), places=5)
    assert joined.index.tolist() == [0, 1, 3, 8, 9]
    assert joined.n_places == 10


def test_a_line_is_not_pulled_by_outliers():
    x = np.arange(50.0)
    y = 3.7 + 1.9 * x
    y[[3, 40, 41]] += [0.3, 0.01, -2.0]
    intercept, slope, used = fit_line(x, y)
    assert (intercept, slope) == pytest.approx((3.7, 1.9), abs=1e-9)
    assert np.flatnonzero(~used).tolist() == [3, 40, 41]


def test_noise_is_no_outlier():
    rng = np.random.default_rng(2)
    x = np.arange(400.0)
    intercept, slope, used = fit_line(x, 3.7 + 1.9 * x + rng.normal(0, 0.004, 400))
    assert used.mean() > 0.99
    assert (intercept, slope) == pytest.approx((3.7, 1.9), abs=0.001)
