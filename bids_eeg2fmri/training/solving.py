"""Compute the weights of a network that is not descended to."""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bids_eeg2fmri.models.registry import Architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.fitting import History, adapt_standardization, gather_inputs, predict_windows
from bids_eeg2fmri.training.solution import Solution
from bids_eeg2fmri.windows import Windows

if TYPE_CHECKING:
    import keras

Splits = Sequence[tuple[np.ndarray, np.ndarray]]


class Solver:
    """A network whose weights are computed, again and again; what :class:`~bids_eeg2fmri.training.fitting.Trainer` is to others.

    The network is one like any other: it predicts, is saved and is loaded without its solver. It has a layer ``features``,
    whose output the solver looks at, and ends with a layer ``coefficients``, whose weights the solver finds.

    Parameters
    ----------
    architecture : Architecture
        Whose ``Config.solver`` names a file of :mod:`bids_eeg2fmri.training.solvers`, or a module of another package by its
        dotted path.
    spec : SampleSpec
    seed : int
        Of what the solver draws, if it draws.

    Attributes
    ----------
    output_scale : array of shape (n_outputs,)
        The unit of the network's outputs times the gains.
    judged : list of (rows, predicted)
        Of the last fit, per inner split: what was predicted of samples that were not learned from, (samples, n_outputs),
        in units of the targets, times the gains.
    """

    def __init__(self, architecture: Architecture, spec: SampleSpec, *, seed: int):
        import keras

        keras.utils.set_random_seed(seed)
        self.spec = spec
        self.seed = seed
        self.output_scale = np.ones(spec.n_outputs, dtype=np.float32)
        self.judged: list[tuple[np.ndarray, np.ndarray]] = []
        self.model = architecture.build(spec)
        # XLA would compile each batch size anew.
        self.model.compile(jit_compile=False)

    def fit(
        self,
        windows: Windows,
        targets: np.ndarray,
        train: np.ndarray,
        inner: Splits,
        *,
        independent: float,
        components: np.ndarray | None = None,
    ) -> History:
        """Choose penalties (or what the solver has) on inner splits, then solve for all training samples.

        Parameters
        ----------
        windows : Windows
        targets : array of shape (windows, n_outputs)
            Coefficients of a basis, each of mean about 0 over ``train``; only rows of ``train`` are looked at.
        train : array of int
            Positions of the training samples.
        inner : sequence of pairs of arrays of int
            Parts of ``train`` with a gap between them: to solve for, and to judge by which candidate is best and what to
            believe.
        independent : float
            Share of the samples that count as independent.
        components : array of shape (n_outputs, voxels), optional
            Not looked at: what is solved for are coefficients.

        Returns
        -------
        History
            ``best_epoch`` is the number of the candidate that was chosen, of the most cautious (strongest penalty, a single
            tree) to the boldest; losses are told of each.
        """
        scale = float(targets[train].std()) or 1.0
        solution, judged = solve(
            self.model, windows, targets / scale, train, inner, independent=independent, seed=self.seed
        )
        choice = solution.choice
        self.output_scale = (scale * choice.gains).astype(np.float32)
        self.judged = [(rows, said * self.output_scale) for rows, said in zip(judged, choice.judged, strict=True)]
        return History(
            choice.training_loss, choice.validation_loss, choice.best, tuple(choice.gains.tolist()), solution.tried
        )

    def predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        """Predict targets at these positions, (len(which), n_outputs), with the weights of the last fit."""
        return predict_windows(self.model, windows, which) * self.output_scale

    def learned(self) -> list[np.ndarray]:
        """Copy out all that the last fit has left, for :meth:`restore`."""
        return [*(weight.numpy().copy() for weight in self.model.weights), self.output_scale]

    def restore(self, learned: Sequence[np.ndarray]) -> None:
        """Predict again as after an earlier fit."""
        *weights, self.output_scale = learned
        self.model.set_weights(weights)


def solve(
    model: "keras.Model",
    windows: Windows,
    targets: np.ndarray,
    train: np.ndarray,
    inner: Splits,
    *,
    independent: float,
    seed: int,
) -> tuple[Solution, list[np.ndarray]]:
    """Compute the weights of a network as its solver does, and put them in.

    Its standardization is that of the EEG of all training windows, also for the inner splits, which are part of them.

    Parameters
    ----------
    model : keras.Model
        As :meth:`~bids_eeg2fmri.models.registry.Architecture.build` makes it.
    windows, targets, train, inner, independent
        As :meth:`Solver.fit` has them.
    seed : int

    Returns
    -------
    Solution
    list of arrays of int
        Per inner split, the positions of the samples that it was judged by.
    """
    name = model.solver
    module = importlib.import_module(name if "." in name else f"{__package__}.solvers.{name}")
    # Neighbouring volumes share most of their EEG.
    stride = max(1, -(-len(train) // module.MOST_SAMPLES))
    kept = train[::stride]
    pairs = [(np.flatnonzero(np.isin(kept, learn)), np.flatnonzero(np.isin(kept, judge))) for learn, judge in inner]
    adapt_standardization(model, windows, train)
    solution = module.solve(
        _features(model, windows, kept),
        targets[kept],
        pairs,
        options=model.options,
        independent=min(1.0, independent * stride),
        seed=seed,
        person=None if windows.person is None else windows.person[kept],
    )
    model.get_layer("coefficients").set_weights(solution.weights)
    return solution, [kept[judge] for _, judge in pairs]


def _features(model: "keras.Model", windows: Windows, which: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
    """Give what the layer ``features`` says of windows, (len(which), features)."""
    import keras

    # Called as it is: a network that is made for one look need not be compiled.
    looking = keras.Model(model.input, model.get_layer("features").output)
    parts = [
        keras.ops.convert_to_numpy(
            looking(gather_inputs(model, windows, which[first : first + batch_size]), training=False)
        )
        for first in range(0, len(which), batch_size)
    ]
    return np.concatenate(parts).astype(np.float32, copy=False)
