"""Volumes before the steady state are counted; nothing else at the start of a series is taken for them."""

import numpy as np
import pytest

from bids_eeg2fmri.bold.steady import count_unsteady

N = 140


def course(seed=0, percent=0.15, level=850.0):
    """Mean intensity of a brain: slow changes, drift and noise, in percent of a level."""
    rng = np.random.default_rng(seed)
    slow = np.convolve(rng.standard_normal(N + 20), np.ones(20) / 20, mode="valid")[:N]
    return level * (1 + 0.01 * (2 * percent * slow + percent * rng.standard_normal(N) + np.linspace(0.5, -0.5, N)))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_bright_volumes_at_the_start_are_counted(n, seed):
    values = course(seed)
    values[:n] *= 1 + 0.5 * 0.55 ** np.arange(n)
    assert count_unsteady(values, tr_s=2.0) == n


@pytest.mark.parametrize("tr_s", [0.7, 1.4, 2.0, 3.1])
@pytest.mark.parametrize("seed", range(20))
def test_a_steady_series_has_none(seed, tr_s):
    assert count_unsteady(course(seed), tr_s=tr_s) == 0


def test_a_response_to_a_task_at_the_start_is_none():
    values = course()
    values[:8] *= 1.006  # large for a mean of the brain, and below a percent
    assert count_unsteady(values, tr_s=2.0) == 0


def test_a_bright_volume_later_on_is_none():
    values = course()
    values[3] *= 1.3
    assert count_unsteady(values, tr_s=2.0) == 0


def test_darker_volumes_are_none():
    values = course()
    values[:2] *= 0.7
    assert count_unsteady(values, tr_s=2.0) == 0


def test_a_short_series_is_left_alone():
    assert count_unsteady(course()[:9], tr_s=2.0) == 0
