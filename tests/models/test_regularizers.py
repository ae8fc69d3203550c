import numpy as np
import pytest

from bids_eeg2fmri.models.regularizers import OrganizeChannels


def test_channels_that_are_attended_to_alike_cost_nothing():
    even = np.full((3, 5, 5), 0.2, np.float32)
    each_its_own = np.broadcast_to(np.eye(5, dtype=np.float32), (3, 5, 5))
    assert float(OrganizeChannels(2.0)(even)) == pytest.approx(0, abs=1e-5)
    assert float(OrganizeChannels(2.0)(each_its_own)) == pytest.approx(0, abs=1e-5)


def test_a_channel_that_all_ignore_costs_the_more_the_stronger_the_penalty():
    scores = np.zeros((3, 5, 5), np.float32)
    scores[..., :4] = 0.25
    weak, strong = (float(OrganizeChannels(strength)(scores)) for strength in (1.0, 4.0))
    assert weak > 10
    assert strong == pytest.approx(4 * weak)
