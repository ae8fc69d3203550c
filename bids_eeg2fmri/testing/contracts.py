"""What an architecture promises, as code: run it over your own before you ask anybody to train it."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement
from bids_eeg2fmri.models.registry import Architecture, build_model, load_architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.fitting import adapt_standardization, gather_inputs
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
    positions_m=((-0.03, 0.08, 0.0), (-0.06, 0.0, 0.06), (0.0, 0.0, 0.09), (0.0, -0.06, 0.07), (0.03, -0.08, 0.0)),
    sfreq=64.0,
)
# A brain of three slabs: each follows another rhythm.
MASK = np.ones((9, 8, 7), dtype=bool)
MASK[[0, -1]] = MASK[:, [0, -1]] = MASK[:, :, [0, -1]] = False
VOXELS = replace(SPEC, n_outputs=int(MASK.sum()), mask=MASK)


def spec_of(architecture: Architecture) -> SampleSpec:
    """Give the sizes that an architecture is checked with."""
    return VOXELS if architecture.predicts == "voxels" else SPEC


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
    architecture = load_architecture(name, options)
    for check in CHECKS:
        check(architecture.build, spec_of(architecture))
    refuses_unknown_options(name)


def maps_samples_to_targets(build: Build, spec: SampleSpec = SPEC) -> None:
    """Give finite outputs of the right shape for any number of samples, each independent of the others."""
    windows, _ = _linear_data(spec)
    model = _eager(_build(build, spec, windows))
    expected = spec.signal_shape if getattr(model, "looks_at", "power") == "signal" else spec.power_shape
    shape = tuple(model.inputs[0].shape)
    assert shape == (None, *expected), f"expected input of shape {(None, *expected)}, found {shape}"
    shape = tuple(model.outputs[0].shape)
    assert len(model.outputs) == 1, f"expected one output, found {len(model.outputs)}"
    assert len(shape) == 2, f"expected output of shape (None, {spec.n_outputs} or more), found {shape}"
    assert shape[1] >= spec.n_outputs, f"expected output of shape (None, {spec.n_outputs} or more), found {shape}"
    together = _predict(model, windows, np.arange(11))
    for size in (1, 2, 11):
        outputs = _predict(model, windows, np.arange(size))
        assert len(outputs) == size, f"{size} samples gave outputs of shape {outputs.shape}"
        assert np.isfinite(outputs).all(), "outputs are not finite"
        worst = np.abs(outputs - together[:size]).max()
        assert worst < 1e-4 * max(1.0, np.abs(together).max()), (
            f"a sample's output differs by {worst:.3g} with the others in its batch"
        )
    assert np.ptp(together, axis=0).max() > 0, "outputs are the same whatever the sample"


def is_the_same_for_the_same_seed(build: Build, spec: SampleSpec = SPEC) -> None:
    """Start from the same weights for the same seed, and from others for another one."""
    windows, _ = _linear_data(spec)
    first, again, other = (
        _predict(_eager(_build(build, spec, windows, seed=seed)), windows, np.arange(7)) for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again), "two models of one seed differ: draw all weights by Keras' initializers"
    assert not np.array_equal(first, other), "models of two seeds are the same: nothing is drawn"


def moves_every_weight(build: Build, spec: SampleSpec = SPEC) -> None:
    """Change every trainable weight in one training step."""
    windows, targets = _linear_data(spec)
    model = _eager(_build(build, spec, windows))
    before = [np.array(weight.numpy()) for weight in model.trainable_variables]
    model.train_on_batch(gather_inputs(model, windows, np.arange(32)), targets[:32])
    still = [
        variable.path
        for variable, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(variable.numpy(), old)
    ]
    assert not still, f"one training step did not move {', '.join(still)}"


def learns_a_linear_relation(build: Build, spec: SampleSpec = SPEC) -> None:
    """Predict new samples of a linear relation of power and target after a short training: 40 epochs, or fewer."""
    windows, targets = _linear_data(spec)
    learn, new = np.arange(384), np.arange(384, 512)
    model = _compiled(_build(build, spec, windows))
    rng = np.random.default_rng(0)
    for epoch in range(1, 41):
        for batch in np.array_split(rng.permutation(learn), len(learn) // 32):
            model.train_on_batch(gather_inputs(model, windows, batch), targets[batch])
        if epoch % 8 == 0:
            predicted = _predict(model, windows, new)[:, : spec.n_outputs]
            r = measure_agreement([Course(targets[new], predicted, np.ones((len(new), 1)))]).r.min()
            if r > 0.7:
                return
    raise AssertionError(f"correlation with new samples of a linear relation is {r:.2f}, expected more than 0.7")


def survives_its_weights_file(build: Build, spec: SampleSpec = SPEC) -> None:
    """Predict the same after its weights went through a file, standardization included."""
    windows, targets = _linear_data(spec)
    model = _eager(_build(build, spec, windows))
    model.train_on_batch(gather_inputs(model, windows, np.arange(32)), targets[:32])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.weights.h5"
        model.save_weights(path)
        _seed(99)
        other = build(spec)
        other.run_eagerly = True
        other.load_weights(path)
    same = np.array_equal(_predict(model, windows, np.arange(9)), _predict(other, windows, np.arange(9)))
    assert same, "predictions differ after save_weights and load_weights: something is not a weight"


def standardizes_by_its_training_windows(build: Build, spec: SampleSpec = SPEC) -> None:
    """Predict the same of the same windows at another level and spread, after being adapted to those; compiled or not."""
    windows, _ = _linear_data(spec)
    other = replace(windows, power=1.5 * windows.power + 300, signal=1.5 * windows.look_at("signal") + np.float32(1e-5))
    model = _compiled(_build(build, spec, windows))
    expected = _predict(model, windows, np.arange(9))
    unlike = np.abs(_predict(model, other, np.arange(9)) - expected).max()
    spread = max(float(np.abs(expected).max()), 1e-6)
    assert unlike > 0.1 * spread, "windows at another level give the same outputs before the network is adapted to them"
    adapt_standardization(model, other, np.arange(len(other)))
    worst = np.abs(_predict(model, other, np.arange(9)) - expected).max()
    assert worst < 0.01 * spread, (
        "outputs do not follow adapt_standardization: begin with models.layers.standardization.Standardization"
    )


CHECKS: tuple[Callable[[Build, SampleSpec], None], ...] = (
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


def _linear_data(spec: SampleSpec) -> tuple[Windows, np.ndarray]:
    """Make power in dB at a real level, EEG of that power, and targets: each a rhythm some seconds ago plus a little noise."""
    rng = np.random.default_rng(0)
    n, n_lags = 512, len(spec.lags_s)
    frames = np.arange(n)[:, None] + n_lags - 1 - np.arange(n_lags)
    power = rng.normal(-110, 4, (n + n_lags, len(spec.channels), len(spec.freqs_hz))).astype(np.float32)
    times = np.arange(spec.signal_shape[2]) / spec.sfreq
    turns = np.array(spec.freqs_hz)[:, None] * times + rng.random((*power.shape, 1))
    signal = np.einsum("ncf,ncft->nct", 10 ** (power / 20), np.cos(2 * np.pi * turns)).astype(np.float32)
    sources = [power[:, channel, freq] for channel, freq in ((4, 3), (1, 5), (0, 1))]
    targets = np.stack([(source[frames[:, 3]] + 110) / 4 for source in sources], 1)
    if spec.mask is not None:
        place = np.arange(len(spec.mask)) * 3 // len(spec.mask)
        targets = targets[:, np.broadcast_to(place[:, None, None], spec.mask.shape)[spec.mask]]
    targets += 0.2 * rng.standard_normal(targets.shape)
    person = np.ones(n, dtype=int)
    windows = Windows(power, frames, np.ones(n, bool), np.zeros(n, int), np.arange(n), signal, person)
    return windows, targets.astype(np.float32)


def _build(build: Build, spec: SampleSpec, windows: Windows, *, seed: int = 0) -> "keras.Model":
    _seed(seed)
    model = build(spec)
    adapt_standardization(model, windows, np.arange(len(windows)))
    return model


def _compiled(model: "keras.Model", *, eagerly: bool = False) -> "keras.Model":
    import keras

    model.compile(keras.optimizers.Adam(3e-3), loss="mse", jit_compile=False, run_eagerly=eagerly)
    # Variables that are made in the first step would have its graph traced once more.
    model.optimizer.build(model.trainable_variables)
    return model


def _eager(model: "keras.Model") -> "keras.Model":
    """Compile without tracing a graph, which costs seconds and pays for itself over many steps alone."""
    return _compiled(model, eagerly=True)


def _seed(seed: int) -> None:
    import keras

    keras.utils.set_random_seed(seed)


def _predict(model: "keras.Model", windows: Windows, which: Iterable[int]) -> np.ndarray:
    return np.asarray(model.predict_on_batch(gather_inputs(model, windows, np.asarray(which))))
