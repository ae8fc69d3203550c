"""What an architecture promises, as code: run it over your own before you ask anybody to train it."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement
from bids_eeg2fmri.models.registry import build_model
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.fitting import adapt_standardization
from bids_eeg2fmri.windows import Windows

if TYPE_CHECKING:
    import keras

Build = Callable[[SampleSpec], "keras.Model"]

# No two sizes alike, so that axes can't be mistaken for each other.
SPEC = SampleSpec(
    lags_s=(0.0, 2.0, 4.0, 6.0, 8.0, 10.0),
    channels=("Fp1", "C3", "Cz", "Pz", "O2"),
    freqs_hz=(4.0, 6.0, 8.0, 10.0, 12.0, 20.0, 30.0),
    n_outputs=3,
)


def check_architecture(name: str, options: dict[str, Any] | None = None) -> None:
    """Check everything that the rest of the package relies on.

    Parameters
    ----------
    name : str
        As :func:`~bids_eeg2fmri.models.registry.build_model` takes it.
    options : dict, optional
        Fields of the architecture's ``Config``.

    Raises
    ------
    AssertionError
        At the first promise that is broken; the message says which.
    """
    for check in CHECKS:
        check(lambda spec: build_model(name, spec, options))
    refuses_unknown_options(name)


def maps_samples_to_targets(build: Build) -> None:
    """Give finite outputs of the right shape for any number of samples, each independent of the others."""
    windows, _ = _linear_data()
    model = _build(build, windows)
    shape = tuple(model.input_shape), tuple(model.output_shape)
    expected = (None, *SPEC.input_shape), (None, SPEC.n_outputs)
    assert shape == expected, f"expected input and output of shape {expected}, found {shape}"
    together = _predict(model, windows, np.arange(11))
    for size in (1, 2, 11):
        outputs = _predict(model, windows, np.arange(size))
        assert outputs.shape == (size, SPEC.n_outputs), f"{size} samples gave outputs of shape {outputs.shape}"
        assert np.isfinite(outputs).all(), "outputs are not finite"
        worst = np.abs(outputs - together[:size]).max()
        assert worst < 1e-4 * max(1.0, np.abs(together).max()), (
            f"a sample's output differs by {worst:.3g} with the others in its batch"
        )
    assert np.ptp(together, axis=0).max() > 0, "outputs are the same whatever the sample"


def is_the_same_for_the_same_seed(build: Build) -> None:
    """Start from the same weights for the same seed, and from others for another one."""
    windows, _ = _linear_data()
    first, again, other = (_predict(_build(build, windows, seed=seed), windows, np.arange(7)) for seed in (3, 3, 4))
    assert np.array_equal(first, again), "two models of one seed differ: draw all weights by Keras' initializers"
    assert not np.array_equal(first, other), "models of two seeds are the same: nothing is drawn"


def moves_every_weight(build: Build) -> None:
    """Change every trainable weight in one training step."""
    windows, targets = _linear_data()
    model = _compiled(_build(build, windows))
    before = [np.array(weight.numpy()) for weight in model.trainable_variables]
    model.train_on_batch(windows.gather(np.arange(32)), targets[:32])
    still = [
        variable.path
        for variable, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(variable.numpy(), old)
    ]
    assert not still, f"one training step did not move {', '.join(still)}"


def learns_a_linear_relation(build: Build) -> None:
    """Predict new samples of a linear relation of power and target after a short training."""
    windows, targets = _linear_data()
    learn, new = np.arange(384), np.arange(384, 512)
    model = _compiled(_build(build, windows))
    rng = np.random.default_rng(0)
    for _ in range(40):
        for batch in np.array_split(rng.permutation(learn), len(learn) // 32):
            model.train_on_batch(windows.gather(batch), targets[batch])
    predicted = _predict(model, windows, new)
    r = measure_agreement([Course(targets[new], predicted, np.ones((len(new), 1)))]).r.min()
    assert r > 0.7, f"correlation with new samples of a linear relation is {r:.2f}, expected more than 0.7"


def survives_its_weights_file(build: Build) -> None:
    """Predict the same after its weights went through a file, standardization included."""
    windows, targets = _linear_data()
    model = _compiled(_build(build, windows))
    model.train_on_batch(windows.gather(np.arange(32)), targets[:32])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.weights.h5"
        model.save_weights(path)
        _seed(99)
        other = build(SPEC)
        other.load_weights(path)
    same = np.array_equal(_predict(model, windows, np.arange(9)), _predict(other, windows, np.arange(9)))
    assert same, "predictions differ after save_weights and load_weights: something is not a weight"


def standardizes_by_its_training_windows(build: Build) -> None:
    """Predict the same of the same windows at another level and spread, after being adapted to those; compiled or not."""
    windows, _ = _linear_data()
    other = replace(windows, power=1.5 * windows.power + 300)
    model = _compiled(_build(build, windows))
    expected = _predict(model, windows, np.arange(9))
    unlike = np.abs(_predict(model, other, np.arange(9)) - expected).max()
    spread = max(float(np.abs(expected).max()), 1e-6)
    assert unlike > 0.1 * spread, "windows at another level give the same outputs before the network is adapted to them"
    adapt_standardization(model, other, np.arange(len(other)))
    worst = np.abs(_predict(model, other, np.arange(9)) - expected).max()
    assert worst < 0.01 * spread, (
        "outputs do not follow adapt_standardization: begin with models.layers.standardization.Standardization"
    )


CHECKS: tuple[Callable[[Build], None], ...] = (
    maps_samples_to_targets,
    standardizes_by_its_training_windows,
    is_the_same_for_the_same_seed,
    moves_every_weight,
    learns_a_linear_relation,
    survives_its_weights_file,
)


def refuses_unknown_options(name: str) -> None:
    """Refuse an option that the architecture does not have, and name it."""
    told = ""
    try:
        build_model(name, SPEC, {"no_such_option": 1})
    except UsageError as error:
        told = str(error)
    assert told, "an unknown option was accepted"
    assert "no_such_option" in told, f"the error does not name the unknown option: {told}"


def _linear_data() -> tuple[Windows, np.ndarray]:
    """Make power in dB at a real level, and targets that are each a rhythm some seconds ago plus a little noise."""
    rng = np.random.default_rng(0)
    n = 512
    frames = np.arange(n)[:, None] + len(SPEC.lags_s) - 1 - np.arange(len(SPEC.lags_s))
    power = rng.normal(-110, 4, (n + len(SPEC.lags_s), len(SPEC.channels), len(SPEC.freqs_hz))).astype(np.float32)
    sources = [power[:, channel, freq] for channel, freq in ((4, 3), (1, 5), (0, 1))]
    targets = np.stack([(source[frames[:, 3]] + 110) / 4 for source in sources], 1)
    targets += 0.2 * rng.standard_normal(targets.shape)
    all_of_them = np.ones(n, dtype=bool)
    return Windows(power, frames, all_of_them, np.zeros(n, dtype=int), np.arange(n)), targets.astype(np.float32)


def _build(build: Build, windows: Windows, *, seed: int = 0) -> "keras.Model":
    _seed(seed)
    model = build(SPEC)
    adapt_standardization(model, windows, np.arange(len(windows)))
    return model


def _compiled(model: "keras.Model") -> "keras.Model":
    import keras

    model.compile(keras.optimizers.Adam(3e-3), loss="mse", jit_compile=False)
    return model


def _seed(seed: int) -> None:
    import keras

    keras.utils.set_random_seed(seed)


def _predict(model: "keras.Model", windows: Windows, which: Iterable[int]) -> np.ndarray:
    return np.asarray(model.predict_on_batch(windows.gather(np.asarray(which))))
