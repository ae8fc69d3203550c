"""What keeps scores of attention from ignoring a channel."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class OrganizeChannels(keras.regularizers.Regularizer):
    """Penalize channels that no channel attends to: ``-strength * sum_j log(sum_i W_ij)``, mean over the batch.

    Rows of W sum to 1, so by Jensen's inequality the least cost is 0, where all channels are attended to alike.

    Parameters
    ----------
    strength : float
    """

    def __init__(self, strength):
        self.strength = float(strength)

    def __call__(self, scores):
        """Give the cost of scores of shape (batch, channels, attended channels)."""
        attended = ops.sum(scores, axis=1)
        return -self.strength * ops.mean(ops.sum(ops.log(attended + 1e-7), axis=-1))

    def get_config(self):
        """Give what the regularizer is made of."""
        return {"strength": self.strength}
