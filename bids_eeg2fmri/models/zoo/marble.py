"""A small transformer over patches of EEG that answers one learned question per output.

After NeuroBOLT (patches of the raw EEG together with spectra at several resolutions) and MARBLE (all regions at once: a query
per region attends to the EEG). The published networks are for 64 regions; the outputs here are coefficients of a basis.

References
----------
Li, Y., Lou, A., Xu, Z., et al. (2024). NeuroBOLT: Resting-state EEG-to-fMRI synthesis with multi-dimensional feature mapping.
Advances in Neural Information Processing Systems 37.
MARBLE (2026). MICCAI.
"""

from dataclasses import dataclass
from typing import ClassVar

import keras
from keras import layers, ops

from bids_eeg2fmri.models.layers.join_frames import JoinFrames
from bids_eeg2fmri.models.layers.log_spectra import LogSpectra
from bids_eeg2fmri.models.layers.queries import Queries, ReadAnswers
from bids_eeg2fmri.models.layers.small_start import SmallStart
from bids_eeg2fmri.models.layers.standardization import Standardization
from bids_eeg2fmri.models.layers.token_place import TokenPlace
from bids_eeg2fmri.models.spec import SampleSpec

# The contract is checked with fewer parts: all kinds of them, in a tenth of the time.
CONTRACT_OPTIONS = {"width": 16, "n_layers": 1, "windows_s": (0.5, 2.0), "n_raw": 2}


@dataclass(frozen=True)
class Config:
    """Options.

    Attributes
    ----------
    width : int
        Features of a token.
    n_layers : int
        Blocks of self-attention between the tokens.
    n_heads : int
        Of each attention; a divisor of ``width``.
    windows_s : tuple of float
        Lengths of the windows of the spectra.
    max_hz : float
        Highest frequency of the spectra.
    min_patch_s : float
        Shortest patch of EEG that is a token.
    max_tokens : int
        Patches are longer where there would be more tokens than this, over all channels.
    n_raw : int
        Filters over the raw EEG of a patch; 0 leaves the spectra alone.
    dropout : float
        Share of features that are left out at random in training.
    weight_decay : float
        L2 penalty of what makes tokens.
    temporal_weight, spatial_weight : float
        Of 1 - correlation over the batch and across the outputs, in the loss; the rest of 1 is the mean squared error's.
    """

    looks_at: ClassVar[str] = "signal"

    width: int = 32
    n_layers: int = 2
    n_heads: int = 4
    windows_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    max_hz: float = 45.0
    min_patch_s: float = 2.0
    max_tokens: int = 200
    n_raw: int = 8
    dropout: float = 0.0
    weight_decay: float = 1e-4
    temporal_weight: float = 0.1
    spatial_weight: float = 0.1


class Marble(keras.Model):
    """A network whose loss is of squared error and correlation over time and space."""

    def __init__(self, inputs, outputs, *, config, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.options = config

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Weigh squared error, correlation of each output over the batch, and of each sample across the outputs."""
        truth = ops.cast(y, y_pred.dtype)
        temporal, spatial = self.options.temporal_weight, self.options.spatial_weight
        loss = (1 - temporal - spatial) * ops.mean(ops.square(truth - y_pred))
        loss = loss + temporal * (1 - ops.mean(_correlation(truth, y_pred, axis=0)))
        loss = loss + spatial * (1 - ops.mean(_correlation(truth, y_pred, axis=1)))
        for penalty in self.losses:
            loss = loss + penalty
        return loss


def build(spec: SampleSpec, config: Config) -> keras.Model:
    """Build the network: ``(batch, lags, channels, times)`` in V -> ``(batch, n_outputs)``."""
    n_lags, n_channels, n_times = spec.signal_shape
    span_s = n_lags * n_times / spec.sfreq
    n_patches = max(1, min(int(span_s / config.min_patch_s + 1e-6), config.max_tokens // n_channels))
    positions_m = spec.positions_m or (None,) * n_channels

    inputs = keras.Input(spec.signal_shape)
    x = Standardization(share="times", name="standardize")(inputs)
    signal = JoinFrames(name="join")(x)
    seen = [
        LogSpectra(n_patches, window_s, spec.sfreq, config.max_hz, name=f"spectra_{number}")(signal)
        for number, window_s in enumerate(config.windows_s)
    ]
    if config.n_raw:
        seen.append(_raw(signal, n_patches, spec, config))
    x = ops.transpose(ops.concatenate(seen, axis=-1) if len(seen) > 1 else seen[0], (0, 2, 1, 3))
    # Each feature of each channel by itself: EEG has a thousand times more power at 2 Hz than at 40 Hz.
    n_features = x.shape[-1]
    x = layers.Reshape((n_patches, n_channels * n_features))(x)
    x = layers.BatchNormalization(momentum=0.9, center=False, scale=False, name="normalize")(x)
    x = layers.Reshape((n_patches, n_channels, n_features))(x)
    decay = keras.regularizers.L2(config.weight_decay)
    x = layers.Dense(config.width, use_bias=False, kernel_regularizer=decay, name="tokens")(x)
    x = layers.Dropout(config.dropout, seed=1)(x)
    place = TokenPlace(positions_m, name="place")(x)
    x, place = (layers.Reshape((n_channels * n_patches, config.width))(tokens) for tokens in (x, place))
    for number in range(config.n_layers):
        normed = layers.LayerNormalization(name=f"tokens_{number}_norm")(x)
        placed = normed + place
        x = _attend(x, placed, normed, placed, config, f"encoder_{number}", seed=10 * (number + 1))
    queries = Queries(spec.n_outputs, name="queries")(x)
    # Questions are of places and times alone: where keys hold EEG too, a few hundred volumes are learned by heart.
    answers = _attend(queries, queries, x, place, config, "decoder", seed=1000)
    return Marble(inputs, ReadAnswers(name="outputs")(answers), config=config, name="marble")


def _raw(signal, n_patches: int, spec: SampleSpec, config: Config):
    """Filter the EEG of each patch and rectify it; the average over the patch is what does not depend on phase."""
    _, n_channels, length = signal.shape
    patch = length // n_patches
    hop = max(1, min(patch, round(0.08 * spec.sfreq)))
    n_hops = patch // hop
    x = signal[..., length - patch * n_patches :]
    x = layers.Reshape((n_channels, n_patches, patch))(x)[..., patch - hop * n_hops :]
    x = layers.Reshape((n_channels * n_patches, n_hops, hop))(x)
    x = layers.Conv2D(config.n_raw, (1, min(3, n_hops)), padding="same", activation="relu", name="raw_1")(x)
    x = layers.Conv2D(config.n_raw, (1, min(3, n_hops)), padding="same", activation="relu", name="raw_2")(x)
    return layers.Reshape((n_channels, n_patches, config.n_raw))(ops.mean(x, axis=2))


def _attend(x, query, value, key, config: Config, name: str, *, seed: int):
    """Add what is found by attention, then what a small network makes of it."""
    # No bias: what all keys have in common changes nothing, so no gradient would ever reach that of the keys.
    found = layers.MultiHeadAttention(
        config.n_heads,
        config.width // config.n_heads,
        use_bias=False,
        dropout=config.dropout,
        seed=seed,
        name=f"{name}_attention",
    )(query, value, key)
    # What is found for a query is its answer; between tokens it starts as almost nothing.
    found = layers.Dropout(config.dropout, seed=seed + 1)(found)
    x = x + (found if x is query else SmallStart(name=f"{name}_attention_scale")(found))
    made = layers.LayerNormalization(name=f"{name}_norm")(x)
    made = layers.Dense(2 * config.width, activation="relu", name=f"{name}_wide")(made)
    made = layers.Dense(config.width, name=f"{name}_narrow")(made)
    made = layers.Dropout(config.dropout, seed=seed + 2)(made)
    return x + SmallStart(name=f"{name}_scale")(made)


def _correlation(truth, said, *, axis: int):
    truth = truth - ops.mean(truth, axis=axis, keepdims=True)
    said = said - ops.mean(said, axis=axis, keepdims=True)
    product = ops.sum(truth * said, axis=axis)
    # Where nothing changes there is no correlation; the square root has no slope at 0.
    return product / ops.sqrt(ops.sum(ops.square(truth), axis=axis) * ops.sum(ops.square(said), axis=axis) + 1e-8)
