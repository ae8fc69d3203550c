"""Fit a network to windows: batches gathered as they are needed, stopped by inner validation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bids_eeg2fmri.evaluation.baselines import shrinkage
from bids_eeg2fmri.models.registry import build_model
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.windows import Windows


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained; see ``TrainingSettings``."""

    max_epochs: int
    patience: int
    batch_size: int
    learning_rate: float


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
    """

    training_loss: tuple[tuple[float, ...], ...]
    validation_loss: tuple[tuple[float, ...], ...]
    best_epoch: int
    gains: tuple[float, ...]


class Trainer:
    """One compiled network that is trained again and again from the same start.

    Compiling costs seconds; folds of one shape share it. Nothing but the initial weights is carried from one fit to the
    next.
    """

    def __init__(self, architecture: str, spec: SampleSpec, schedule: Schedule, *, seed: int):
        import keras

        keras.utils.set_random_seed(seed)
        self.spec = spec
        self.schedule = schedule
        self.seed = seed
        # The network works in units of the targets' standard deviation; here it is, times the gains.
        self.output_scale = np.ones(spec.n_outputs, dtype=np.float32)
        self.model = build_model(architecture, spec)
        # XLA slows small networks on CPUs down and would compile each batch size anew.
        self.model.compile(keras.optimizers.Adam(schedule.learning_rate), loss="mse", jit_compile=False)
        self.model.optimizer.build(self.model.trainable_variables)
        self._start = [np.array(weight) for weight in self.model.get_weights()]
        self._optimizer_start = [value.numpy().copy() for value in self.model.optimizer.variables]

    def fit(
        self,
        windows: Windows,
        targets: np.ndarray,
        train: np.ndarray,
        inner: Sequence[tuple[np.ndarray, np.ndarray]],
        *,
        independent: float,
    ) -> History:
        """Find the number of epochs on inner splits, then fit all training samples for as many.

        Parameters
        ----------
        windows : Windows
        targets : array of shape (windows, n_outputs)
            Only rows of ``train`` are looked at.
        train : array of int
            Positions of the training samples.
        inner : sequence of pairs of arrays of int
            Parts of ``train`` with a gap between them: to fit, and to judge when to stop and what to believe.
        independent : float
            Share of the samples that count as independent.
        """
        learning, judging, judged, measured = [], [], [], []
        for learn, judge in inner:
            scale = _spread(targets[learn])
            truth = targets[judge] / scale
            variance = float(np.mean(truth**2)) or 1.0
            losses: list[float] = []
            errors: list[float] = []
            for loss in self._epochs(windows, targets, learn, scale, self.schedule.max_epochs):
                losses.append(loss)
                predicted = self._predict(windows, judge)
                errors.append(float(np.mean((predicted - truth) ** 2)) / variance)
                if errors[-1] <= min(errors):
                    best_predicted = predicted
                if len(errors) - int(np.argmin(errors)) > self.schedule.patience:
                    break
            learning.append(tuple(losses))
            judging.append(tuple(errors))
            judged.append(best_predicted)
            measured.append(truth)
        gains = shrinkage(judged, measured, independent=independent)
        best = round(float(np.mean([np.argmin(errors) + 1 for errors in judging])))

        scale = _spread(targets[train])
        for _ in self._epochs(windows, targets, train, scale, best):
            pass
        self.output_scale = (scale * gains).astype(np.float32)
        return History(tuple(learning), tuple(judging), best, tuple(gains.tolist()))

    def predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        """Predict targets at these positions, (len(which), n_outputs), with the weights of the last fit."""
        return self._predict(windows, which) * self.output_scale

    def learned(self) -> list[np.ndarray]:
        """Copy out all that the last fit has left, for :meth:`restore`."""
        return [*(np.array(weight) for weight in self.model.get_weights()), self.output_scale]

    def restore(self, learned: Sequence[np.ndarray]) -> None:
        """Predict again as after an earlier fit."""
        *weights, self.output_scale = learned
        self.model.set_weights(weights)

    def _epochs(
        self, windows: Windows, targets: np.ndarray, which: np.ndarray, scale: float, n: int
    ) -> Iterator[float]:
        """Train anew on these samples; give the loss after each of ``n`` epochs."""
        self.model.set_weights(self._start)
        for variable, value in zip(self.model.optimizer.variables, self._optimizer_start, strict=True):
            variable.assign(value)
        adapt_standardization(self.model, windows, which)
        rng = np.random.default_rng(self.seed)
        size = min(self.schedule.batch_size, len(which))
        for _ in range(n):
            order = rng.permutation(which)
            losses = []
            # Full batches only, so that the network is compiled for one size; the rest has its turn in another epoch.
            for first in range(0, len(order) - size + 1, size):
                batch = order[first : first + size]
                losses.append(float(self.model.train_on_batch(windows.gather(batch), targets[batch] / scale)))
            yield float(np.mean(losses))

    def _predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        return predict_windows(self.model, windows, which, batch_size=256)


def _spread(targets: np.ndarray) -> float:
    """Standard deviation over all targets: components keep their sizes, so the loss stays that of voxels."""
    return float(targets.std()) or 1.0


def predict_windows(model, windows: Windows, which: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
    """Run a network over windows, a batch at a time."""
    if not len(which):
        return np.zeros((0, model.output_shape[-1]), dtype=np.float32)
    parts = [
        np.asarray(model.predict_on_batch(gather_inputs(model, windows, which[first : first + batch_size])))
        for first in range(0, len(which), batch_size)
    ]
    return np.concatenate(parts)


def gather_inputs(model, windows: Windows, which: np.ndarray) -> Any:
    """Copy out what a network looks at: windows of power or signal, and the participant's number where it asks for it."""
    windows_of_it = windows.gather(which, getattr(model, "looks_at", "power"))
    if len(model.inputs) == 1:
        return windows_of_it
    nobody = np.zeros(len(which), dtype=np.int32)
    return [windows_of_it, nobody if windows.person is None else windows.person[which].astype(np.int32)]


def adapt_standardization(model, windows: Windows, train: np.ndarray) -> None:
    """Set mean and variance of the network's own standardization from the frames of training windows.

    Each frame counts once, in however many windows it is.
    """
    from bids_eeg2fmri.models.layers.standardization import Standardization

    frames = windows.look_at(getattr(model, "looks_at", "power"))[np.unique(windows.frames[train])]
    for layer in model.layers:
        if isinstance(layer, Standardization):
            layer.adapt(frames)
