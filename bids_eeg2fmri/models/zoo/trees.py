"""Boosted trees on band power at several delays: what is not linear, such as thresholds and "only when".

Each tree asks ``depth`` questions, of the kind "is alpha at Oz 6 s ago above 0.4?", and corrects a little of what the trees
before it left. With defaults and 31 channels it looks at 31 x 5 bands x 10 delays of 2 s, as a study of 23 people did that
found a median correlation of .18 to .26 with networks of the brain within a person.

References
----------
Friedman, J. H. (2002). Stochastic gradient boosting. Computational Statistics & Data Analysis 38, 367-378.
Chen, T. & Guestrin, C. (2016). XGBoost: a scalable tree boosting system. Proc. KDD, 785-794.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import keras
from keras import layers
from pydantic import Field

from bids_eeg2fmri.models.layers.band_power import BANDS_HZ, BandPower
from bids_eeg2fmri.models.layers.boosted_trees import BoostedTrees
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
    n_trees : int
        Of each output, at most; how many are used is told by the inner splits.
    depth : int
        Questions of a tree: as many features can act together.
    learning_rate : float
        How much of what a tree found is taken over.
    feature_share : float
        Of the features, drawn anew for each question.
    sample_share : float
        Of the training samples, drawn anew for each tree.
    """

    solver: ClassVar[str] = "trees"

    bands_hz: tuple[tuple[float, float], ...] = BANDS_HZ
    delay_spacing_s: Annotated[float, Field(gt=0)] = 2.0
    n_trees: Annotated[int, Field(ge=1)] = 60
    depth: Annotated[int, Field(ge=1, le=8)] = 2
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    feature_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    sample_share: Annotated[float, Field(gt=0, le=1)] = 0.5


def build(spec: SampleSpec, config: Config) -> keras.Model:
    """Build the network: ``(batch, lags, channels, freqs)`` in dB -> ``(batch, n_outputs)``."""
    inputs = keras.Input(spec.power_shape)
    x = BandPower(spec.freqs_hz, config.bands_hz, name="bands")(inputs)
    x = Delays(spec.lags_s, config.delay_spacing_s, name="delays")(x)
    x = layers.Flatten(name="features")(x)
    outputs = BoostedTrees(spec.n_outputs, config.n_trees, config.depth, name="coefficients")(x)
    return keras.Model(inputs, outputs, name="trees")
