"""The default: a few sources, each with its own frequencies, scalp pattern and hemodynamic response.

The relation of band power and BOLD is close to linear, and recordings are short: a linear network whose weights are
factored by frequency, space and delay has some thousands of parameters where a full one has hundreds of thousands, and
weight decay shrinks what the data do not support. On the simulated dataset it beats the lagged ridge (``benchmarks``).
"""

from dataclasses import dataclass

import keras
from keras import layers

from bids_eeg2fmri.models.layers.hemodynamics import HemodynamicSum
from bids_eeg2fmri.models.layers.standardization import Standardization
from bids_eeg2fmri.models.spec import SampleSpec


@dataclass(frozen=True)
class Config:
    """Options.

    Attributes
    ----------
    n_bands : int
        Frequency profiles, shared by the channels.
    n_sources : int
        Combinations of channels and profiles.
    weight_decay : float
        L2 penalty of every factor.
    """

    n_bands: int = 8
    n_sources: int = 16
    weight_decay: float = 0.02


def build(spec: SampleSpec, config: Config) -> keras.Model:
    """Build the network: ``(batch, lags, channels, freqs)`` in dB -> ``(batch, n_outputs)``."""
    n_lags, n_channels, _ = spec.power_shape

    def decay():
        return keras.regularizers.L2(config.weight_decay)

    inputs = keras.Input(spec.power_shape)
    # Mean and variance of each channel and frequency; adapted to training windows, part of the weights.
    x = Standardization(name="standardize")(inputs)
    x = layers.Dense(config.n_bands, use_bias=False, kernel_regularizer=decay(), name="bands")(x)
    x = layers.Reshape((n_lags, n_channels * config.n_bands))(x)
    x = layers.Dense(config.n_sources, use_bias=False, kernel_regularizer=decay(), name="sources")(x)
    x = HemodynamicSum(spec.lags_s, penalty=config.weight_decay, name="response")(x)
    outputs = layers.Dense(spec.n_outputs, kernel_regularizer=decay(), dtype="float32", name="coefficients")(x)
    return keras.Model(inputs, outputs, name="separable")
