"""Begin as almost nothing."""

import keras


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class SmallStart(keras.layers.Layer):
    """Scale each feature by a weight that starts small: ``(..., features)`` stays that.

    Behind a branch that is added to something, so that a deep network starts as the shallow one beside its branches and
    learns what each is worth.

    Parameters
    ----------
    start : float

    References
    ----------
    Touvron, H., et al. (2021). Going deeper with image transformers. ICCV, 32-42. ("LayerScale")
    """

    def __init__(self, start=0.01, **kwargs):
        super().__init__(**kwargs)
        self.start = float(start)

    def build(self, input_shape):
        initializer = keras.initializers.Constant(self.start)
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer=initializer)

    def call(self, inputs):
        return inputs * self.scale

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"start": self.start}
