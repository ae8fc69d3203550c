import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.queries import Queries, ReadAnswers


@pytest.mark.parametrize("n_queries", [1, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_sample_is_asked_the_same(batch, n_queries):
    tokens = np.random.default_rng(0).standard_normal((batch, 7, 5)).astype(np.float32)
    queries = np.asarray(Queries(n_queries)(tokens))
    assert queries.shape == (batch, n_queries, 5)
    np.testing.assert_array_equal(queries, np.broadcast_to(queries[:1], queries.shape))


def test_an_output_depends_on_its_own_answer_alone():
    layer = ReadAnswers()
    answers = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    before = np.asarray(layer(answers))
    answers[:, 2] += 1
    assert (np.asarray(layer(answers)) != before).any(0).tolist() == [False, False, True, False]


def test_a_saved_layer_is_made_anew_from_its_configuration():
    assert keras.layers.deserialize(keras.layers.serialize(Queries(4))).n_queries == 4
