"""Ask a network that draws its weights several times: what it says on average, and how sure it is."""

import numpy as np

from bids_eeg2fmri.models.layers.noise import noisy_layers, switch_noise


def predict_draws(model, inputs: np.ndarray, n_draws: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Give the mean of several predictions and their spread (epistemic uncertainty).

    Parameters
    ----------
    model : keras.Model
        Must have a layer that draws; afterwards its plain prediction is deterministic again.
    inputs : array of shape (batch, ...)
    n_draws : int
        The published number is 10.

    Returns
    -------
    mean, spread : arrays of shape (batch, n)
        The spread is the standard deviation over draws.

    Raises
    ------
    ValueError
        If no layer of the network draws: all predictions would be the same.
    """
    if not noisy_layers(model):
        raise ValueError(f"{model.name}: expected a network with a layer that draws, found none; build it with one")
    switch_noise(model, True)
    try:
        draws = np.stack([np.asarray(model.predict_on_batch(inputs)) for _ in range(n_draws)])
    finally:
        switch_noise(model, False)
    return draws.mean(axis=0), draws.std(axis=0)
