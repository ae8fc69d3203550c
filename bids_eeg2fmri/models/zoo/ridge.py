"""The linear model that others have to beat: a ridge on band power at every lag.

A ridge is solved, not descended to: the same data always give the same weights, in a second. With as many features as
there are channels x bands x lags it shrinks all and drops none.

References
----------
Meir-Hasson, Y. et al. (2014). An EEG Finger-Print of fMRI deep regional activation. NeuroImage 102, 128-141.
"""

from dataclasses import dataclass
from typing import ClassVar

import keras
from keras import layers

from bids_eeg2fmri.models.layers.band_power import BANDS_HZ, BandPower
from bids_eeg2fmri.models.spec import SampleSpec


@dataclass(frozen=True)
class Config:
    """Options.

    Attributes
    ----------
    bands_hz : tuple of pairs of float
        Frequencies that are averaged, from and up to (without) so many Hz.
    """

    solver: ClassVar[str] = "ridge"

    bands_hz: tuple[tuple[float, float], ...] = BANDS_HZ


def build(spec: SampleSpec, config: Config) -> keras.Model:
    """Build the network: ``(batch, lags, channels, freqs)`` in dB -> ``(batch, n_outputs)``."""
    inputs = keras.Input(spec.power_shape)
    x = BandPower(spec.freqs_hz, config.bands_hz, name="bands")(inputs)
    x = layers.Flatten(name="features")(x)
    outputs = layers.Dense(spec.n_outputs, name="coefficients")(x)
    return keras.Model(inputs, outputs, name="ridge")
