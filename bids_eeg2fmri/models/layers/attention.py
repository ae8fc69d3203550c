"""Mix channels by scores that are computed from what they hold."""

import keras
from keras import ops

from bids_eeg2fmri.models.regularizers import OrganizeChannels


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class TopographicalAttention(keras.layers.Layer):
    """Attend to channels: ``(batch, channels, features) -> (batch, channels, features), (batch, channels, channels)``.

    With learned A of shape (channels, features): ``c_ij = <x_i, A_j>``, ``W = softmax_j(c)``; gives ``W X`` and the scores W,
    whose row i says which channels j went into channel i.

    Parameters
    ----------
    organize : float
        Strength of :class:`~bids_eeg2fmri.models.regularizers.OrganizeChannels` on the scores.
    weight_decay : float
        L2 penalty of A.

    References
    ----------
    Calhas, D. & Henriques, R. (2022). EEG to fMRI synthesis benefits from attentional graphs of electrode relationships.
    arXiv 2203.03481.
    """

    def __init__(self, organize=0.0, weight_decay=0.0, **kwargs):
        super().__init__(**kwargs)
        self.organize = float(organize)
        self.weight_decay = float(weight_decay)

    def build(self, input_shape):
        self.attention = self.add_weight(
            name="attention",
            shape=input_shape[1:],
            initializer="glorot_uniform",
            regularizer=keras.regularizers.L2(self.weight_decay) if self.weight_decay else None,
        )

    def call(self, inputs):
        scores = ops.softmax(ops.matmul(inputs, ops.transpose(self.attention)), axis=-1)
        if self.organize:
            self.add_loss(OrganizeChannels(self.organize)(scores))
        return ops.matmul(scores, inputs), scores

    def compute_output_shape(self, input_shape):
        return input_shape, (*input_shape[:2], input_shape[1])

    def get_config(self):
        return super().get_config() | {"organize": self.organize, "weight_decay": self.weight_decay}
