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
from bids_eeg2fmri.training.solving import solve
from bids_eeg2fmri.windows import Windows

if TYPE_CHECKING:
    import keras

Build = Callable[[SampleSpec], "keras.Model"]

# No two sizes alike, so that axes can't be mistaken for each other.
SPEC = SampleSpec(
    lags_s=(0.0, 2.0, 4.0, 6.0, 8.0, 10.0),
    channels=("Fp1", "C3", "Cz", "Pz", "O2"),
    # The rhythms that are followed (6, 10 and 20 Hz) are alone in the field's usual bands.
    freqs_hz=(2.0, 3.0, 6.0, 10.0, 20.0, 30.0, 31.0),
    n_outputs=3,
    positions_m=((-0.03, 0.08, 0.0), (-0.06, 0.0, 0.06), (0.0, 0.0, 0.09), (0.0, -0.06, 0.07), (0.03, -0.08, 0.0)),
    sfreq=64.0,
)
# A brain of three slabs: each follows another rhythm.
MASK = np.ones((9, 8, 7), dtype=bool)
MASK[[0, -1]] = MASK[:, [0, -1]] = MASK[:, :, [0, -1]] = False
VOXELS = replace(SPEC, n_outputs=int(MASK.sum()), mask=MASK)
# Samples to learn from; parts of them to choose by, where weights are computed.
LEARN = np.arange(384)
INNER = ((LEARN[:186], LEARN[198:]), (LEARN[198:], LEARN[:186]))


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
    windows, targets = _linear_data(spec)
    model = _build(build, spec, windows, targets)
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
    """Start from the same weights for the same seed, and from others for another one.

    Weights that are computed come out the same for the same seed; that anything is drawn is not asked.
    """
    windows, targets = _linear_data(spec)
    models = [_build(build, spec, windows, targets, seed=3) for _ in range(2)]
    first, again = (_predict(model, windows, np.arange(7)) for model in models)
    assert np.array_equal(first, again), "two models of one seed differ: draw all weights by Keras' initializers"
    if _solver_of(models[0]) is None:
        other = _predict(_build(build, spec, windows, targets, seed=4), windows, np.arange(7))
        assert not np.array_equal(first, other), "models of two seeds are the same: nothing is drawn"


def moves_every_weight(build: Build, spec: SampleSpec = SPEC) -> None:
    """Change every trainable weight in one training step; every weight of ``coefficients`` where they are computed."""
    windows, targets = _linear_data(spec)
    _seed(0)
    model = _compiled(build(spec), for_one_step=True)
    if _solver_of(model) is not None:
        variables, what = model.get_layer("coefficients").variables, "the solver"
    else:
        variables, what = model.trainable_variables, "one training step"
    before = [np.array(variable.numpy()) for variable in variables]
    _begin_to_learn(model, windows, targets)
    still = [
        variable.path for variable, old in zip(variables, before, strict=True) if np.array_equal(variable.numpy(), old)
    ]
    assert not still, f"{what} did not move {', '.join(still)}"


def learns_a_linear_relation(build: Build, spec: SampleSpec = SPEC) -> None:
    """Predict new samples of a linear relation of power and target after a short training, or by weights that are computed."""
    windows, targets = _linear_data(spec)
    new = np.arange(len(LEARN), len(windows))
    model = _compiled(_build(build, spec, windows, targets))
    rng = np.random.default_rng(0)
    # Five epochs at a time, until it is enough.
    n_epochs = 5 if _solver_of(model) is None else 0
    for _ in range(9 if n_epochs else 1):
        predicted = _predict(model, windows, new)[:, : spec.n_outputs]
        r = measure_agreement([Course(targets[new], predicted, np.ones((len(new), 1)))]).r.min()
        if r > 0.7:
            return
        for _ in range(n_epochs):
            for batch in np.array_split(rng.permutation(LEARN), len(LEARN) // 32):
                model.train_on_batch(gather_inputs(model, windows, batch), targets[batch])
    raise AssertionError(f"correlation with new samples of a linear relation is {r:.2f}, expected more than 0.7")


def survives_its_weights_file(build: Build, spec: SampleSpec = SPEC) -> None:
    """Predict the same after its weights went through a file, standardization included."""
    windows, targets = _linear_data(spec)
    _seed(0)
    model = _compiled(build(spec), for_one_step=True)
    _begin_to_learn(model, windows, targets)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.weights.h5"
        model.save_weights(path)
        _seed(99)
        other = build(spec)
        other.run_eagerly = True  # as the first is: a graph may round the last bit otherwise
        other.load_weights(path)
    same = np.array_equal(_predict(model, windows, np.arange(9)), _predict(other, windows, np.arange(9)))
    assert same, "predictions differ after save_weights and load_weights: something is not a weight"


def standardizes_by_its_training_windows(build: Build, spec: SampleSpec = SPEC) -> None:
    """Predict the same of the same windows at another level and spread, after being adapted to those; compiled or not."""
    windows, targets = _linear_data(spec)
    other = replace(windows, power=1.5 * windows.power + 300, signal=1.5 * windows.look_at("signal") + np.float32(1e-5))
    model = _compiled(_build(build, spec, windows, targets))
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
    """Make power in dB at a real level, EEG of that power, and targets: each the response to a rhythm plus a little noise."""
    rng = np.random.default_rng(0)
    n, n_lags = 512, len(spec.lags_s)
    frames = np.arange(n)[:, None] + n_lags - 1 - np.arange(n_lags)
    changes = rng.normal(0, 4, (n + n_lags, len(spec.channels), len(spec.freqs_hz))).astype(np.float32)
    # As on any head: each channel has a level of its own at each frequency.
    power = changes + np.random.default_rng(5).normal(-110, 6, changes.shape[1:]).astype(np.float32)
    times = np.arange(spec.signal_shape[2]) / spec.sfreq
    turns = np.array(spec.freqs_hz)[:, None] * times + rng.random((*power.shape, 1))
    signal = np.einsum("ncf,ncft->nct", 10 ** (power / 20), np.cos(2 * np.pi * turns)).astype(np.float32)
    rhythms = ((4, 10.0), (1, 20.0), (0, 6.0))
    sources = [changes[:, channel, spec.freqs_hz.index(freq_hz)] for channel, freq_hz in rhythms]
    # As BOLD follows: most of it after 6 s.
    response = np.array([0.0, 0.2, 0.7, 1.0, 0.6, 0.3])
    response /= np.linalg.norm(response)
    targets = np.stack([(source[frames] / 4) @ response for source in sources], 1)
    if spec.mask is not None:
        place = np.arange(len(spec.mask)) * 3 // len(spec.mask)
        targets = targets[:, np.broadcast_to(place[:, None, None], spec.mask.shape)[spec.mask]]
    targets += 0.2 * rng.standard_normal(targets.shape)
    person = np.ones(n, dtype=int)
    windows = Windows(power, frames, np.ones(n, bool), np.zeros(n, int), np.arange(n), signal, person)
    return windows, targets.astype(np.float32)


def _build(build: Build, spec: SampleSpec, windows: Windows, targets: np.ndarray, *, seed: int = 0) -> "keras.Model":
    """Build a network and adapt it; where its weights are computed, compute them, for it has nothing to say before."""
    _seed(seed)
    model = build(spec)
    if _solver_of(model) is not None:
        _begin_to_learn(model, windows, targets, seed=seed)
    adapt_standardization(model, windows, np.arange(len(windows)))
    model.run_eagerly = True  # until it is compiled: some predictions are not worth tracing it
    return model


def _begin_to_learn(model: "keras.Model", windows: Windows, targets: np.ndarray, *, seed: int = 0) -> None:
    """Do one training step; or all there is to do, where weights are computed."""
    if _solver_of(model) is not None:
        solve(model, windows, targets, LEARN, INNER, independent=1.0, seed=seed)
        return
    adapt_standardization(model, windows, np.arange(len(windows)))
    model.train_on_batch(gather_inputs(model, windows, np.arange(32)), targets[:32])


def _solver_of(model: "keras.Model") -> str | None:
    return getattr(model, "solver", None)


def _compiled(model: "keras.Model", *, for_one_step: bool = False) -> "keras.Model":
    """Compile as training does; for one step it is not worth the seconds that it takes to trace it."""
    import keras

    model.compile(keras.optimizers.Adam(3e-3), loss="mse", jit_compile=False, run_eagerly=for_one_step)
    # Variables that are made in the first step would have its graph traced once more.
    model.optimizer.build(model.trainable_variables)
    return model


def _seed(seed: int) -> None:
    import keras

    keras.utils.set_random_seed(seed)


def _predict(model: "keras.Model", windows: Windows, which: Iterable[int]) -> np.ndarray:
    return np.asarray(model.predict_on_batch(gather_inputs(model, windows, np.asarray(which))))
