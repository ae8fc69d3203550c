"""An EEG finger-print of few features: sparse regression on band power at several delays.

The penalty takes a channel, band and delay out of all outputs or leaves it in for all of them, so that what is left is one
finger-print of the brain: a list of channels, bands and delays that can be read. The delay is learned, for the delays compete.

References
----------
Meir-Hasson, Y. et al. (2014). An EEG Finger-Print of fMRI deep regional activation. NeuroImage 102, 128-141.
Cury, C. et al. (2020). A sparse EEG-informed fMRI model for hybrid EEG-fMRI neurofeedback prediction. Front. Neurosci. 13, 1451.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import keras
from keras import layers
from pydantic import Field

from bids_eeg2fmri.models.layers.band_power import BANDS_HZ, BandPower
from bids_eeg2fmri.models.layers.delays import Delays
from bids_eeg2fmri.models.spec import SampleSpec


@dataclass(frozen=True)
class Config:
    """Options.

    Attributes
    ----------
    bands_hz : tuple of pairs of float
        Frequencies that are averaged, from and up to (without) so many Hz.
    delay_spacing_s : float
        Between two delays; the frames around each are averaged.
    sparsity : float
        Share of the penalty that takes features out; the rest shrinks those that stay, and shares weight between features that
        tell the same. 1 is a lasso.
    n_penalties : int
        Tried on the inner splits, from the one that takes all features out.
    weakest_penalty : float
        Of those tried, as a share of the strongest.
    """

    solver: ClassVar[str] = "sparse"

    bands_hz: tuple[tuple[float, float], ...] = BANDS_HZ
    delay_spacing_s: Annotated[float, Field(gt=0)] = 2.0
    sparsity: Annotated[float, Field(gt=0, le=1)] = 0.8
    n_penalties: Annotated[int, Field(ge=2)] = 12
    weakest_penalty: Annotated[float, Field(gt=0, lt=1)] = 0.05


def build(spec: SampleSpec, config: Config) -> keras.Model:
    """Build the network: ``(batch, lags, channels, freqs)`` in dB -> ``(batch, n_outputs)``."""
    inputs = keras.Input(spec.power_shape)
    x = BandPower(spec.freqs_hz, config.bands_hz, name="bands")(inputs)
    x = Delays(spec.lags_s, config.delay_spacing_s, name="delays")(x)
    x = layers.Flatten(name="features")(x)
    outputs = layers.Dense(spec.n_outputs, name="coefficients")(x)
    return keras.Model(inputs, outputs, name="sparse")
