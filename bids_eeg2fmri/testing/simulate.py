"""Simulate a BIDS dataset of simultaneous EEG and fMRI whose answer is known.

Slow latent processes modulate three rhythms of the EEG, and the BOLD of known regions is the convolution of the same
processes with the participant's own hemodynamic response. With ``coupling=0`` the two modalities share nothing, so
whatever a method then finds is a false alarm. The truth is written next to the dataset, never into it.
"""

import argparse
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.testing import fmriprep
from bids_eeg2fmri.testing.anatomy import as_scanned, brighten_first, draw_motion, draw_shape
from bids_eeg2fmri.testing.scanner import gradient_artifact, head_jerks, pulse_artifact, turn_electrodes, wire_loops

# Time 0 is the first volume; the brain is simulated from before the earliest start of a recording.
BEFORE_S = 40.0
AFTER_S = 12.0
LATENT_SFREQ = 10.0
EEG_SFREQ = 250.0

# 32 channels of a usual cap for the scanner, ECG last; larger caps go on with the second list.
# fmt: off
CAP = [
    "Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T7", "T8", "P7", "P8", "Fz", "Cz", "Pz",
    "Oz", "FC1", "FC2", "CP1", "CP2", "FC5", "FC6", "CP5", "CP6", "TP9", "TP10", "POz",
]
CAP_EXTENSION = [
    "F1", "F2", "C1", "C2", "P1", "P2", "AF3", "AF4", "FC3", "FC4", "CP3", "CP4", "PO3", "PO4", "F5", "F6", "C5", "C6",
    "P5", "P6", "AF7", "AF8", "FT7", "FT8", "TP7", "TP8", "PO7", "PO8", "FT9", "FT10", "Fpz", "CPz", "FCz", "AFz",
]
# fmt: on
# The first electrodes of "between" are none of a usual cap of 32.
CAPS = {"usual": CAP + CAP_EXTENSION, "between": CAP_EXTENSION + CAP}


@dataclass(frozen=True)
class Rhythm:
    """A rhythm of the EEG, and the region whose BOLD follows its amplitude."""

    name: str
    peak_hz: float
    amplitude_uv: float
    electrodes: tuple[str, ...]  # a source under each, all with the same slow modulation
    region: str
    centers_mm: tuple[tuple[float, float, float], ...]  # RAS, MNI152
    sign: int  # alpha and beta go along with less BOLD, frontal theta with more


RHYTHMS = (
    Rhythm("alpha", 10.0, 14.0, ("O1", "O2"), "occipital", ((-14.0, -88.0, 6.0), (14.0, -88.0, 6.0)), -1),
    Rhythm("beta", 20.0, 6.0, ("C3", "C4"), "sensorimotor", ((-38.0, -24.0, 54.0), (38.0, -24.0, 54.0)), -1),
    Rhythm("theta", 6.0, 8.0, ("Fz",), "medial frontal", ((0.0, 36.0, 28.0),), 1),
)


@dataclass(frozen=True)
class Simulation:
    """What is simulated; every number has the unit in its name.

    Attributes
    ----------
    n_participants, n_eeg_only : int
        Participants with both modalities, and those after them who have EEG alone.
    n_sessions, n_runs : int
        More than one puts the entity into the names.
    tasks : tuple of str
        ``rest`` has no events; any other task has blocks of stimulation that suppress alpha.
    duration_s : float
        Length of each BOLD run.
    sfreq : float
        Sampling rate of the EEG in Hz.
    n_channels : int
        Channels of the EEG file, ECG included.
    cap : str
        Which electrodes come first: those of a "usual" cap, or those "between" them.
    one_peak : bool
        All rhythms have the frequency of alpha: nothing but their place on the scalp tells them apart.
    grid : tuple of int
        Voxels along x, y, z; they span the brain, so the grid sets the resolution.
    coupling : float
        Size of the shared signal in the BOLD. At 1 a coupled voxel's correlation with its own signal is about 0.6
        (the noise ceiling); at 0 nothing is shared.
    group_effect : float
        From 0 to 1: how much smaller alpha and its modulation are in patients.
    lead_s : float or None
        How long before the first volume the EEG starts, at most 30 s; None draws a time off the grid for each run.
    gradient_uv : float
        Largest value of the artefact of the scanner's gradients; 0 is EEG that has been cleaned. It takes 1 kHz or more.
    pulse_uv : float
        Height of the artefact of the pulse in the channels farthest to the side; 0 is EEG that has been cleaned of it.
    motion_uv : float
        Largest value of what the head's jerks leave in the EEG in the channels farthest from their axis.
    n_wires : int
        Loops of carbon wire beside the channels, which see how the head turns and hold no EEG.
    scanner_ppm : float
        How much longer the scanner's second is by the clock of the EEG.
    anatomy_mm : float
        How far parts of a participant's brain lie from where the template has them, beside another position and size of the
        head; 0 gives everybody the template's brain, in the template's space.
    motion_mm : float
        How far the head moves in a run.
    n_unsteady : int
        Volumes at the start that are brighter, as the magnetization is not steady yet.
    with_fmriprep : bool
        Also write what fMRIPrep would make of the BOLD, to ``derivatives/fmriprep``: without motion, in the template's space
        and in that of the series.
    """

    n_participants: int = 4
    n_eeg_only: int = 0
    n_sessions: int = 1
    n_runs: int = 1
    tasks: tuple[str, ...] = ("rest", "checkerboard")
    duration_s: float = 300.0
    sfreq: float = 250.0
    n_channels: int = 32
    cap: str = "usual"
    one_peak: bool = False
    grid: tuple[int, int, int] = (32, 38, 30)
    tr_s: float = 2.0
    coupling: float = 1.0
    group_effect: float = 0.0
    lead_s: float | None = None
    gradient_uv: float = 0.0
    pulse_uv: float = 0.0
    motion_uv: float = 0.0
    n_wires: int = 0
    scanner_ppm: float = 0.0
    anatomy_mm: float = 0.0
    motion_mm: float = 0.0
    n_unsteady: int = 0
    with_fmriprep: bool = False
    seed: int = 0

    def __post_init__(self):
        largest = len(CAP) + len(CAP_EXTENSION) + 1
        if not 8 <= self.n_channels <= largest:
            raise ValueError(f"n_channels: from 8 to {largest}, ECG included, not {self.n_channels}")
        if self.cap not in CAPS:
            raise ValueError(f"cap: {' or '.join(CAPS)}, not {self.cap}")
        if self.sfreq < 125:
            raise ValueError(f"sfreq: at least 125 Hz, not {self.sfreq}")
        if self.lead_s is not None and not 0 <= self.lead_s <= 30:
            raise ValueError(f"lead_s: from 0 to 30 s, not {self.lead_s}")
        if self.gradient_uv and not (0 < self.gradient_uv <= 16_000 and self.sfreq >= 1000):
            raise ValueError(
                f"gradient_uv: from 0 to 16000 at 1000 Hz or more, not {self.gradient_uv} at {self.sfreq} Hz"
            )
        if self.n_wires < 0:
            raise ValueError(f"n_wires: 0 or more, not {self.n_wires}")
        if not 0 <= self.group_effect <= 1:
            raise ValueError(f"group_effect: from 0 to 1, not {self.group_effect}")

    @property
    def n_volumes(self) -> int:
        return round(self.duration_s / self.tr_s)

    @property
    def tr_eeg_s(self) -> float:
        """Repetition time by the clock of the EEG."""
        return self.tr_s * (1 + 1e-6 * self.scanner_ppm)


@dataclass(frozen=True)
class Participant:
    """What stays the same through a participant's runs."""

    label: str
    group: str
    age: int
    sex: str
    hrf_peak_s: float
    hrf_undershoot: float
    rhythm_shift_hz: float
    alpha_factor: float
    seed: int
    spread: dict[str, float] = field(default_factory=dict)  # width of each rhythm's scalp pattern, in m


def simulate_dataset(path: str | Path, simulation: Simulation = Simulation()) -> Path:
    """Write a BIDS dataset of simultaneous EEG and fMRI, and its truth to ``<path>_truth``.

    Parameters
    ----------
    path : path-like
        Folder of the dataset; it must not hold anything yet.
    simulation : Simulation
        Sizes, rates and the strength of the coupling.

    Returns
    -------
    Path
        The folder with the truth: ``truth.json`` (settings, hemodynamic response and group of each participant),
        ``regions.nii.gz`` (labels 1, 2, 3 in the order of ``RHYTHMS``), and for each recording a table with the onset
        of each volume on the EEG clock in s, the latent process of each rhythm and the noise-free BOLD course of each region
        (0 without coupling), one with the heartbeats of the ECG, and a map of the noise ceiling (correlation of a voxel
        with its own noise-free signal).

    Raises
    ------
    FileExistsError
        If the folder holds something.
    """
    dataset = Path(path)
    if dataset.exists() and any(dataset.iterdir()):
        raise FileExistsError(f"{dataset}: the folder is not empty; simulate into a new one")
    truth = dataset.with_name(dataset.name + "_truth")
    dataset.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)

    head = _Head.of(simulation)
    brain = Brain.of(simulation)
    brain.save_regions(truth / "regions.nii.gz")
    if simulation.with_fmriprep:
        fmriprep.write_description(dataset / "derivatives" / "fmriprep")
    participants = [_participant(simulation, i) for i in range(simulation.n_participants + simulation.n_eeg_only)]
    _write_dataset_files(dataset, simulation, participants)
    for i, person in enumerate(participants):
        for recording in _recordings(simulation):
            _write_recording(
                dataset, truth, simulation, person, recording, head, brain, with_bold=i < simulation.n_participants
            )
    (truth / "truth.json").write_text(
        json.dumps(
            {
                "simulation": asdict(simulation),
                "rhythms": [asdict(rhythm) for rhythm in RHYTHMS],
                "participants": [asdict(person) for person in participants],
            },
            indent=2,
        )
        + "\n"
    )
    return truth


# ---------------------------------------------------------------------------------------------------------- the signals


def hemodynamic_response(peak_s: float, undershoot: float, sfreq: float) -> np.ndarray:
    """Sample a double-gamma response of 32 s, its sum 1.

    Parameters
    ----------
    peak_s : float
        Time of the peak.
    undershoot : float
        Area of the undershoot (10 s after the peak) over that of the peak.
    sfreq : float
        In Hz.

    Returns
    -------
    array of shape (32 * sfreq,)

    References
    ----------
    Glover, G. H. (1999). Deconvolution of impulse response in event-related BOLD fMRI. NeuroImage 9, 416-429.
    """
    from scipy.stats import gamma

    times = np.arange(round(32 * sfreq)) / sfreq
    response = gamma.pdf(times, peak_s + 1) - undershoot * gamma.pdf(times, peak_s + 11)
    return response / response.sum()


def _latents(simulation: Simulation, person: Participant, events: pd.DataFrame, rng) -> np.ndarray:
    """Draw the slow processes, (rhythms, samples at LATENT_SFREQ), mean 0 and variance 1 but for the task."""
    n = round((BEFORE_S + simulation.duration_s + AFTER_S) * LATENT_SFREQ)
    freqs = np.fft.rfftfreq(2 * n, 1 / LATENT_SFREQ)
    # Faster than the drifts that every analysis removes, slow enough for a hemodynamic response to follow.
    gain = np.exp(-0.5 * (np.log(np.maximum(freqs, 1e-6) / 0.04) / 0.6) ** 2)
    noise = np.fft.rfft(rng.standard_normal((len(RHYTHMS), 2 * n)), axis=1)
    latents = np.fft.irfft(noise * gain, axis=1)[:, :n]
    latents = (latents - latents.mean(1, keepdims=True)) / latents.std(1, keepdims=True)
    times = np.arange(n) / LATENT_SFREQ - BEFORE_S
    for onset, duration in zip(events.onset, events.duration, strict=True):
        latents[0] -= 1.5 * ((times >= onset) & (times < onset + duration))
    latents[0] *= person.alpha_factor
    return latents


def _simulate_eeg(simulation, person, head, latents, rng) -> tuple[np.ndarray, np.ndarray]:
    """EEG in V, (channels with ECG last, samples at EEG_SFREQ), from BEFORE_S before the first volume; and heartbeats."""
    n = round((BEFORE_S + simulation.duration_s + AFTER_S) * EEG_SFREQ)
    freqs = np.fft.rfftfreq(n, 1 / EEG_SFREQ)
    slow = np.arange(latents.shape[1]) / LATENT_SFREQ
    times = np.arange(n) / EEG_SFREQ
    n_eeg = len(head.names)

    # Background: 1/f from sources all over the head, and a little white noise of each amplifier.
    spectrum = np.zeros(len(freqs))
    spectrum[1:] = 1 / np.sqrt(np.maximum(freqs[1:], 0.5))
    white = rng.standard_normal((n_eeg, n), dtype=np.float32)
    background = np.fft.irfft(np.fft.rfft(white, axis=1) * spectrum, n, axis=1)
    background *= 9e-6 / background.std()
    eeg = head.mixing @ background
    eeg += 1e-6 * rng.standard_normal((n_eeg, n), dtype=np.float32)

    for rhythm, latent in zip(RHYTHMS, latents, strict=True):
        # Power follows exp(latent): one standard deviation is 4.3 dB.
        modulation = np.exp(0.5 * np.interp(times, slow, latent))
        peak = RHYTHMS[0].peak_hz if simulation.one_peak else rhythm.peak_hz
        peak *= 1 + person.rhythm_shift_hz / 10
        band = np.exp(-0.5 * ((freqs - peak) / (0.1 * peak)) ** 2)
        for electrode in rhythm.electrodes:
            carrier = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * band, n)
            carrier *= rhythm.amplitude_uv * 1e-6 / carrier.std()
            if rhythm.name == "alpha":
                carrier *= person.alpha_factor
            eeg += np.outer(head.pattern(electrode, person.spread[rhythm.name]), carrier * modulation)
    ecg, beats = _simulate_ecg(times, rng)
    return np.vstack([eeg, ecg]), beats


def _simulate_ecg(times: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    """Heartbeats at about 65 per minute, in V, and their times in s.

    The rate follows the breath, and wanders by some beats per minute within half a minute.
    """
    from scipy.signal import lfilter

    intervals = rng.normal(0.92, 0.02, int(times[-1] / 0.6) + 2)
    wandering = 0.05 * lfilter([np.sqrt(1 - 0.95**2)], [1, -0.95], rng.standard_normal(intervals.size))
    beats = np.cumsum(np.maximum(intervals + wandering, 0.6))
    beats += 0.04 * np.sin(2 * np.pi * beats / 4.0)
    beats = beats[beats < times[-1] - 0.5]
    ecg = 2e-5 * rng.standard_normal(times.size)
    # P, Q, R, S and T: delay in s, amplitude in V, width in s.
    waves = (
        (-0.18, 1e-4, 0.025),
        (-0.03, -1e-4, 0.01),
        (0.0, 1.1e-3, 0.011),
        (0.03, -2.2e-4, 0.01),
        (0.26, 3e-4, 0.05),
    )
    sfreq = 1 / (times[1] - times[0])
    reach = np.arange(round(-0.35 * sfreq), round(0.5 * sfreq))
    for beat in beats:
        index = round(beat * sfreq) + reach
        index = index[(index >= 0) & (index < times.size)]
        delay = times[index] - beat
        ecg[index] += sum(height * np.exp(-0.5 * ((delay - at) / width) ** 2) for at, height, width in waves)
    return ecg, beats


def _simulate_bold(simulation, brain, courses, rng) -> tuple[np.ndarray, np.ndarray]:
    """BOLD of the template's brain, shape (x, y, z, volumes), int16, and the noise ceiling of each voxel (x, y, z).

    ``courses`` are the noise-free responses, (rhythms, volumes), variance about 1.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.signal import lfilter

    n = simulation.n_volumes
    shape = simulation.grid
    times = np.linspace(-1, 1, n, dtype=np.float32)
    smooth = [
        _standardized(gaussian_filter(rng.standard_normal(shape), [24 / size for size in brain.voxel_mm]))
        for _ in range(5)
    ]

    def colored(array, rho):  # first-order autoregressive along the volumes, variance kept
        return lfilter([np.sqrt(1 - rho**2)], [1, -rho], array, axis=-1).astype(np.float32)

    # All in percent signal change. Noise of each voxel, half of it shared with its neighbours.
    local = rng.standard_normal((*shape, n), dtype=np.float32)
    for volume in range(n):
        local[..., volume] += 2.2 * gaussian_filter(local[..., volume], 0.8)
    bold = colored(local, 0.3)
    bold *= 0.8 / bold[brain.mask].std()
    # Breathing and heart: patterns as large as the brain, with courses that have nothing to do with the EEG.
    for pattern in smooth[:2]:
        bold += 0.25 * pattern[..., None].astype(np.float32) * colored(rng.standard_normal(n), 0.6)
    # Spikes as of small movements, strongest at the edges.
    spikes = np.zeros(n, dtype=np.float32)
    where = rng.choice(n, max(1, n // 60), replace=False)
    spikes[where] = rng.normal(0, 1.2, where.size)
    bold += (brain.edge * (1 + 0.5 * smooth[2]))[..., None].astype(np.float32) * spikes
    noise_variance = bold.var(-1)

    # Modulated sources of unit variance are scaled so that signal / (signal + noise) gives a ceiling of 0.6.
    scale = 0.75 * np.sqrt(np.median(noise_variance[brain.mask])) * simulation.coupling
    weights = np.stack([rhythm.sign * scale * w for rhythm, w in zip(RHYTHMS, brain.weights, strict=True)], -1)
    signal_variance = (weights**2 * courses.var(1)).sum(-1)
    ceiling = np.sqrt(signal_variance / (signal_variance + noise_variance))
    coupled = signal_variance > 0
    bold[coupled] += (weights[coupled] @ courses).astype(np.float32)

    # Drifts: a line and a slow wave, different all over the brain.
    bold += (0.8 * smooth[3])[..., None].astype(np.float32) * times
    bold += (0.5 * smooth[4])[..., None].astype(np.float32) * np.cos(np.pi * times + rng.uniform(0, 2 * np.pi))

    image = brain.anatomy * np.exp(0.05 * smooth[2])
    bold *= 0.01 * image[..., None].astype(np.float32)
    bold += image[..., None].astype(np.float32)
    bold[~brain.mask] += rng.normal(0, 6, (np.count_nonzero(~brain.mask), 1)).astype(np.float32)
    return np.clip(np.rint(bold), 0, 32767).astype(np.int16), np.where(brain.mask, ceiling, 0)


def _scan(dataset, stem, simulation, person, entities, brain, bold, rng) -> np.ndarray:
    """Put a series of the template's brain where this participant's head is; write fMRIPrep's part if it is asked for."""
    if not (simulation.anatomy_mm or simulation.motion_mm or simulation.n_unsteady or simulation.with_fmriprep):
        return bold
    shape = None
    if simulation.anatomy_mm:
        of_person = _rng(simulation, person.label, "anatomy")
        shape = draw_shape(simulation.grid, brain.affine, size_mm=simulation.anatomy_mm, rng=of_person)
    motion = np.zeros((simulation.n_volumes, 6))
    if simulation.motion_mm:
        motion = draw_motion(simulation.n_volumes, size_mm=simulation.motion_mm, rng=rng)
    series = brighten_first(bold.astype(np.float32), simulation.n_unsteady)
    moves = shape is not None or bool(simulation.motion_mm)
    scanned = as_scanned(series, brain.affine, shape, motion) if moves else series
    if simulation.with_fmriprep:
        native, mask = series, brain.mask
        if shape is not None:
            native = as_scanned(series, brain.affine, shape)
            mask = as_scanned(mask[..., None].astype(np.float32), brain.affine, shape)[..., 0] > 0.5
        white = brain.mask & (brain.anatomy < np.percentile(brain.anatomy[brain.mask], 20))
        fluid = brain.mask & (brain.anatomy > np.percentile(brain.anatomy[brain.mask], 95))
        parts = {"global_signal": brain.mask, "csf": fluid, "white_matter": white}
        session = [f"ses-{entities['ses']}"] if "ses" in entities else []
        fmriprep.write_series(
            dataset.joinpath("derivatives", "fmriprep", f"sub-{person.label}", *session, "func"),
            stem,
            brain.image,
            [(None, native, mask), (fmriprep.TEMPLATE, series, brain.mask)],
            motion=motion,
            tissue={name: series[part].mean(0, dtype=np.float64) for name, part in parts.items()},
            tr_s=simulation.tr_s,
            n_unsteady=simulation.n_unsteady,
            task=entities["task"],
        )
    return np.clip(np.rint(scanned), 0, 32767).astype(np.int16)


def _standardized(array: np.ndarray) -> np.ndarray:
    return (array - array.mean()) / array.std()


# ---------------------------------------------------------------------------------------------------- head and brain


@cache
def _montage_positions() -> tuple[dict, dict]:
    """Positions of the 10-20 electrodes and landmarks in the head frame (RAS through the landmarks), in m."""
    import mne

    montage = mne.channels.make_standard_montage("colin27_1020")
    montage = mne.channels.montage.transform_to_head(montage)
    positions = montage.get_positions()
    return positions["ch_pos"], {name.upper(): positions[name] for name in ("nasion", "lpa", "rpa")}


@dataclass(frozen=True)
class _Head:
    """The cap: names and positions of the electrodes, and how background sources mix into them."""

    names: list[str]
    positions: np.ndarray  # (channels, 3) in m
    mixing: np.ndarray

    @classmethod
    def of(cls, simulation: Simulation) -> "_Head":
        names = CAPS[simulation.cap][: simulation.n_channels - 1]
        positions = np.array([_montage_positions()[0][name] for name in names])
        distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
        mixing = np.exp(-0.5 * (distance / 0.035) ** 2)
        return cls(names, positions, mixing / np.linalg.norm(mixing, axis=1, keepdims=True))

    def pattern(self, electrode: str, spread_m: float) -> np.ndarray:
        """How strongly each channel sees a source below an electrode, at most 1."""
        center = _montage_positions()[0][electrode]
        return np.exp(-0.5 * (np.linalg.norm(self.positions - center, axis=1) / spread_m) ** 2)


@dataclass(frozen=True)
class Brain:
    """The MNI brain on the grid of the simulated scanner."""

    affine: np.ndarray
    voxel_mm: np.ndarray
    anatomy: np.ndarray  # intensities as of an echo-planar image
    mask: np.ndarray
    edge: np.ndarray
    weights: list[np.ndarray]  # of each rhythm's region, 0 outside

    @classmethod
    def of(cls, simulation: Simulation) -> "Brain":
        import nibabel as nib
        from nilearn import datasets, image
        from scipy.ndimage import binary_erosion, gaussian_filter

        field_mm = np.array([192.0, 228.0, 186.0])
        voxel_mm = field_mm / simulation.grid
        affine = np.diag([*voxel_mm, 1.0])
        affine[:3, 3] = [-96, -132, -72] + voxel_mm / 2

        def on_grid(source, interpolation):
            resampled = image.resample_img(
                source,
                target_affine=affine,
                target_shape=simulation.grid,
                interpolation=interpolation,
                force_resample=True,
                copy_header=True,
            )
            return resampled.get_fdata()

        resolution = max(2, int(voxel_mm.min()))
        t1 = on_grid(datasets.load_mni152_template(resolution=resolution), "continuous")
        inside = datasets.load_mni152_brain_mask(resolution=resolution)
        # Blurred by a little, so that nilearn does not take it for binary and warn of a linear interpolation.
        soft = nib.Nifti1Image(gaussian_filter(inside.get_fdata(), 0.5).astype(np.float32), inside.affine)
        mask = on_grid(soft, "linear") > 0.5
        # T2*-weighted: grey matter brighter than white, fluid brightest, a faint rim of scalp.
        t1 = np.clip(t1 / np.percentile(t1[mask], 99), 0, 1)
        anatomy = np.where(mask, 1250 - 550 * t1, 40 + 120 * t1)
        anatomy = gaussian_filter(anatomy, 0.4)
        edge = (mask & ~binary_erosion(mask, iterations=1)).astype(float) + 0.3 * mask
        grid = np.stack(np.meshgrid(*map(np.arange, simulation.grid), indexing="ij"), -1)
        world = grid @ affine[:3, :3].T + affine[:3, 3]
        weights = []
        for rhythm in RHYTHMS:
            distance = np.min([np.linalg.norm(world - center, axis=-1) for center in rhythm.centers_mm], 0)
            weights.append(np.where((distance < 20) & mask, 1.0, 0.0))
        return cls(affine, voxel_mm, anatomy, mask, edge, weights)

    def image(self, data: np.ndarray, tr_s: float | None = None):
        import nibabel as nib

        image = nib.Nifti1Image(data, self.affine)
        image.header.set_xyzt_units("mm", "sec")
        image.set_sform(self.affine, code=1)
        image.set_qform(self.affine, code=1)
        if tr_s is not None:
            image.header.set_zooms((*self.voxel_mm, tr_s))
        return image

    def save_regions(self, path: Path) -> None:
        labels = np.sum([(i + 1) * (weight > 0) for i, weight in enumerate(self.weights)], axis=0)
        self.image(labels.astype(np.uint8)).to_filename(path)


# ------------------------------------------------------------------------------------------------------- the files


def _rng(simulation: Simulation, *names: object) -> np.random.Generator:
    """A stream of its own for each purpose, so that one option does not change what another draws."""
    return np.random.default_rng([simulation.seed, *(zlib.crc32(str(name).encode()) for name in names)])


def _participant(simulation: Simulation, index: int) -> Participant:
    label = f"{index + 1:02d}"
    rng = _rng(simulation, "participant", label)
    group = "patient" if index % 2 else "control"
    return Participant(
        label=label,
        group=group,
        age=int(rng.integers(20, 46)),
        sex=str(rng.choice(["F", "M"])),
        hrf_peak_s=float(rng.uniform(4.5, 6.5)),
        hrf_undershoot=float(rng.uniform(0.1, 0.25)),
        rhythm_shift_hz=float(rng.uniform(-0.8, 0.8)),
        alpha_factor=1 - 0.6 * simulation.group_effect if group == "patient" else 1.0,
        seed=int(rng.integers(2**31)),
        spread={rhythm.name: float(rng.uniform(0.035, 0.055)) for rhythm in RHYTHMS},
    )


def _recordings(simulation: Simulation):
    for session in range(simulation.n_sessions):
        for task in simulation.tasks:
            for run in range(simulation.n_runs):
                yield {
                    **({"ses": f"{session + 1:02d}"} if simulation.n_sessions > 1 else {}),
                    "task": task,
                    **({"run": f"{run + 1}"} if simulation.n_runs > 1 else {}),
                }


def _events(simulation: Simulation, task: str, rng) -> pd.DataFrame:
    """Blocks of 20 s, on the BOLD clock in s."""
    regular = np.arange(20, simulation.duration_s - 20, 45.0) if task != "rest" else np.array([])
    onsets = [round(float(onset + rng.uniform(-4, 4)), 3) for onset in regular]
    return pd.DataFrame(
        {"onset": onsets, "duration": 20.0, "trial_type": task}, columns=["onset", "duration", "trial_type"]
    )


def _write_recording(dataset, truth, simulation, person, entities, head, brain, *, with_bold) -> None:
    stem = "_".join(f"{key}-{value}" for key, value in {"sub": person.label, **entities}.items())
    folder = dataset / f"sub-{person.label}" / (f"ses-{entities['ses']}" if "ses" in entities else "")
    streams = {
        name: _rng(simulation, person.label, stem, name)
        for name in ("events", "latents", "eeg", "bold", "lead", "scanner", "pulse", "motion", "wires", "head")
    }

    events = _events(simulation, entities["task"], streams["events"])
    latents = _latents(simulation, person, events, streams["latents"])
    response = hemodynamic_response(person.hrf_peak_s, person.hrf_undershoot, LATENT_SFREQ)
    responses = np.apply_along_axis(np.convolve, 1, latents, response)[:, : latents.shape[1]]
    onsets = np.arange(simulation.n_volumes) * simulation.tr_s
    at_volumes = np.rint((onsets + BEFORE_S) * LATENT_SFREQ).astype(int)
    courses = responses[:, at_volumes]
    # The response smooths; back to unit variance (in controls), so that coupling keeps its meaning.
    courses /= responses.std(1, keepdims=True) / latents.std(1, keepdims=True).clip(1e-6)

    eeg, beats = _simulate_eeg(simulation, person, head, latents, streams["eeg"])
    times, turns = np.arange(eeg.shape[1]) / EEG_SFREQ, np.zeros((3, eeg.shape[1]))
    if simulation.motion_uv:
        turns = head_jerks(times, peak_v=1e-6 * simulation.motion_uv, rng=streams["motion"])
        eeg[:-1] += turn_electrodes(turns, head.positions, streams["motion"])
    if simulation.pulse_uv:
        artifact, nod = pulse_artifact(
            times, beats, head.positions, peak_v=1e-6 * simulation.pulse_uv, rng=streams["pulse"]
        )
        eeg[:-1] += artifact
        turns[0] += nod
    if simulation.n_wires:
        eeg = np.vstack([eeg, wire_loops(turns, simulation.n_wires, streams["wires"])])
    lead_s = simulation.lead_s if simulation.lead_s is not None else streams["lead"].uniform(6, 26)
    start = round((BEFORE_S - lead_s) * EEG_SFREQ)
    eeg = eeg[:, start : eeg.shape[1] - round(streams["lead"].uniform(0, AFTER_S - 3) * EEG_SFREQ)]
    volume_onsets = BEFORE_S - start / EEG_SFREQ + simulation.tr_eeg_s * np.arange(simulation.n_volumes)
    samples = _write_eeg(
        folder / "eeg",
        stem,
        simulation,
        head,
        eeg,
        volume_onsets,
        events,
        entities,
        streams["scanner"],
        with_bold=with_bold,
    )
    if not with_bold:
        return

    bold, ceiling = _simulate_bold(simulation, brain, courses, streams["bold"])
    func = folder / "func"
    func.mkdir(parents=True, exist_ok=True)
    scanned = _scan(dataset, stem, simulation, person, entities, brain, bold, streams["head"])
    brain.image(scanned, simulation.tr_s).to_filename(func / f"{stem}_bold.nii.gz")
    _write_json(func / f"{stem}_bold.json", _bold_sidecar(simulation, entities["task"]))
    if len(events):
        events.to_csv(func / f"{stem}_events.tsv", sep="\t", index=False)

    table = pd.DataFrame({"volume": np.arange(len(onsets)), "onset_eeg_s": samples / simulation.sfreq})
    for rhythm, latent, course in zip(RHYTHMS, latents, courses, strict=True):
        table[f"{rhythm.name}_latent"] = latent[at_volumes]
        table[rhythm.region.replace(" ", "_")] = rhythm.sign * course * (simulation.coupling > 0)
    table.to_csv(truth / f"{stem}_truth.tsv", sep="\t", index=False, float_format="%.6f")
    inside = (beats > start / EEG_SFREQ) & (beats < start / EEG_SFREQ + eeg.shape[1] / EEG_SFREQ)
    heart = pd.DataFrame({"beat_eeg_s": beats[inside] - start / EEG_SFREQ})
    heart.to_csv(truth / f"{stem}_heart.tsv", sep="\t", index=False, float_format="%.4f")
    brain.image(ceiling.astype(np.float32)).to_filename(truth / f"{stem}_ceiling.nii.gz")


def _write_eeg(folder, stem, simulation, head, eeg, volume_onsets, events, entities, rng, *, with_bold) -> np.ndarray:
    """Write BrainVision with its sidecars; return the samples of the volume markers."""
    import pybv
    from scipy.signal import resample_poly

    if simulation.sfreq != EEG_SFREQ:
        eeg = resample_poly(eeg, round(simulation.sfreq * 10), round(EEG_SFREQ * 10), axis=1)
    if with_bold and simulation.gradient_uv:
        eeg += gradient_artifact(
            eeg.shape[1],
            simulation.sfreq,
            start_s=float(volume_onsets[0]),
            tr_s=simulation.tr_eeg_s,
            nominal_tr_s=simulation.tr_s,
            n_volumes=simulation.n_volumes,
            n_slices=simulation.grid[2],
            n_channels=len(eeg),
            peak_v=1e-6 * simulation.gradient_uv,
            rng=rng,
        )
    samples = np.rint(volume_onsets * simulation.sfreq).astype(int)
    markers: list[dict[str, Any]] = (
        [{"onset": int(s), "type": "Response", "description": 128} for s in samples] if with_bold else []
    )
    stimuli = events.assign(onset=events.onset + volume_onsets[0])
    markers += [
        {"onset": round(onset * simulation.sfreq), "type": "Stimulus", "description": 1} for onset in stimuli.onset
    ]
    markers.sort(key=lambda marker: marker["onset"])
    folder.mkdir(parents=True, exist_ok=True)
    loops = [f"CWL{number + 1}" for number in range(simulation.n_wires)]
    names = [*head.names, "ECG", *loops]
    pybv.write_brainvision(
        data=eeg,
        sfreq=simulation.sfreq,
        ch_names=names,
        ref_ch_names="FCz",
        fname_base=f"{stem}_eeg",
        folder_out=str(folder),
        events=markers,
        resolution=0.5 if simulation.gradient_uv else 0.1,
        fmt="binary_int16",
    )
    _write_json(
        folder / f"{stem}_eeg.json",
        {
            "TaskName": entities["task"],
            "SamplingFrequency": simulation.sfreq,
            "PowerLineFrequency": 50,
            "EEGReference": "FCz",
            "EEGGround": "AFz",
            "EEGPlacementScheme": "10-20",
            "EEGChannelCount": len(head.names),
            "ECGChannelCount": 1,
            **({"MISCChannelCount": len(loops)} if loops else {}),
            "RecordingType": "continuous",
            "RecordingDuration": round(eeg.shape[1] / simulation.sfreq, 3),
            "SoftwareFilters": "n/a",
            "Manufacturer": "simulated",
        },
    )
    pd.DataFrame(
        {
            "name": names,
            "type": ["EEG"] * len(head.names) + ["ECG"] + ["MISC"] * len(loops),
            "units": "uV",
            "sampling_frequency": simulation.sfreq,
            "status": "good",
        }
    ).to_csv(folder / f"{stem}_channels.tsv", sep="\t", index=False)
    if len(stimuli):
        stimuli.to_csv(folder / f"{stem}_events.tsv", sep="\t", index=False, float_format="%.4f")
    space = "_".join(part for part in stem.split("_") if part.startswith(("sub-", "ses-")))
    electrodes = pd.DataFrame(head.positions * 1000, columns=["x", "y", "z"]).round(2)
    electrodes.insert(0, "name", head.names)
    electrodes.to_csv(folder / f"{space}_space-CapTrak_electrodes.tsv", sep="\t", index=False)
    landmarks = {
        {"NASION": "NAS"}.get(name, name): np.round(xyz * 1000, 2).tolist()
        for name, xyz in _montage_positions()[1].items()
    }
    _write_json(
        folder / f"{space}_space-CapTrak_coordsystem.json",
        {
            "EEGCoordinateSystem": "CapTrak",
            "EEGCoordinateUnits": "mm",
            "AnatomicalLandmarkCoordinateSystem": "CapTrak",
            "AnatomicalLandmarkCoordinateUnits": "mm",
            "AnatomicalLandmarkCoordinates": landmarks,
        },
    )
    return samples


def _bold_sidecar(simulation: Simulation, task: str) -> dict:
    times = np.arange(simulation.grid[2]) * simulation.tr_s / simulation.grid[2]
    timing = {"SliceTiming": np.round(times, 4).tolist()} if simulation.gradient_uv else {}
    return timing | {
        "TaskName": task,
        "RepetitionTime": simulation.tr_s,
        "EchoTime": 0.03,
        "FlipAngle": 78,
        "MagneticFieldStrength": 3,
        "Manufacturer": "simulated",
        "PulseSequenceType": "gradient echo EPI",
    }


def _write_dataset_files(dataset: Path, simulation: Simulation, participants: Sequence[Participant]) -> None:
    _write_json(
        dataset / "dataset_description.json",
        {
            "Name": "Simulated simultaneous EEG-fMRI",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["The bids_eeg2fmri developers"],
            "GeneratedBy": [{"Name": "bids_eeg2fmri.testing.simulate"}],
        },
    )
    (dataset / "README").write_text(
        "Simulated simultaneous EEG-fMRI\n\nNo person was measured: EEG and BOLD were computed by "
        "bids_eeg2fmri.testing.simulate. The true\nregions, courses and volume onsets are in the folder beside this "
        f"one whose name ends in _truth.\n\nSettings: {json.dumps(asdict(simulation))}\n"
    )
    pd.DataFrame(
        [{"participant_id": f"sub-{p.label}", "age": p.age, "sex": p.sex, "group": p.group} for p in participants]
    ).to_csv(dataset / "participants.tsv", sep="\t", index=False)
    _write_json(
        dataset / "participants.json",
        {
            "age": {"Description": "Age of the simulated participant", "Units": "year"},
            "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
            "group": {"Description": "Group", "Levels": {"control": "control", "patient": "patient"}},
        },
    )


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate from the command line: ``python -m bids_eeg2fmri.testing.simulate DATASET [options]``."""
    default = Simulation()
    parser = argparse.ArgumentParser(
        prog="python -m bids_eeg2fmri.testing.simulate",
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("dataset", help="new folder for the dataset; the truth goes to DATASET_truth")
    parser.add_argument("--participants", type=int, dest="n_participants", default=default.n_participants)
    parser.add_argument(
        "--eeg-only",
        type=int,
        dest="n_eeg_only",
        default=default.n_eeg_only,
        help="further participants who have EEG alone",
    )
    parser.add_argument("--sessions", type=int, dest="n_sessions", default=default.n_sessions)
    parser.add_argument("--runs", type=int, dest="n_runs", default=default.n_runs)
    parser.add_argument("--tasks", nargs="+", default=list(default.tasks), help="all but rest have events")
    parser.add_argument("--duration", type=float, dest="duration_s", default=default.duration_s, help="of a run, in s")
    parser.add_argument("--sfreq", type=float, default=default.sfreq, help="of the EEG, in Hz")
    parser.add_argument("--channels", type=int, dest="n_channels", default=default.n_channels, help="ECG included")
    parser.add_argument("--cap", choices=CAPS, default=default.cap, help="which electrodes come first")
    parser.add_argument("--one-peak", action="store_true", help="all rhythms have the frequency of alpha")
    parser.add_argument("--grid", type=int, nargs=3, default=list(default.grid), metavar=("X", "Y", "Z"))
    parser.add_argument("--tr", type=float, dest="tr_s", default=default.tr_s, help="in s")
    parser.add_argument("--coupling", type=float, default=default.coupling, help="0: EEG and BOLD share nothing")
    parser.add_argument(
        "--group-effect", type=float, default=default.group_effect, help="0 to 1: less alpha in patients"
    )
    parser.add_argument(
        "--lead",
        type=float,
        dest="lead_s",
        default=None,
        help="s of EEG before the first volume; default: drawn for each run",
    )
    parser.add_argument(
        "--gradient",
        type=float,
        dest="gradient_uv",
        default=default.gradient_uv,
        help="artefact of the gradients, in uV",
    )
    parser.add_argument(
        "--pulse", type=float, dest="pulse_uv", default=default.pulse_uv, help="artefact of the pulse, in uV"
    )
    parser.add_argument(
        "--motion", type=float, dest="motion_uv", default=default.motion_uv, help="artefact of the head's jerks, in uV"
    )
    parser.add_argument("--wires", type=int, dest="n_wires", default=default.n_wires, help="loops of carbon wire")
    parser.add_argument(
        "--scanner-ppm", type=float, default=default.scanner_ppm, help="of the scanner's clock against that of the EEG"
    )
    parser.add_argument(
        "--anatomy", type=float, dest="anatomy_mm", default=default.anatomy_mm, help="how brains differ from MNI, in mm"
    )
    parser.add_argument(
        "--head-motion", type=float, dest="motion_mm", default=default.motion_mm, help="of the head in a run, in mm"
    )
    parser.add_argument(
        "--unsteady", type=int, dest="n_unsteady", default=default.n_unsteady, help="bright first volumes"
    )
    parser.add_argument("--fmriprep", action="store_true", dest="with_fmriprep", help="also write derivatives/fmriprep")
    parser.add_argument("--seed", type=int, default=default.seed)
    options = vars(parser.parse_args(argv))
    dataset = options.pop("dataset")
    options |= {"tasks": tuple(options["tasks"]), "grid": tuple(options["grid"])}
    try:
        truth = simulate_dataset(dataset, replace(default, **options))
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    print(f"dataset: {dataset}\ntruth:   {truth}")


if __name__ == "__main__":
    main()
