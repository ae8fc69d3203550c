"""Where there are events: maps of the task from measured and from synthesized series, and how they agree."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.derivatives import labels_of
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.evaluation.task import Design, agree, design_matrix, map_contrasts, split_by_block
from bids_eeg2fmri.workflow.account import Account
from bids_eeg2fmri.workflow.preparation import Prepared
from bids_eeg2fmri.workflow.scoring import nuisance

logger = logging.getLogger(__name__)


def compare_task_maps(
    account: Account,
    runs: Sequence[Prepared],
    measured: Sequence[np.ndarray],
    predicted: Mapping[str, Sequence[np.ndarray]],
    blocks: Sequence[np.ndarray],
    grid: Grid,
) -> list[dict[str, Any]]:
    """Compare the task's maps of each run that has events; write those of the measurement and of the first model.

    The maps that are written are those of whole runs; what is compared are maps of held-out blocks, for the reason that
    :func:`bids_eeg2fmri.evaluation.task.split_by_block` gives.

    Parameters
    ----------
    account : Account
        Is told of the files, and of the conditions that were left out.
    runs, measured, predicted, blocks
        As :func:`bids_eeg2fmri.workflow.scoring.score` takes them. Models that give a constant image are left out.
    grid : Grid

    Returns
    -------
    list of dict
        ``recording``, ``condition``, ``model``, ``r``, ``dice``, ``threshold_share``: of each run, contrast and model.
    """
    rows: list[dict[str, Any]] = []
    drift_period_s = account.task.settings.bold.drift_period_s
    first = next(iter(predicted))
    for i, run in enumerate(runs):
        if run.events is None:
            continue
        name, use = run.recording.name, blocks[i] >= 0
        series = {model: of_runs[i] for model, of_runs in predicted.items()}
        of_run, design, left_out = compare_in_blocks(
            run.events,
            measured[i],
            series,
            blocks[i],
            tr_s=run.tr_s,
            drift_period_s=drift_period_s,
            confounds=run.confounds,
        )
        rows += [{"recording": name} | row for row in of_run]
        for condition, reason in left_out.items():
            logger.info("%s: %s: %s", name, condition, reason)
        told = {
            "DesignMatrix": {
                "HemodynamicResponse": "spm",
                "Drift": f"cosines with periods of at least {drift_period_s:g} s, a constant for each held-out block",
                "Confounds": 0 if run.confounds is None else run.confounds.shape[1],
                "NoiseModel": "ar1",
                "Contrasts": list(design.contrasts),
                "LeftOut": left_out,
                "Volumes": int(use.sum()),
            }
        }
        whole = map_contrasts(measured[i][use], {first: series[first][use]}, design)
        files = []
        for label, (condition, maps) in zip(labels_of(list(whole)), whole.items(), strict=True):
            entry = {"condition": condition}
            for side, [z] in (("measured", maps.measured), ("synthesized", maps.predicted[first])):
                image = grid.image(np.nan_to_num(z).astype(np.float32))
                sidecar = {"Contrast": condition, **told} | ({"Model": first} if side == "synthesized" else {})
                path = account.derivatives.write_task_map(
                    run.recording, label, side, image, sidecar, space=grid.entities
                )
                entry[side] = path.as_posix()
            files.append(entry)
        account.entries[run.recording.file] |= {"task_maps": files, "task_left_out": left_out}
    return rows


def compare_in_blocks(
    events: pd.DataFrame,
    measured: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    blocks: np.ndarray,
    *,
    tr_s: float,
    drift_period_s: float,
    confounds: np.ndarray | None = None,
) -> tuple[list[dict[str, Any]], Design, dict[str, str]]:
    """Compare the task's maps of one run, block by block.

    Parameters
    ----------
    events : DataFrame
        See :func:`bids_eeg2fmri.evaluation.task.design_matrix`.
    measured, predicted, blocks, confounds
        Of all volumes of the run.

    Returns
    -------
    rows : list of dict
        ``condition``, ``model``, ``r``, ``dice``, ``threshold_share``: of each contrast and model that changes.
    design : Design
        Of the whole run.
    left_out : dict of str to str
        Conditions and contrasts that were not compared, with the reason.
    """
    use = blocks >= 0
    out = nuisance(blocks, tr_s=tr_s, drift_period_s=drift_period_s, confounds=confounds)
    design = design_matrix(events, out, blocks, tr_s=tr_s)
    in_blocks = split_by_block(design, blocks)
    series = {model: values[use] for model, values in predicted.items()}
    changing = {model: values for model, values in series.items() if np.ptp(values, axis=0).any()}
    rows = [
        {"condition": condition, "model": model, **asdict(agree(maps.measured, values))}
        for condition, maps in map_contrasts(measured[use], changing, in_blocks).items()
        for model, values in maps.predicted.items()
    ]
    left_out = design.left_out | {
        contrast: "in no held-out block can it be told from the block's mean and drift; not compared"
        for contrast in design.contrasts
        if contrast not in in_blocks.contrasts
    }
    return rows, design, left_out
