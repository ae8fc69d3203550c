import numpy as np

from bids_eeg2fmri.models.layers.attention import TopographicalAttention

INPUTS = np.random.default_rng(0).standard_normal((3, 5, 8)).astype(np.float32)


def test_scores_say_what_each_channel_is_made_of():
    layer = TopographicalAttention()
    outputs, scores = layer(INPUTS)
    c = np.einsum("bid,jd->bij", INPUTS, layer.attention)
    expected = np.exp(c) / np.exp(c).sum(-1, keepdims=True)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    np.testing.assert_allclose(outputs, expected @ INPUTS, atol=1e-5)


def test_the_penalty_of_ignored_channels_is_added_if_asked_for():
    free, organized = TopographicalAttention(), TopographicalAttention(organize=0.5)
    free(INPUTS)
    organized(INPUTS)
    assert not free.losses
    assert float(sum(organized.losses)) > 0
