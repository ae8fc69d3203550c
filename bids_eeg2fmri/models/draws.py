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
        total = total_of_squares = 0.0
        first = None
        for _ in range(n_draws):
            predicted = np.asarray(model.predict_on_batch(inputs), dtype=np.float64)
            first = predicted if first is None else first
            # About the first draw: sums of squares of large numbers that hardly differ would lose the difference.
            total = total + (predicted - first)
            total_of_squares = total_of_squares + (predicted - first) ** 2
    finally:
        switch_noise(model, False)
    away = total / n_draws
    spread = np.sqrt(np.maximum(total_of_squares / n_draws - away**2, 0.0))
    return (first + away).astype(np.float32), spread.astype(np.float32)
