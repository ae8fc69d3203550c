"""Fit a network to windows: batches gathered as they are needed, stopped by inner validation."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bids_eeg2fmri.evaluation.baselines import shrinkage
from bids_eeg2fmri.models.registry import Architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.checkpoints import Checkpoint
from bids_eeg2fmri.windows import Windows

# Of the first learning rate, what a cosine leaves at last.
LEAST_RATE = 0.01


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained; see ``TrainingSettings``."""

    max_epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    decay: Literal["constant", "cosine"] = "constant"
    accumulated_batches: int = 1
    half_precision: bool = False

    def rate_at(self, epoch: int) -> float:
        """Give the learning rate of an epoch, counted from 0; it does not depend on when training will end."""
        if self.decay == "constant":
            return self.learning_rate
        falling = 0.5 * (1 + np.cos(np.pi * epoch / self.max_epochs))
        return float(self.learning_rate * (LEAST_RATE + (1 - LEAST_RATE) * falling))


@dataclass(frozen=True)
class History:
    """What training did.

    Attributes
    ----------
    training_loss, validation_loss : tuple of tuples of float
        Per inner split and epoch: the loss that training minimizes, penalties included; and the mean squared error over
        the variance of the targets.
    best_epoch : int
        Epochs of the final fit, counted from 1.
    gains : tuple of float
        How much of each predicted target is believed; see :func:`~bids_eeg2fmri.evaluation.baselines.shrinkage`.
    tried : str
        What losses are told of: each "epoch", or each candidate that a solver tried.
    """

    training_loss: tuple[tuple[float, ...], ...]
    validation_loss: tuple[tuple[float, ...], ...]
    best_epoch: int
    gains: tuple[float, ...]
    tried: str = "epoch"


@dataclass
class _Course:
    """One run of epochs from the start."""

    losses: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    best: np.ndarray | None = None  # what was predicted after the epoch with the least error


@dataclass(frozen=True)
class Start:
    """A model that is to be tuned.

    Attributes
    ----------
    weights : list of arrays
        Of its network, as :meth:`keras.Model.get_weights` gives them.
    output_scale : array of shape (n_targets,)
        Unit of its network's outputs.
    """

    weights: Sequence[np.ndarray]
    output_scale: np.ndarray

    def head_of(self, model) -> list[np.ndarray]:
        """Pick the weights of the layer ``coefficients`` of a network of this kind."""
        paths = [weight.path for weight in model.weights]
        return [self.weights[paths.index(weight.path)] for weight in model.get_layer("coefficients").weights]


@dataclass(frozen=True)
class OutputBasis:
    """Between coefficients, which are predicted everywhere, and what a network puts out.

    Attributes
    ----------
    n_outputs : int
        Columns of the output that are the prediction; an architecture may have more for its own loss.
    components : array of shape (coefficients, voxels), optional
        Orthonormal rows, where a network puts out voxels; None where it puts out the coefficients.
    """

    n_outputs: int
    components: np.ndarray | None = None

    @classmethod
    def of(cls, spec: SampleSpec, components: np.ndarray | None) -> "OutputBasis":
        return cls(spec.n_outputs, components if spec.mask is not None else None)

    @property
    def arrays(self) -> list[np.ndarray]:
        return [] if self.components is None else [self.components]

    @property
    def _unit(self) -> float:
        """Voxels vary much less than coefficients do: brings them to about 1."""
        assert self.components is not None
        return float(np.sqrt(self.components.shape[1] / self.components.shape[0]))

    def outputs(self, coefficients: np.ndarray) -> np.ndarray:
        """Give what a network is to put out for coefficients, (samples, n_outputs)."""
        return coefficients if self.components is None else self._unit * (coefficients @ self.components)

    def coefficients(self, outputs: np.ndarray) -> np.ndarray:
        """Give the coefficients that an output stands for."""
        outputs = outputs[:, : self.n_outputs]
        return outputs if self.components is None else (outputs @ self.components.T) / self._unit


class Trainer:
    """One compiled network that is trained again and again from the same start.

    Compiling costs seconds; folds of one shape share it. Nothing but the initial weights is carried from one fit to the
    next.

    Parameters
    ----------
    architecture : Architecture
    spec : SampleSpec
    schedule : Schedule
    seed : int
        Of the initial weights, the order of the samples and what layers draw.
    start : Start, optional
        A model that is to be tuned: its weights instead of drawn ones. Its standardization stays what it is, and no epoch at
        all may prove to be the best number.
    work_dir : Path, optional
        Where an interrupted training finds how far it came.

    Attributes
    ----------
    judged : list of (rows, predicted)
        Of the last fit, per inner split: what was predicted of samples that were not learned from, (samples, n_targets),
        in units of the targets, times the gains.
    """

    def __init__(
        self,
        architecture: Architecture,
        spec: SampleSpec,
        schedule: Schedule,
        *,
        seed: int,
        start: Start | None = None,
        work_dir: Path | None = None,
    ):
        import keras

        keras.utils.set_random_seed(seed)
        self.architecture = architecture
        self.spec = spec
        self.schedule = schedule
        self.seed = seed
        self.work_dir = work_dir
        # The network works in units of the targets' standard deviation; here it is, times the gains.
        self.output_scale = np.ones(spec.n_outputs, dtype=np.float32)
        self.basis = OutputBasis(spec.n_outputs)
        self.judged: list[tuple[np.ndarray, np.ndarray]] = []
        policy = keras.config.dtype_policy()
        if schedule.half_precision:  # weights stay in single precision, and so do standardization and outputs
            keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            self.model = architecture.build(spec)
        finally:
            keras.config.set_dtype_policy(policy)
        self._tuned = start
        if start is not None:
            self.model.set_weights(list(start.weights))
        steps = schedule.accumulated_batches
        optimizer = keras.optimizers.Adam(
            schedule.learning_rate, gradient_accumulation_steps=steps if steps > 1 else None
        )
        # XLA slows small networks on CPUs down and would compile each batch size anew.
        self.model.compile(optimizer, loss="mse", jit_compile=False)
        self.model.optimizer.build(self.model.trainable_variables)
        self._start = _copied(self._state())

    def fit(
        self,
        windows: Windows,
        targets: np.ndarray,
        train: np.ndarray,
        inner: Sequence[tuple[np.ndarray, np.ndarray]],
        *,
        independent: float,
        components: np.ndarray | None = None,
    ) -> History:
        """Find the number of epochs on inner splits, then fit all training samples for as many.

        Parameters
        ----------
        windows : Windows
        targets : array of shape (windows, n_targets)
            Coefficients of a basis; only rows of ``train`` are looked at.
        train : array of int
            Positions of the training samples.
        inner : sequence of pairs of arrays of int
            Parts of ``train`` with a gap between them: to fit, and to judge when to stop and what to believe.
        independent : float
            Share of the samples that count as independent.
        components : array of shape (n_targets, voxels), optional
            The basis: a network of voxels learns what these coefficients make of it, and its predictions are projected to it.
        """
        self.basis = OutputBasis.of(self.spec, components)
        checkpoint = self._checkpoint(windows, targets, train, inner)
        courses = self._resume(checkpoint)
        patience = self.schedule.patience
        for number, (learn, judge) in enumerate(inner):
            scale = self._unit(targets[learn])
            truth = targets[judge] / scale
            variance = float(np.mean(truth**2)) or 1.0
            rng = self._begin(courses, number, windows, learn, checkpoint)
            course = courses[number]
            while len(course.losses) < self.schedule.max_epochs:
                if len(course.errors) - 1 - _best(course) >= patience:
                    break
                if course.errors or self._tuned is None:
                    course.losses.append(self._epoch(windows, targets, learn, scale, len(course.losses), rng))
                predicted = self._predict(windows, judge)
                course.errors.append(float(np.mean((predicted - truth) ** 2)) / variance)
                if course.errors[-1] <= min(course.errors):
                    course.best = predicted
                self._keep(checkpoint, courses, rng)
        first = 1 if self._tuned is None else 0  # of a model that is tuned, an error is told before its first epoch
        best = round(float(np.mean([_best(course) + first for course in courses[: len(inner)]])))

        scale = self._unit(targets[train])
        rng = self._begin(courses, len(inner), windows, train, checkpoint)
        final = courses[-1]
        while len(final.losses) < best:
            final.losses.append(self._epoch(windows, targets, train, scale, len(final.losses), rng))
            self._keep(checkpoint, courses, rng)
        self._keep(checkpoint, courses, rng, at_once=True)

        scales = [self._unit(targets[learn]) for learn, _ in inner]
        predictions = [course.best for course in courses[:-1] if course.best is not None]
        measured = [targets[judge] / one for (_, judge), one in zip(inner, scales, strict=True)]
        gains = shrinkage(predictions, measured, independent=independent)
        self.judged = [
            (judge, predicted * one * gains)
            for (_, judge), predicted, one in zip(inner, predictions, scales, strict=True)
        ]
        self.output_scale = (scale * gains).astype(np.float32)
        return History(
            tuple(tuple(course.losses) for course in courses[:-1]),
            tuple(tuple(course.errors[1 - first :]) for course in courses[:-1]),
            best,
            tuple(gains.tolist()),
        )

    def predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        """Predict targets at these positions, (len(which), n_targets), with the weights of the last fit."""
        return self._predict(windows, which) * self.output_scale

    def learned(self) -> list[np.ndarray]:
        """Copy out all that the last fit has left, for :meth:`restore`."""
        return [*_copied(self.model.weights), self.output_scale, *self.basis.arrays]

    def restore(self, learned: Sequence[np.ndarray]) -> None:
        """Predict again as after an earlier fit."""
        n = len(self.model.weights)
        self.model.set_weights(list(learned[:n]))
        self.output_scale = learned[n]
        self.basis = OutputBasis(self.spec.n_outputs, *learned[n + 1 :])

    def _epoch(self, windows: Windows, targets: np.ndarray, which: np.ndarray, scale: float, epoch: int, rng) -> float:
        """Go through the samples once; give the mean loss."""
        self.model.optimizer.learning_rate.assign(self.schedule.rate_at(epoch))
        order = rng.permutation(which)
        size = min(self.schedule.batch_size, len(which))
        losses = []
        # Full batches only, so that the network is compiled for one size; the rest has its turn in another epoch.
        for first in range(0, len(order) - size + 1, size):
            batch = order[first : first + size]
            inputs = gather_inputs(self.model, windows, batch)
            losses.append(float(self.model.train_on_batch(inputs, self.basis.outputs(targets[batch] / scale))))
        return float(np.mean(losses))

    def _predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        return predict_coefficients(self.model, windows, which, self.basis)

    def _unit(self, targets: np.ndarray) -> float:
        """Give the size of the targets; of a model that is tuned, what it was when it was trained."""
        return _spread(targets) if self._tuned is None else float(self._tuned.output_scale.max()) or 1.0

    # ------------------------------------------------------------------------------------------------- where it stands

    def _state(self) -> list[Any]:
        """List all that training changes: weights, what layers draw from, and the optimizer's memory."""
        return [*self.model.trainable_variables, *self.model.non_trainable_variables, *self.model.optimizer.variables]

    def _begin(self, courses: list[_Course], number: int, windows: Windows, which, checkpoint) -> np.random.Generator:
        """Go back to the start, or to where an interrupted course stopped."""
        rng = np.random.default_rng(self.seed)
        if number < len(courses) - 1:
            return rng  # done before the interruption
        if number == len(courses) - 1:
            values, arrays = checkpoint.read()
            self._set(arrays[values["n_best"] :])
            rng.bit_generator.state = values["rng"]
            return rng
        self._set(self._start)
        if self._tuned is None:
            adapt_standardization(self.model, windows, which)
        courses.append(_Course())
        return rng

    def _set(self, values: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._state(), values, strict=True):
            variable.assign(value)

    def _checkpoint(self, windows: Windows, targets: np.ndarray, train: np.ndarray, inner) -> Checkpoint | None:
        if self.work_dir is None:
            return None
        what = [self.architecture.name, asdict(self.architecture.config), asdict(self.schedule), self.seed]
        spec = [self.spec.lags_s, self.spec.channels, self.spec.freqs_hz, self.spec.n_outputs, self.spec.positions_m]
        data = [windows.look_at(self.architecture.looks_at), windows.frames, targets[train], train, *self.basis.arrays]
        return Checkpoint(
            self.work_dir, [*what, *spec, *data, *(part for pair in inner for part in pair), *self._start]
        )

    def _resume(self, checkpoint: Checkpoint | None) -> list[_Course]:
        kept = checkpoint.read() if checkpoint is not None else None
        if kept is None:
            return []
        values, arrays = kept
        best = iter(arrays[: values["n_best"]])
        return [
            _Course(losses, errors, next(best) if errors else None)
            for losses, errors in zip(values["losses"], values["errors"], strict=True)
        ]

    def _keep(self, checkpoint: Checkpoint | None, courses: list[_Course], rng, *, at_once: bool = False) -> None:
        if checkpoint is None or not (at_once or checkpoint.is_due):
            return
        best = [course.best for course in courses if course.best is not None]
        values = {
            "losses": [course.losses for course in courses],
            "errors": [course.errors for course in courses],
            "n_best": len(best),
            "rng": json.loads(json.dumps(rng.bit_generator.state)),
        }
        checkpoint.write(values, [*best, *_copied(self._state())])


def _copied(variables: Sequence[Any]) -> list[np.ndarray]:
    return [variable.numpy().copy() for variable in variables]


def _best(course: _Course) -> int:
    """Give the epoch with the least error, counted from 0; the first where there is none yet."""
    return int(np.argmin(course.errors)) if course.errors else 0


def _spread(targets: np.ndarray) -> float:
    """Standard deviation over all targets: components keep their sizes, so the loss stays that of voxels."""
    return float(targets.std()) or 1.0


def predict_windows(model, windows: Windows, which: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
    """Run a network over windows, a batch at a time; give all that it puts out, (len(which), n), float32."""
    if not len(which):
        return np.zeros((0, model.output_shape[-1]), dtype=np.float32)
    parts = [
        np.asarray(model.predict_on_batch(gather_inputs(model, windows, which[first : first + batch_size])))
        for first in range(0, len(which), batch_size)
    ]
    return np.concatenate(parts).astype(np.float32, copy=False)


def predict_coefficients(model, windows: Windows, which: np.ndarray, basis: OutputBasis) -> np.ndarray:
    """Run a network over windows; give coefficients, (len(which), coefficients). No more than a batch of voxels is held."""
    parts = [
        basis.coefficients(predict_windows(model, windows, which[first : first + 256]))
        for first in range(0, max(len(which), 1), 256)
    ]
    return np.concatenate(parts)


def gather_inputs(model, windows: Windows, which: np.ndarray) -> np.ndarray:
    """Copy out what a network looks at: windows of power or signal."""
    return windows.gather(which, getattr(model, "looks_at", "power"))


def adapt_standardization(model, windows: Windows, train: np.ndarray) -> None:
    """Set mean and variance of the network's own standardization from the frames of training windows.

    Each frame counts once, in however many windows it is.
    """
    from bids_eeg2fmri.models.layers.standardization import Standardization

    frames = windows.look_at(getattr(model, "looks_at", "power"))[np.unique(windows.frames[train])]
    for layer in model.layers:
        if isinstance(layer, Standardization):
            layer.adapt(frames)
