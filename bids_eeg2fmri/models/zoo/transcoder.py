"""Two networks that translate EEG into BOLD and BOLD into EEG, and each what the other has said.

After the transcoder of Liu and Sajda: convolutions find sources in the EEG, a hemodynamic response makes BOLD of them, and the
way back is the same in reverse. A translation there and back has to arrive where it began, which either of the two networks
is trained for beside the pairs themselves. BOLD is the coefficients of a low-rank basis here, not the volume.

References
----------
Liu, X., & Sajda, P. (2019). A convolutional neural network for transcoding simultaneously acquired EEG-fMRI data. 9th
International IEEE/EMBS Conference on Neural Engineering, 477-482.
Liu, X., Tu, T., & Sajda, P. (2022). Inferring latent neural sources via deep transcoding of simultaneously acquired EEG and
fMRI. arXiv:2212.02226.
"""

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
from keras import layers, ops

from bids_eeg2fmri.models.layers.filter_bank import FilterBank
from bids_eeg2fmri.models.layers.hemodynamics import HemodynamicSum
from bids_eeg2fmri.models.layers.overlapping_waves import OverlappingWaves
from bids_eeg2fmri.models.layers.standardization import Standardization
from bids_eeg2fmri.models.spec import SampleSpec


@dataclass(frozen=True)
class Config:
    """Options.

    Attributes
    ----------
    n_bands : int
        Pairs of temporal filters; they start evenly on a log scale from 2 Hz on.
    max_hz : float
        Where the highest band starts, but not above 0.45 of the sampling frequency.
    kernel_s : float
        Length of the temporal filters.
    n_sources : int
        Courses that EEG and BOLD are translated into on their way.
    eeg_weight : float
        Of the squared error of EEG made of BOLD, in the loss.
    cycle_weight : float
        Of the squared errors of what was translated there and back.
    weight_decay : float
        L2 penalty of what makes sources and coefficients, and of the distance from the canonical response.
    """

    looks_at: ClassVar[str] = "signal"

    n_bands: int = 16
    max_hz: float = 40.0
    kernel_s: float = 1.0
    n_sources: int = 16
    eeg_weight: float = 0.5
    cycle_weight: float = 0.1
    weight_decay: float = 0.005


class Transcoder(keras.Model):
    """EEG to BOLD, with BOLD to EEG beside it.

    Attributes
    ----------
    eeg_to_bold : keras.Model
        Standardized EEG ``(batch, lags, channels, times)`` to coefficients ``(batch, n_outputs)``.
    bold_to_eeg : keras.Model
        Coefficients ``(batch, n_outputs)``, in the units that the network is trained with, to the EEG before the volume
        ``(batch, lags, channels, times)``: frames latest first, in standard deviations of each channel
        (``standardize.mean`` and ``standardize.scale`` turn it into V).
    """

    def __init__(self, inputs, outputs, *, standardize, eeg_to_bold, bold_to_eeg, config, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.standardize = standardize
        self.eeg_to_bold = eeg_to_bold
        self.bold_to_eeg = bold_to_eeg
        self.options = config

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum the errors of both directions and both cycles."""
        loss = _error(y, y_pred)
        # Before the networks are called once more, which would count the penalties of their activations twice.
        for penalty in self.losses:
            loss = loss + penalty
        eeg = self.standardize(x)
        if not self.options.cycle_weight:
            return loss + self.options.eeg_weight * _error(eeg, self.bold_to_eeg(y, training=training))
        bold = ops.concatenate([ops.cast(y, y_pred.dtype), y_pred])
        made, eeg_again = ops.split(self.bold_to_eeg(bold, training=training), 2)
        # As in use: made EEG must not find its way into the mean and variance of recorded EEG.
        bold_again = self.eeg_to_bold(made, training=False)
        cycles = _error(y, bold_again) + _error(eeg, eeg_again)
        return loss + self.options.eeg_weight * _error(eeg, made) + self.options.cycle_weight * cycles


def build(spec: SampleSpec, config: Config) -> keras.Model:
    """Build the networks: ``(batch, lags, channels, times)`` in V -> ``(batch, n_outputs)``, and back."""
    inputs = keras.Input(spec.signal_shape)
    standardize = Standardization(share="times", name="standardize")
    eeg_to_bold, bold_to_eeg = _eeg_to_bold(spec, config), _bold_to_eeg(spec, config)
    return Transcoder(
        inputs,
        eeg_to_bold(standardize(inputs)),
        standardize=standardize,
        eeg_to_bold=eeg_to_bold,
        bold_to_eeg=bold_to_eeg,
        config=config,
        name="transcoder",
    )


def _eeg_to_bold(spec: SampleSpec, config: Config) -> keras.Model:
    n_lags, n_channels, _ = spec.signal_shape
    bands_hz = np.geomspace(2.0, max(2.0, min(config.max_hz, 0.45 * spec.sfreq)), config.n_bands)
    inputs = keras.Input(spec.signal_shape)
    # As many mixtures as channels, each of which starts as one: power is of mixtures, not mixtures of power.
    x = layers.EinsumDense("blct,cm->blmt", spec.signal_shape, kernel_initializer=_nearly_identity, name="mixtures")(
        inputs
    )
    x = FilterBank(bands_hz, spec.sfreq, config.kernel_s, name="bands")(x)
    x = layers.Reshape((n_lags, n_channels * config.n_bands))(x)
    x = layers.BatchNormalization(momentum=0.9, center=False, scale=False, name="normalize")(x)
    x = layers.Conv1D(
        config.n_sources, 3, padding="same", activation="elu", kernel_regularizer=_decay(config), name="sources"
    )(x)
    x = HemodynamicSum(spec.lags_s, penalty=config.weight_decay, name="response")(x)
    outputs = layers.Dense(spec.n_outputs, kernel_regularizer=_decay(config), name="coefficients")(x)
    return keras.Model(inputs, outputs, name="eeg_to_bold")


def _bold_to_eeg(spec: SampleSpec, config: Config) -> keras.Model:
    n_lags, n_channels, n_times = spec.signal_shape
    inputs = keras.Input((spec.n_outputs,))
    x = layers.Dense(n_lags * config.n_sources, name="response_undone")(inputs)
    x = layers.Reshape((n_lags, config.n_sources))(x)
    x = layers.Conv1D(config.n_sources, 3, padding="same", activation="elu", name="sources")(x)
    x = layers.Dense(n_channels * config.n_bands, kernel_regularizer=_decay(config), name="channels")(x)
    x = layers.Reshape((n_lags, n_channels, config.n_bands))(x)
    return keras.Model(inputs, OverlappingWaves(n_times, name="waves")(x), name="bold_to_eeg")


def _decay(config: Config) -> keras.regularizers.Regularizer:
    return keras.regularizers.L2(config.weight_decay)


def _nearly_identity(shape, dtype=None):
    return ops.eye(*shape, dtype=dtype) + keras.random.normal(shape, stddev=0.01, dtype=dtype)


def _error(truth, said):
    return ops.mean(ops.square(ops.cast(truth, said.dtype) - said))
