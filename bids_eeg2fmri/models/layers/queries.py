"""Ask one learned question per output, and read one number from each answer."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class Queries(keras.layers.Layer):
    """Give the same learned vectors to every sample: ``(batch, tokens, width) -> (batch, n_queries, width)``.

    Parameters
    ----------
    n_queries : int
    """

    def __init__(self, n_queries, **kwargs):
        super().__init__(**kwargs)
        self.n_queries = int(n_queries)

    def build(self, input_shape):
        self.queries = self.add_weight(
            name="queries",
            shape=(self.n_queries, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.3),
        )

    def call(self, inputs):
        # Zeros of the batch's size: it is not known when the network is built.
        return ops.zeros_like(inputs[:, :1]) + self.queries

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.n_queries, input_shape[-1]

    def get_config(self):
        return super().get_config() | {"n_queries": self.n_queries}


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class ReadAnswers(keras.layers.Layer):
    """Weigh the features of each answer by weights of its own: ``(batch, queries, width) -> (batch, queries)``."""

    def build(self, input_shape):
        _, queries, width = input_shape
        # As a dense layer of one output per query would start.
        initializer = keras.initializers.RandomNormal(stddev=width**-0.5)
        self.kernel = self.add_weight(name="kernel", shape=(queries, width), initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=(queries,), initializer="zeros")

    def call(self, inputs):
        return ops.sum(inputs * self.kernel, axis=-1) + self.bias

    def compute_output_shape(self, input_shape):
        return input_shape[:2]
