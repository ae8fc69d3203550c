"""A trained model with all that is needed to apply it: network, basis, template, and a card that says what it is.

A bundle is a folder: ``card.json``, ``network.weights.h5`` (Keras' own format) and the NIfTI images ``mask``,
``template``, ``components`` and ``error``. Loading it runs no code of the bundle: the network is built here, by name, and only
numbers are read. Format 2 added the image ``error``; bundles of format 1 have none and are read as before.
"""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from bids_eeg2fmri.bold.basis import Basis
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.errors import MissingFilesError, ModelError, OutputError, UsageError
from bids_eeg2fmri.models.registry import load_architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.fitting import OutputBasis, predict_coefficients
from bids_eeg2fmri.windows import Windows

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 2
_FILES = ("network.weights.h5", "mask.nii.gz", "template.nii.gz", "components.nii.gz", "error.nii.gz")
# What a bundle of format 1 does not have.
_SINCE_2 = ("error.nii.gz",)
# Of the squares of a basis, what has to be left of it in the brain of somebody for whom a model is tuned.
LEAST_LEFT = 0.9


@dataclass(frozen=True)
class Synthesizer:
    """EEG windows in, percent signal change of voxels out.

    Attributes
    ----------
    network : keras.Model
        Windows in dB to coefficients, in units of ``output_scale``.
    spec : SampleSpec
    basis : Basis
    grid : Grid
    template : array of shape (x, y, z)
        Mean image of the training volumes, in the source's units.
    output_scale : array of shape (components,)
        In percent signal change: the unit of the network's outputs times how much of each is believed.
    error : array of shape (voxels,)
        Standard deviation of measured around synthesized change, in percent, of samples that were not learned from.
    card : dict
        What the model was made of and from; goes to ``card.json`` as it is.
    """

    network: "keras.Model"
    spec: SampleSpec
    basis: Basis
    grid: Grid
    template: np.ndarray
    output_scale: np.ndarray
    error: np.ndarray
    card: dict[str, Any]

    def predict(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        """Predict percent signal change, (len(which), voxels)."""
        return self.basis.expand(self.coefficients(windows, which)[which])

    def coefficients(self, windows: Windows, which: np.ndarray) -> np.ndarray:
        """Predict the coefficients of the basis, (volumes of all windows, components); 0 where not asked for."""
        said = np.zeros((len(windows), len(self.basis.components)), dtype=np.float32)
        basis = OutputBasis.of(self.spec, self.basis.components)
        said[which] = predict_coefficients(self.network, windows, which, basis) * self.output_scale
        return said

    def basis_on(self, grid: Grid) -> Basis:
        """Give the basis on a grid that has some of this one's voxels.

        Raises
        ------
        ModelError
            If so much of a direction lies in voxels that are missing that coefficients would mean something else; or any is
            missing that a network puts out by itself.
        """
        if self.spec.mask is not None and not np.array_equal(grid.mask, self.grid.mask):
            raise ModelError(
                f"the architecture {self.card['architecture']} puts out each voxel of the model's brain, and some are not in this "
                "one; tune a model of coefficients, such as smooth"
            )
        components = self.basis.components[:, grid.mask[self.grid.mask]]
        left = float((components**2).sum() / (self.basis.components**2).sum())
        if left < LEAST_LEFT:
            raise ModelError(
                f"expected a brain that holds at least {LEAST_LEFT:.0%} of what the model's components are made of, found "
                f"{left:.0%}; look at the brain mask"
            )
        return Basis(components)

    def save(self, folder: Path) -> Path:
        """Write the bundle; the folder appears whole or not at all."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}_", dir=folder.parent))
        try:
            self.network.save_weights(part / "network.weights.h5")
            self.grid.image_of(self.grid.mask.astype(np.uint8)).to_filename(part / "mask.nii.gz")
            self.grid.image_of(self.template.astype(np.float32)).to_filename(part / "template.nii.gz")
            self.grid.image(self.basis.components).to_filename(part / "components.nii.gz")
            self.grid.image(self.error.astype(np.float32)).to_filename(part / "error.nii.gz")
            card = self.card | {
                "format_version": FORMAT_VERSION,
                "architecture": self.card["architecture"],
                "channels": list(self.spec.channels),
                "freqs_hz": list(self.spec.freqs_hz),
                "lags_s": list(self.spec.lags_s),
                "sfreq": self.spec.sfreq,
                "n_outputs": self.spec.n_outputs,
                "output_scale": self.output_scale.tolist(),
                "shape": list(self.grid.mask.shape),
                "affine": self.grid.affine.tolist(),
                "space": self.grid.space,
                "resolution": self.grid.resolution,
                "sha256": {name: _sha256(part / name) for name in _FILES},
            }
            (part / "card.json").write_text(json.dumps(card, indent=2) + "\n")
            part.chmod(0o755)
            aside = part.with_name(f"{part.name}_old")
            if folder.exists():
                os.replace(folder, aside)
            os.replace(part, folder)
            shutil.rmtree(aside, ignore_errors=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); free space") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return folder


def load_synthesizer(folder: Path, *, trusted: str | None = None) -> Synthesizer:
    """Load a bundle.

    Parameters
    ----------
    folder : Path
    trusted : str, optional
        An architecture of another package that the user named: a bundle alone does not make anything be imported.

    Raises
    ------
    MissingFilesError
        If the folder or one of its files is missing.
    ModelError
        If the card is of a newer version or broken, or a file is not the one that the card describes.
    """
    card_path = folder / "card.json"
    missing = [name for name in ("card.json", *_FILES) if name not in _SINCE_2 and not (folder / name).is_file()]
    if missing:
        raise MissingFilesError(
            f"{folder}: expected a bundle with {', '.join(('card.json', *_FILES))}, found no {', '.join(missing)}; "
            "check --model"
        )
    try:
        card = json.loads(card_path.read_text())
        version = int(card["format_version"])
        if version > FORMAT_VERSION:
            raise ModelError(
                f"{card_path}: expected a bundle of format {FORMAT_VERSION} or older, found {version}; update bids_eeg2fmri"
            )
        channels = tuple(map(str, card["channels"]))
        stated = card.get("positions_m")
        card["positions_m"] = _positions(stated, len(channels))
        spec = SampleSpec(
            tuple(map(float, card["lags_s"])),
            channels,
            tuple(map(float, card["freqs_hz"])),
            int(card["n_outputs"]),
            tuple(None if xyz is None else (xyz[0], xyz[1], xyz[2]) for xyz in card["positions_m"]) if stated else (),
            float(card.get("sfreq", 0.0)),
        )
        named, hashes, output_scale = (
            str(card["architecture"]),
            dict(card["sha256"]),
            np.array(card["output_scale"], dtype=np.float32),
        )
        options = card["architecture_options"]
        # How EEG is prepared for it; read by who applies the model.
        card |= {key: float(card[key]) for key in ("frame_s", "step_s", "tr_s")}
        card["relative_power"] = bool(card["relative_power"])
        card |= {"settings": dict(card["settings"]), "settings_hash": str(card["settings_hash"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{card_path}: expected the card of a bundle, found it broken ({error!r}); save it anew"
        ) from error
    try:
        if "." in named and named != trusted:
            raise UsageError(
                f"it is of another package, which would be imported; set training.architecture of --config-file to {named}"
            )
        architecture = load_architecture(named, options)
    except UsageError as error:
        raise ModelError(f"{card_path}: cannot use the architecture {named!r}: {error}") from error
    for name in _FILES if version > 1 else [name for name in _FILES if name not in _SINCE_2]:
        if not (folder / name).is_file() or _sha256(folder / name) != hashes.get(name):
            raise ModelError(f"{folder / name}: is not the file that the card describes; copy the bundle anew")

    grid, template, components, error_sd = _images(folder, card, with_error=version > 1)
    if architecture.predicts == "voxels":
        spec = replace(spec, mask=grid.mask)
    network = architecture.build(spec)
    try:
        with warnings.catch_warnings():
            # Keras warns of weights that it skips; a network with a part at random is none.
            warnings.simplefilter("error", UserWarning)
            network.load_weights(folder / "network.weights.h5")
    except (ValueError, OSError, KeyError, UserWarning) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{folder}: the weights do not fit the architecture {named} ({reason})") from error
    return Synthesizer(network, spec, Basis(components), grid, template, output_scale, error_sd, card)


def _images(folder: Path, card: dict[str, Any], *, with_error: bool) -> tuple[Grid, np.ndarray, np.ndarray, np.ndarray]:
    """Read grid, template, components and error; NaN for an error that is not known."""
    try:
        mask = nib.load(folder / "mask.nii.gz")
        # Bundles that are older than spaces are of the series' own.
        named = str(card.get("space", "")), str(card.get("resolution", ""))
        grid = Grid(np.asarray(mask.dataobj) > 0, mask.affine, int(mask.header["sform_code"]), *named)
        components = grid.table(np.asarray(nib.load(folder / "components.nii.gz").dataobj))
        template = np.asarray(nib.load(folder / "template.nii.gz").dataobj, dtype=np.float32)
        spread = np.full(grid.n_voxels, np.nan, np.float32)
        if with_error:
            spread = grid.table(np.asarray(nib.load(folder / "error.nii.gz").dataobj, dtype=np.float32))
    except (ImageFileError, OSError, ValueError, IndexError) as error:
        raise ModelError(f"{folder}: expected images of the model's grid, found {error}; save it anew") from error
    return grid, template, components, spread


def _positions(stated: Any, n_channels: int) -> list[list[float] | None]:
    """Read x, y, z of each channel, None where it is not known; a card need not know any."""
    positions = [None if xyz is None else [float(value) for value in xyz] for xyz in stated or [None] * n_channels]
    if len(positions) != n_channels or any(xyz is not None and len(xyz) != 3 for xyz in positions):
        raise ValueError("positions_m")
    return positions


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
