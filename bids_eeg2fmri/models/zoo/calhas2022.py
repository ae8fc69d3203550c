"""The network of Calhas & Henriques: a latent of the EEG, learned beside one of the image, becomes a whole volume.

Power of channels x frequencies x frames is mixed by attention between channels and encoded by residual blocks into a latent,
which random waves and a style from the attention scores turn into the features of a decoder. In training, an encoder of the
image gives a latent of its own, and the two are drawn together. ``docs/models/calhas2022.md`` tells what is different here
from the original.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import keras
from keras import layers
from pydantic import Field

from bids_eeg2fmri.models.aligned import AlignedNetwork
from bids_eeg2fmri.models.encoders import choose_blocks, encode
from bids_eeg2fmri.models.layers.attention import TopographicalAttention
from bids_eeg2fmri.models.layers.dct import CosineResize
from bids_eeg2fmri.models.layers.fourier import DeterministicFourierFeatures, FourierFeatures
from bids_eeg2fmri.models.layers.scale import LogScale
from bids_eeg2fmri.models.layers.standardization import Standardization
from bids_eeg2fmri.models.layers.style import StylePosterior, StylePrior
from bids_eeg2fmri.models.layers.variational import DenseVariational
from bids_eeg2fmri.models.layers.variational_dct import VariationalInverseDCT
from bids_eeg2fmri.models.layers.voxels import PickVoxels, PlaceVoxels
from bids_eeg2fmri.models.spec import SampleSpec

# What the published blocks leave of the EEG: channels x frequencies x frames.
EEG_TARGET = (6, 6, 8)
Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Config:
    """Options.

    Attributes
    ----------
    decoder : str
        From features to the output. "dense": a weight for each feature and voxel, as published. "dct": to a volume of low
        resolution, brought to the full one in the cosine transform. "variational_dct": to coefficients of the cosine
        transform, which are drawn. "low_rank": to the coefficients of this package's low-rank basis; there is no image to
        encode then, and the loss has no latents.
    features : str
        From the latent: "random" waves, which are drawn once; "deterministic" ones; or "linear".
    attention : bool
        Whether channels are mixed before they are encoded.
    style : str
        What features are multiplied by: the "posterior" comes from the attention scores of the sample, the "prior" is the
        same for all; or "none".
    loss : str
        "mae_cosine" or "mse_cosine": absolute or squared error, plus the distance of the latents. "laplacian": the network
        predicts a scale of each output too (aleatoric uncertainty).
    variational : bool
        Whether the weights between the EEG's features and its latent are distributions (epistemic uncertainty).
    kl_samples : int
        Training samples that the divergence of these distributions from their prior is shared by.
    distribution : str
        Of the fine coefficients of "variational_dct": "normal" or "von_mises".
    latent : tuple of three ints
        Shape of the latents, which have as many numbers as this has elements.
    filters : int
        Of each residual block.
    low_resolution : tuple of three ints, optional
        What "dct" and "variational_dct" predict of a volume; half of each of its sides if left out.
    weight_decay : float
        L2 penalty of all kernels before the last layer. Published: 0 to 4.4e-4, of all.
    organize : float
        Penalty of channels that no channel attends to.
    dropout : float
        Share of the latent of the image that is left out in training.
    """

    decoder: Literal["dense", "dct", "variational_dct", "low_rank"] = "dense"
    features: Literal["random", "deterministic", "linear"] = "random"
    attention: bool = True
    style: Literal["posterior", "prior", "none"] = "posterior"
    loss: Literal["mae_cosine", "mse_cosine", "laplacian"] = "mae_cosine"
    variational: bool = False
    kl_samples: Count = 300
    distribution: Literal["normal", "von_mises"] = "normal"
    latent: tuple[Count, Count, Count] = (7, 7, 7)
    filters: Count = 4
    low_resolution: tuple[Count, Count, Count] | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 3e-3
    organize: Annotated[float, Field(ge=0)] = 1e-3
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def __post_init__(self):
        if self.style == "posterior" and not self.attention:
            raise ValueError("style: posterior comes from attention, which is off; choose prior or none")

    @property
    def predicts(self) -> Literal["coefficients", "voxels"]:
        """What the targets are."""
        return "coefficients" if self.decoder == "low_rank" else "voxels"

    @property
    def n_latents(self) -> int:
        """Numbers in a latent."""
        return math.prod(self.latent)


def build(spec: SampleSpec, config: Config) -> keras.Model:
    """Build the network: ``(batch, lags, channels, freqs)`` in dB -> ``(batch, n)``.

    The first ``n_outputs`` columns are the prediction, as many logarithms of scales follow with ``loss="laplacian"``, then the
    latent of the EEG unless the decoder is "low_rank".
    """
    inputs = keras.Input(spec.power_shape)
    # A mean and deviation per frequency, whatever the channel: attention can tell channels apart by nothing but what they hold,
    # and what distinguishes them at rest would be gone if each had a mean of its own.
    x = Standardization(share="channels", name="standardize")(inputs)
    # As published: channels x frequencies x frames.
    x = layers.Permute((2, 3, 1), name="frames_last")(x)
    x, scores = _attend(x, config)
    latent = _encode_eeg(x, spec, config)
    features = _features(latent, scores, config)
    outputs = [_decode(features, spec, config)]
    if config.loss == "laplacian":
        outputs.append(LogScale(spec.n_outputs, name="log_scale")(features))
    image_encoder = None
    if config.predicts == "voxels":
        outputs.append(latent)
        image_encoder = _image_encoder(spec, config)
    return AlignedNetwork(
        inputs,
        layers.Concatenate(name="outputs")(outputs) if len(outputs) > 1 else outputs[0],
        n_outputs=spec.n_outputs,
        loss=config.loss,
        image_encoder=image_encoder,
        name="calhas2022",
    )


def _decay(config: Config):
    return keras.regularizers.L2(config.weight_decay) if config.weight_decay else None


def _dense(units: int, config: Config, **kwargs):
    return layers.Dense(units, kernel_regularizer=_decay(config), **kwargs)


def _attend(x, config: Config):
    """Mix channels of (batch, channels, freqs, frames); give the scores too."""
    if not config.attention:
        return x, None
    shape = x.shape[1:]
    x = layers.Reshape((shape[0], shape[1] * shape[2]), name="rows")(x)
    x, scores = TopographicalAttention(config.organize, config.weight_decay, name="attention")(x)
    return layers.Reshape(shape, name="mixed")(x), scores


def _encode_eeg(x, spec: SampleSpec, config: Config):
    x = layers.Reshape((*x.shape[1:], 1), name="eeg")(x)
    blocks = choose_blocks(tuple(x.shape[1:4]), EEG_TARGET)
    x = encode(x, blocks, filters=config.filters, weight_decay=config.weight_decay, name="eeg_block")
    if config.variational:
        # The loss is a mean over samples and outputs: so is the share that the divergence has in the lower bound.
        kl_weight = 1.0 / (config.kl_samples * spec.n_outputs)
        return DenseVariational(config.n_latents, kl_weight, name="latent")(x)
    return _dense(config.n_latents, config, name="latent")(x)


def _features(latent, scores, config: Config):
    if config.features == "linear":
        features = _dense(config.n_latents, config, name="features")(latent)
    else:
        kind = FourierFeatures if config.features == "random" else DeterministicFourierFeatures
        features = kind(name="features")(latent)
    if config.style == "posterior":
        return StylePosterior(config.weight_decay, name="style")([features, scores])
    if config.style == "prior":
        return StylePrior(name="style")(features)
    return features


def _decode(features, spec: SampleSpec, config: Config):
    """Map features to the prediction.

    These weights are not decayed: the error is a mean over voxels, so each of them has a small share in it, and the same
    penalty that suits the rest of the network would shrink all of them to nothing.
    """
    if config.decoder == "low_rank":
        return layers.Dense(spec.n_outputs, name="coefficients")(features)
    if config.decoder == "dense":
        # Voxels outside of the mask are never looked at: there are no weights for them.
        x = layers.Dense(spec.n_outputs, name="voxels")(features)
        x = layers.Reshape((spec.n_outputs, 1), name="volume")(x)
        # A convolution of 1 x 1 x 1 voxels is one factor and one offset for all.
        x = layers.Dense(1, kernel_initializer="ones", name="convolution")(x)
        return layers.Flatten(name="prediction")(x)
    assert spec.mask is not None, "targets are voxels of a mask"
    shape = spec.mask.shape
    low = config.low_resolution or tuple(-(-n // 2) for n in shape)
    if config.decoder == "dct":
        x = layers.Dense(math.prod(low), name="low_resolution")(features)
        x = CosineResize(shape, name="resize")(layers.Reshape(low, name="low_volume")(x))
    else:
        x = VariationalInverseDCT(low, shape, config.distribution, name="inverse_dct")(features)
    return PickVoxels(spec.mask, name="prediction")(x)


def _image_encoder(spec: SampleSpec, config: Config):
    """Build ``(batch, n_outputs) -> (batch, latent)``."""
    assert spec.mask is not None, "targets are voxels of a mask"
    inputs = keras.Input((spec.n_outputs,))
    x = PlaceVoxels(spec.mask, name="image")(inputs)
    x = layers.Reshape((*spec.mask.shape, 1), name="image_of_one")(x)
    blocks = choose_blocks(spec.mask.shape, config.latent)
    x = encode(x, blocks, filters=config.filters, weight_decay=config.weight_decay, name="image_block")
    x = _dense(config.n_latents, config, name="image_latent")(x)
    return keras.Model(inputs, layers.Dropout(config.dropout, name="image_dropout")(x), name="image_encoder")
