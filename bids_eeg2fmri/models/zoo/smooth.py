"""The default: a linear model whose weights are smooth over the scalp, over frequency and over delay.

The relation of band power in dB and BOLD is close to linear, and recordings are short: what a model brings along matters
more than what it can express. Here that is a Gaussian-process prior on the weights, its covariance a product of three: over
the head by the positions of the electrodes, over frequency at several scales, over delay by hemodynamic responses of several
peaks and undershoots. In the functions in which the prior is white the solution is a ridge, so there is nothing to
descend to. The weights belong to places on the head and not to channels, so one set of them serves every montage.
"""

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
from keras import layers

from bids_eeg2fmri.models.layers.prior import PriorFunctions, hemodynamic_functions, spectral_functions
from bids_eeg2fmri.models.layers.scalp import ScalpFunctions
from bids_eeg2fmri.models.layers.standardization import Standardization
from bids_eeg2fmri.models.spec import SampleSpec


@dataclass(frozen=True)
class Config:
    """Options.

    Attributes
    ----------
    scalp_width_rad : float
        Places closer than this, as an angle from the middle of the head, have similar weights; 0.5 are about 45 mm.
    n_landmarks : int
        Functions of place.
    spectral_scales : tuple of float
        Widths of what goes together over frequency, as differences of natural logarithms.
    peaks_s : tuple of float
        When the hemodynamic responses peak that a delay is made of.
    undershoots : tuple of float
        Area of their undershoot over that of the peak.
    own_share : float
        Variance of what a participant has for itself over that of what all share; new people are predicted by what is
        shared. 0 lets nobody have anything.
    """

    solver: ClassVar[str] = "prior"
    any_montage: ClassVar[bool] = True

    scalp_width_rad: float = 0.5
    n_landmarks: int = 30
    spectral_scales: tuple[float, ...] = (0.05, 0.15, 0.4)
    peaks_s: tuple[float, ...] = (3.5, 4.5, 5.5, 6.5, 7.5)
    undershoots: tuple[float, ...] = (0.0, 1 / 6, 1 / 3)
    own_share: float = 0.3


def build(spec: SampleSpec, config: Config) -> keras.Model:
    """Build the network: ``(batch, lags, channels, freqs)`` in dB -> ``(batch, n_outputs)``."""
    positions = spec.positions_m or (None,) * len(spec.channels)
    over_frequency = spectral_functions(np.array(spec.freqs_hz), scales=config.spectral_scales, white=0.02)
    # A frame is as long as two steps or so: its middle lies a little before its end.
    delays_s = np.array(spec.lags_s) + 0.5 * spec.step_s
    over_delay = hemodynamic_functions(delays_s, peaks_s=config.peaks_s, undershoots=config.undershoots)

    inputs = keras.Input(spec.power_shape)
    # One scale per frequency, whatever the montage; means go into the bias.
    x = Standardization(share="channels", name="standardize")(inputs)
    x = ScalpFunctions(positions, config.n_landmarks, config.scalp_width_rad, name="scalp")(x)
    x = PriorFunctions(over_frequency, name="spectrum")(x)
    x = layers.Permute((2, 3, 1))(x)
    x = PriorFunctions(over_delay, name="response")(x)
    x = layers.Flatten(name="features")(x)
    outputs = layers.Dense(spec.n_outputs, kernel_initializer="zeros", name="coefficients")(x)
    return keras.Model(inputs, outputs, name="smooth")
