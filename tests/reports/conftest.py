"""A participant's results as the participant level leaves them, small, and a way to look at a page."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.reports.participant import participant_report

N_VOLUMES, SHAPE = 41, (7, 8, 9)
REGIONS = ("L15P15S15", "R15A15S45", "L45P75I15")
AFFINE = np.array([[20.0, 0, 0, -60], [0, 21, 0, -90], [0, 0, 22, -70], [0, 0, 0, 1]])


MODELS = {
    "separable": "model",
    "lagged band-power ridge": "linear",
    "schedule only": "baseline",
    "mean image": "baseline",
    "global signal": "reference",
}


class Page(HTMLParser):
    """What a reader of the page gets: text, and tags with their attributes."""

    def __init__(self, html: str):
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="session")
def look() -> Callable[[str], Page]:
    return Page


@pytest.fixture(scope="session")
def derivatives(tmp_path_factory: pytest.TempPathFactory) -> Derivatives:
    folder = tmp_path_factory.mktemp("report")
    made = Derivatives(folder / "out", folder / "data")
    made.create()
    return made


@pytest.fixture(scope="session")
def brain() -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """A mask and a mean image."""
    return nib.Nifti1Image(_mask(), AFFINE), nib.Nifti1Image((900 * _mask()).astype(np.float32), AFFINE)


def _mask() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.int16)
    mask[1:6, 1:7, 1:8] = 1
    return mask


@pytest.fixture
def spectrum(summary: dict[str, Any]) -> dict[str, Any]:
    return summary["recordings"][0]["spectrum"]


def _score_row(number: int, name: str, kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """Make a row of scores: r of 0.41 for the first, 0.1 less for each further one."""
    r = 0.41 - 0.1 * number
    row: dict[str, Any] = {"model": name, "kind": kind, "looks_at_eeg": kind in ("model", "linear"), "pooled_r": r}
    row |= {"pooled_r_low": r - 0.07, "pooled_r_high": r + 0.06, "pooled_skill": r / 10}
    row |= {"pooled_skill_low": r / 10 - 0.011, "pooled_skill_high": r / 10 + 0.012}
    gain = None if not number else 0.01 * number
    row |= {"gain": gain, "gain_low": gain and gain - 0.015, "gain_high": gain and gain + 0.015}
    row |= {"share_significant": 0.237 if not number else None, "region_r_median": r + 0.1, "amplitude_median": 0.1}
    names = ("voxel_r_25", "voxel_r_median", "voxel_r_75", "voxel_r_95", "best_region_r", "spatial_r_median")
    names += ("connectivity_r", "spectral_r", "pooled_r_no_global")
    return row | dict(zip(names, rng.random(len(names)).tolist(), strict=True))


def _spectrum() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    positions = [[0.08 * np.sin(a), 0.08 * np.cos(a), 0.03 + 0.005 * i] for i, a in enumerate(np.arange(6.0))]
    return {
        "freqs_hz": np.arange(2.0, 31.0, 2.0).tolist(),
        "channels": ["Fp1", "$C_3$", "Oz", "T7", "T8", "Pz"],
        "mean_db": rng.normal(-115, 2, (6, 15)).tolist(),
        "positions_m": positions,
    }


def _write_recording(derivatives: Derivatives, name: str) -> dict[str, Any]:
    """Write the files of a synthesized recording; give its entry in the summary."""
    rng = np.random.default_rng(1)
    eeg, bold = derivatives.source / f"{name}_eeg.vhdr", derivatives.source / f"{name}_bold.nii.gz"
    source = Recording("07", eeg, bold, "paired", "same session, task, acquisition and run")
    mask = _mask()
    series = (1000 + rng.normal(0, 9, (*SHAPE, N_VOLUMES))) * mask[..., None]
    image = nib.Nifti1Image(series.astype(np.float32), AFFINE)
    image.header.set_zooms((20, 21, 22, 2.1))
    onset = 4.3 + 2.1 * np.arange(N_VOLUMES)
    residual_ms = rng.normal(0, 0.1, N_VOLUMES)
    course = {
        f"{region}_{kind}": rng.normal(size=N_VOLUMES) for kind in ("measured", "synthesized") for region in REGIONS
    }
    for region in REGIONS[:2]:
        course |= {
            f"{region}_low": course[f"{region}_synthesized"] - 9,
            f"{region}_high": course[f"{region}_synthesized"] + 9,
        }
    regions = pd.DataFrame({"onset": onset, **course})
    regions.iloc[:5, 1:] = np.nan  # not enough EEG before them
    files = {
        "synthesized": derivatives.write_bold(source, image, {}),
        "mask": derivatives.write_mask(source, nib.Nifti1Image(mask.astype(np.uint8), AFFINE)),
        "r_map": derivatives.write_map(
            source, nib.Nifti1Image((mask * rng.uniform(-0.5, 0.5, SHAPE)).astype(np.float32), AFFINE)
        ),
        "regions": derivatives.write_regions(source, regions),
        "alignment": derivatives.write_alignment(
            source, pd.DataFrame({"volume": np.arange(N_VOLUMES), "onset": onset}), {"Evidence": "marker R128"}
        ),
        "events": derivatives.write_events(source, pd.DataFrame({"onset": [3.1], "duration": [1.0]})),
    }
    z_map = nib.Nifti1Image((mask * rng.normal(0, 2, SHAPE)).astype(np.float32), AFFINE)
    maps = {side: derivatives.write_task_map(source, "flash", side, z_map, {}) for side in ("measured", "synthesized")}
    return {
        "name": name,
        "eeg": f"{name}_eeg.vhdr",
        "bold": f"{name}_bold.nii.gz",
        "decision": source.status,
        "pairing": source.reason,
        "status": "synthesized",
        "remark": "36 of 41 volumes",
        "files": {kind: path.as_posix() for kind, path in files.items()},
        "n_volumes": N_VOLUMES,
        "tr_s": 2.1,
        "first_volume_s": 4.3,
        "alignment": {
            "evidence": "marker R128: 41 found, 41 volumes stored",
            "notes": [],
            "drift_ppm": 3.0,
            "jitter_ms": 0.1,
            "residual_ms": residual_ms.tolist(),
            "onset_s": onset.tolist(),
            "others_s": [],
            "code": "Response/R128",
            "eeg_duration_s": 97.0,
        },
        "event_conflicts": [],
        "task_maps": [{"condition": "flash"} | {side: path.as_posix() for side, path in maps.items()}],
        "task_left_out": {"cue": "2 events during the volumes, 3 are needed"},
        "spectrum": _spectrum(),
    }


@pytest.fixture
def summary(written: dict[str, Any]) -> dict[str, Any]:
    """What the participant level concludes from a scored recording, to be changed at will."""
    return copy.deepcopy(written)


@pytest.fixture
def bare(summary: dict[str, Any]) -> dict[str, Any]:
    """The same with little to draw, which takes most of the time: for what the page says in words."""
    recording = summary["recordings"][0]
    recording["files"] = {kind: recording["files"][kind] for kind in ("alignment", "events")}
    recording |= {"spectrum": None, "task_maps": []}
    del summary["training"]
    return summary


@pytest.fixture(scope="session")
def page(derivatives: Derivatives, written: dict[str, Any]) -> Page:
    """The report of a scored recording."""
    return Page(participant_report(derivatives, copy.deepcopy(written)))


@pytest.fixture(scope="session")
def written(derivatives: Derivatives) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    scores = [_score_row(number, name, kind, rng) for number, (name, kind) in enumerate(MODELS.items())]
    fold = {
        "training_loss": [[2.0, 1.5, 1.2], [2.1, 1.4]],
        "validation_loss": [[1.3, 0.9, 1.0], [1.2, 1.1]],
        "best_epoch": 2,
    }
    return {
        "participant_id": "sub-07",
        "covariates": {"age": 31, "group": "control"},
        "recordings": [_write_recording(derivatives, "sub-07_task-rest")],
        "settings": {"window": {"span_s": 18.0}},
        "settings_hash": "12ab34cd",
        "provenance": {"command": "bids_eeg2fmri data out participant", "engine": "cpu", "versions": {"numpy": "2.4"}},
        "verdict": {
            "headline": "No better than chance",
            "better_than_chance": False,
            "sentences": ["Over the brain, r = 0.01."],
        },
        "scores": scores,
        "regions": [
            {"name": name, "r": r, "p": 0.2, "ceiling": 0.8}
            for name, r in zip(REGIONS, (0.31, -0.02, 0.17), strict=True)
        ],
        "ceiling": {"region_median": 0.83},
        "chance": {
            "pooled_r": 0.01,
            "p": 0.41,
            "null_pooled_r": rng.normal(0, 0.02, 123).tolist(),
            "others": [
                {"kind": "phase-randomized EEG", "p": 0.337, "null_pooled_r": rng.normal(0, 0.02, 61).tolist()},
                {"kind": "EEG of another run", "p": 0.5, "null_pooled_r": [0.03, -0.04, 0.05]},
            ],
        },
        "task": [
            {
                "recording": "sub-07_task-rest",
                "condition": "flash",
                "model": model,
                "r": r,
                "dice": 0.4,
                "threshold_share": 0.05,
            }
            for model, r in (("separable", 0.31), ("schedule only", 0.52))
        ],
        "published": [
            {"paper": paper, "metric": metric, "model": model, "value": value}
            for paper, metric, values in (("calhas2022", "SSIM", (0.911, 0.912)), ("e2fnet2025", "PSNR", (31.4, 31.5)))
            for model, value in zip(("separable", "mean image"), values, strict=True)
        ],
        "model": {"architecture": "separable", "bundle": "models/sub-07"},
        "training": [fold, fold, fold],
    }


@dataclass(frozen=True)
class Viewable:
    """A recording with what the viewer needs, and the numbers that it has to show."""

    derivatives: Derivatives
    entry: dict[str, Any]
    measured: np.ndarray  # (volumes, voxels of the mask), percent
    synthesized: np.ndarray
    folds: np.ndarray
    use: np.ndarray  # which volumes were synthesized

    def residual(self, side: str) -> np.ndarray:
        """Take drift and the means of the blocks out of the synthesized volumes, (voxels, volumes)."""
        table, folds = getattr(self, side)[self.use].astype(float), self.folds[self.use]
        cosine = np.cos(np.pi * (np.arange(N_VOLUMES) + 0.5) / N_VOLUMES)[
            self.use
        ]  # 41 times 2.1 s hold one half period
        out = np.column_stack([cosine, *(folds == fold for fold in np.unique(folds))])
        return (table - out @ np.linalg.lstsq(out, table, rcond=None)[0]).T


@pytest.fixture(scope="session")
def viewable(tmp_path_factory: pytest.TempPathFactory) -> Viewable:
    folder = tmp_path_factory.mktemp("viewable")
    derivatives = Derivatives(folder / "out", folder / "data")
    derivatives.create()
    entry = _write_recording(derivatives, "sub-07_task-rest")
    rng = np.random.default_rng(3)
    mask = _mask() > 0
    slow = np.cos(np.pi * (np.arange(N_VOLUMES) + 0.5) / N_VOLUMES)[:, None]
    folds = np.arange(N_VOLUMES) * 5 // N_VOLUMES
    use = np.arange(N_VOLUMES) >= 5
    measured = (rng.normal(0, 1.3, (N_VOLUMES, mask.sum())) + 7 * slow + folds[:, None]).astype(np.float32)
    series = nib.load(derivatives.root / entry["files"]["synthesized"]).get_fdata()[mask].T
    synthesized = 100 * (series / series[use].mean(axis=0) - 1)
    source = Recording("07", Path(entry["eeg"]), Path(entry["bold"]), "paired", "same run")
    onset = 4.3 + 2.1 * np.arange(N_VOLUMES)
    samples = derivatives.write_samples(
        source, change=measured, mask=mask, affine=AFFINE, tr_s=np.array(2.1), onsets_s=onset, power=np.zeros(3)
    )
    columns = {"volume": np.arange(N_VOLUMES), "onset": onset, "fold": folds, "synthesized": use}
    volumes = derivatives.write_volumes(source, pd.DataFrame(columns))
    entry["files"] |= {"samples": samples.as_posix(), "volumes": volumes.as_posix()}
    return Viewable(derivatives, entry, measured, synthesized, folds, use)
