from dataclasses import dataclass
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.standardization import Standardization
from bids_eeg2fmri.models.registry import Architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.windows import Windows

SPEC = SampleSpec((0.0, 2.0, 4.0, 6.0), ("C3", "Cz", "C4"), (6.0, 8.0, 10.0, 12.0, 14.0), 2)


@dataclass(frozen=True)
class Options:
    width: int = 6


def build_with_dropout(spec, config):
    """Build a network that draws while it is trained."""
    inputs = keras.Input(spec.power_shape)
    x = keras.layers.Flatten()(Standardization()(inputs))
    x = keras.layers.Dropout(0.3, seed=4)(keras.layers.Dense(config.width, activation="tanh")(x))
    return keras.Model(inputs, keras.layers.Dense(spec.n_outputs)(x))


@pytest.fixture(scope="session")
def drawing():
    """An architecture with dropout, as somebody else might bring along."""
    return Architecture("somebody.elses", Options(), SimpleNamespace(build=build_with_dropout))


@pytest.fixture(scope="session")
def spec():
    return SPEC


@pytest.fixture(scope="session")
def samples():
    """Windows of one recording of 200 volumes, and targets that follow two rhythms."""
    rng = np.random.default_rng(0)
    frames = np.arange(200)[:, None] + 3 - np.arange(4)
    power = rng.normal(-110, 4, (204, 3, 5)).astype(np.float32)
    targets = np.stack([power[frames[:, 2], 0, 2], power[frames[:, 2], 2, 1]], 1) + 110
    targets += 0.5 * rng.standard_normal(targets.shape)
    windows = Windows(power, frames, np.ones(200, bool), np.zeros(200, int), np.arange(200))
    return windows, targets.astype(np.float32)
