"""What learns from windows, however it does."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bids_eeg2fmri.models.registry import Architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.fitting import History, Schedule, Start, Trainer
from bids_eeg2fmri.training.solving import Solver
from bids_eeg2fmri.windows import Windows

if TYPE_CHECKING:
    import keras


class Learner(Protocol):
    """A network and how its weights are found: what :class:`Trainer` and :class:`Solver` have in common."""

    spec: SampleSpec
    model: "keras.Model"
    output_scale: np.ndarray
    judged: list[tuple[np.ndarray, np.ndarray]]

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
        """Learn from the training samples alone; nothing is carried over from an earlier fit."""

    def predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        """Predict targets with the weights of the last fit."""

    def learned(self) -> list[np.ndarray]:
        """Copy out all that the last fit has left."""

    def restore(self, learned: Sequence[np.ndarray]) -> None:
        """Predict again as after an earlier fit."""


def make_learner(
    architecture: Architecture,
    spec: SampleSpec,
    schedule: Schedule,
    *,
    seed: int,
    work_dir: Path | None = None,
    start: Start | None = None,
) -> Learner:
    """Make what finds the weights of this architecture: by its solver, or by gradients and the schedule.

    ``start`` is a model that is to be tuned. ``work_dir`` is where an interrupted training finds how far it came; a solver is
    done too soon to need it.
    """
    if architecture.solver is not None:
        return Solver(architecture, spec, seed=seed, start=start)
    return Trainer(architecture, spec, schedule, seed=seed, work_dir=work_dir, start=start)
