"""A network with a loss of its own, which can bring the latent of the EEG close to the latent of the image."""

import keras
from keras import ops

from bids_eeg2fmri.models import losses


class AlignedNetwork(keras.Model):
    """Network of one output tensor, trained by one of this package's losses, whatever loss it is compiled with.

    Parameters
    ----------
    inputs, outputs : symbolic tensors
        Columns of the output: the prediction; with ``loss="laplacian"`` as many logarithms of scales; with an
        ``image_encoder`` the latent of the EEG.
    n_outputs : int
        Columns of the prediction.
    loss : str
        "mae_cosine", "mse_cosine" or "laplacian".
    image_encoder : keras.Model, optional
        ``(batch, n_outputs) -> (batch, latent)``, of the target. It is trained with the network and not asked at prediction.
    """

    def __init__(self, inputs, outputs, *, n_outputs, loss, image_encoder=None, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.n_outputs = n_outputs
        self.loss_name = loss
        self.image_encoder = image_encoder

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Give the mean loss of a batch, penalties included."""
        n = self.n_outputs
        latents = None
        if self.image_encoder is not None:
            n_latents = self.image_encoder.output_shape[-1]
            latents = y_pred[:, -n_latents:], self.image_encoder(y, training=training)
        if self.loss_name == "laplacian":
            costs = losses.laplacian(y, y_pred[:, :n], y_pred[:, n : 2 * n], latents)
        else:
            error = {"mae_cosine": losses.mae_cosine, "mse_cosine": losses.mse_cosine}[self.loss_name]
            costs = error(y, y_pred[:, :n], latents)
        if sample_weight is not None:
            costs = costs * ops.cast(sample_weight, costs.dtype)
        return sum(self.losses, ops.mean(costs))
