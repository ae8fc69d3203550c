"""Fit a network to windows: batches gathered as they are needed, stopped by an inner validation block."""

from dataclasses import dataclass

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
    training_loss, validation_loss : tuple of float
        Per epoch, on the inner split; mean squared error over the variance of the targets.
    best_epoch : int
        Epochs of the final fit, counted from 1.
    gains : tuple of float
        How much of each predicted target is believed; see :func:`~bids_eeg2fmri.evaluation.baselines.shrinkage`.
    """

    training_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
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
        # The network works in units of the targets' standard deviation; per target, with the gains.
        self.output_scale = np.ones(spec.n_outputs, dtype=np.float32)
        self.model = build_model(architecture, spec)
        # XLA slows small networks on CPUs down and would compile each batch size anew.
        self.model.compile(keras.optimizers.Adam(schedule.learning_rate), loss="mse", jit_compile=False)
        self.model.optimizer.build(self.model.trainable_variables)
        self._start = [np.array(weight) for weight in self.model.get_weights()]
        self._optimizer_start = [np.array(value) for value in self.model.optimizer.variables]

    def fit(
        self,
        windows: Windows,
        targets: np.ndarray,
        train: np.ndarray,
        inner: tuple[np.ndarray, np.ndarray],
        *,
        independent: float,
    ) -> History:
        """Find the number of epochs on the inner split, then fit all training samples for as many.

        Parameters
        ----------
        windows : Windows
        targets : array of shape (windows, n_outputs)
            Only rows of ``train`` are looked at.
        train : array of int
            Positions of the training samples.
        inner : pair of arrays of int
            Parts of ``train`` with a gap between them: to fit, and to judge when to stop and what to believe.
        independent : float
            Share of the samples that count as independent.
        """
        learn, judge = inner
        scale = float(targets[learn].std()) or 1.0
        variance = float(np.mean((targets[judge] / scale) ** 2)) or 1.0
        self._reset(windows, learn)
        rng = np.random.default_rng(self.seed)
        training_loss: list[float] = []
        validation_loss: list[float] = []
        for _ in range(self.schedule.max_epochs):
            training_loss.append(self._epoch(windows, targets, learn, scale, rng))
            predicted = self._predict(windows, judge)
            validation_loss.append(float(np.mean((predicted - targets[judge] / scale) ** 2)) / variance)
            if validation_loss[-1] <= min(validation_loss):
                best_predicted = predicted
            if len(validation_loss) - int(np.argmin(validation_loss)) > self.schedule.patience:
                break
        best = int(np.argmin(validation_loss)) + 1
        gains = shrinkage(best_predicted, targets[judge] / scale, independent=independent)

        scale = float(targets[train].std()) or 1.0
        self._reset(windows, train)
        rng = np.random.default_rng(self.seed)
        for _ in range(best):
            self._epoch(windows, targets, train, scale, rng)
        self.output_scale = (scale * gains).astype(np.float32)
        return History(tuple(training_loss), tuple(validation_loss), best, tuple(gains.tolist()))

    def predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        """Predict targets at these positions, (len(which), n_outputs), with the weights of the last fit."""
        return self._predict(windows, which) * self.output_scale

    def _reset(self, windows: Windows, train: np.ndarray) -> None:
        self.model.set_weights(self._start)
        for variable, value in zip(self.model.optimizer.variables, self._optimizer_start, strict=True):
            variable.assign(value)
        adapt_standardization(self.model, windows, train)

    def _epoch(self, windows, targets, which, scale, rng) -> float:
        order = rng.permutation(which)
        size = min(self.schedule.batch_size, len(order))
        losses = []
        # Full batches only, so that the network is compiled for one size; the rest has its turn in another epoch.
        for first in range(0, len(order) - size + 1, size):
            batch = order[first : first + size]
            losses.append(float(self.model.train_on_batch(windows.gather(batch), targets[batch] / scale)))
        return float(np.mean(losses))

    def _predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        return predict_windows(self.model, windows, which, batch_size=256)


def predict_windows(model, windows: Windows, which: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
    """Run a network over windows, a batch at a time."""
    if not len(which):
        return np.zeros((0, model.output_shape[-1]), dtype=np.float32)
    parts = [
        np.asarray(model.predict_on_batch(windows.gather(which[first : first + batch_size])))
        for first in range(0, len(which), batch_size)
    ]
    return np.concatenate(parts)


def adapt_standardization(model, windows: Windows, train: np.ndarray) -> None:
    """Set mean and variance of the network's own standardization from the frames of training windows.

    Each frame counts once, in however many windows it is.
    """
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            frames = np.unique(windows.frames[train])
            layer.adapt(windows.power[frames][None])
