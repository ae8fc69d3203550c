import numpy as np
import pytest

from bids_eeg2fmri.models.registry import load_architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.solving import Solver
from bids_eeg2fmri.windows import Windows

SPEC = SampleSpec(tuple(map(float, range(11))), ("O1", "Oz", "Cz", "Fz", "Pz"), (3.0, 6.0, 10.0, 20.0), 3)


@pytest.fixture(scope="module", params=[2.0, 6.0])
def found(request):
    """Solve for targets that follow alpha at Oz so many seconds ago, and nothing else; give the kernel and what it is of."""
    rng = np.random.default_rng(0)
    n = 300
    frames = np.arange(n)[:, None] + 10 - np.arange(11)
    power = rng.normal(-110, 4, (n + 11, 5, 4)).astype(np.float32)
    windows = Windows(power, frames, np.ones(n, bool), np.zeros(n, int), np.arange(n))
    course = power[frames[:, int(request.param)], 1, 2] + 110
    targets = (course[:, None] * [1, -2, 0] + 4 * rng.standard_normal((n, 3))).astype(np.float32)
    train = np.arange(n)
    solver = Solver(load_architecture("sparse"), SPEC, seed=0)
    solver.fit(windows, targets, train, [(train[:145], train[155:]), (train[155:], train[:145])], independent=1.0)
    kernel = solver.model.get_layer("coefficients").kernel.numpy().reshape(6, 5, 4, 3)
    return request.param, kernel


def test_a_channel_a_band_and_a_delay_are_found(found):
    delay_s, kernel = found
    size = np.linalg.norm(kernel, axis=-1)
    place = np.unravel_index(size.argmax(), size.shape)
    assert place == (delay_s / 2, 1, 2)
    assert size.max() > 3 * np.sort(size.ravel())[-2]


def test_a_feature_is_in_for_all_outputs_or_for_none(found):
    kept = found[1].any(-1)
    assert kept.sum() < 0.3 * kept.size
    assert found[1][kept].all()


def test_outputs_get_the_sign_that_is_theirs(found):
    delay_s, kernel = found
    at = kernel[int(delay_s / 2), 1, 2]
    assert at[0] > 0 > at[1]
    assert abs(at[2]) < 0.2 * at[0]
