"""Settings of each stage: frozen, checked once, from a TOML file.

The command line says what and where, a TOML file says how. Each number stands here once, with its unit in its name.
"""

import difflib
import hashlib
import json
import tomllib
from dataclasses import asdict, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from bids_eeg2fmri.errors import MissingFilesError, UsageError

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class PairSettings:
    """``[[pairs]]``: EEG and BOLD that belong together although their names do not say so.

    Attributes
    ----------
    eeg, bold : str
        Paths in the dataset. ``{subject}`` is the participant's label, any other name in braces (``{run}``) the same text on
        both sides.
    """

    eeg: str
    bold: str


@dataclass(frozen=True, config=_STRICT)
class AlignmentSettings:
    """``[alignment]``: what the volume markers can't tell by themselves.

    Attributes
    ----------
    n_dummies : int or None
        Volume markers before the first stored volume; None takes what the BOLD sidecar says, if it does.
    code : str or None
        The volume marker, where several codes could be it.
    assume_start_together : bool
        Where no marker helps: the first volume starts with the EEG file. Also ``--assume-start-together``.
    """

    n_dummies: Annotated[int, Field(ge=0)] | None = None
    code: str | None = None
    assume_start_together: bool = False


@dataclass(frozen=True, config=_STRICT)
class GradientSettings:
    """``[gradient]``: the artefact of the scanner's gradients in raw EEG.

    Attributes
    ----------
    correct : str
        "auto" subtracts it where it is found; "never" leaves the EEG as it is.
    n_averaged : int
        Volumes of a template: more follow a moving head less, fewer take more of the EEG away.
    n_components : int
        At most, of what varies in the rest; 0 subtracts templates alone.
    adaptive_noise_cancellation : bool
        Subtract at last what of the rest still follows the artefact that was subtracted.
    """

    correct: Literal["auto", "never"] = "auto"
    n_averaged: Annotated[int, Field(ge=4)] = 30
    n_components: Annotated[int, Field(ge=0)] = 4
    adaptive_noise_cancellation: bool = False


@dataclass(frozen=True, config=_STRICT)
class WireSettings:
    """``[wires]``: what loops of carbon wire saw of a moving head.

    Attributes
    ----------
    correct : str
        "auto" regresses it from the EEG where there are loops that tell something; "never" leaves the EEG as it is.
    """

    correct: Literal["auto", "never"] = "auto"


@dataclass(frozen=True, config=_STRICT)
class PulseSettings:
    """``[pulse]``: the artefact that every heartbeat leaves in EEG inside the scanner.

    Attributes
    ----------
    correct : str
        "auto" subtracts it where it is found; "never" leaves the EEG as it is.
    n_components : int
        At most, of what differs from beat to beat; 0 subtracts the mean alone, scaled to each beat.
    """

    correct: Literal["auto", "never"] = "auto"
    n_components: Annotated[int, Field(ge=0)] = 4


@dataclass(frozen=True, config=_STRICT)
class BadChannelSettings:
    """``[bad_channels]``: EEG channels that tell nothing of the brain, beside those that channels.tsv marks.

    Attributes
    ----------
    correct : str
        "auto" finds them and interpolates them, or leaves them out where positions are not known; "never" takes every channel
        as it is, and refuses one that never changes or holds no numbers.
    """

    correct: Literal["auto", "never"] = "auto"


@dataclass(frozen=True, config=_STRICT)
class MontageSettings:
    """``[montage]``: EEG channels that every recording is brought to, by interpolation where it lacks them.

    Attributes
    ----------
    channels : tuple of str
        Names of the 10-05 system, or of the recordings; empty takes each recording's own.
    """

    channels: tuple[str, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class SpectrumSettings:
    """``[spectrum]``: power of the EEG.

    Attributes
    ----------
    lowest_hz, highest_hz : float
        Centers of the first and last band.
    spacing_hz : float
        From one band to the next.
    frame_s : float
        Length of the stretch of EEG that a frame is computed from.
    """

    lowest_hz: Annotated[float, Field(gt=0)] = 2.0
    highest_hz: Annotated[float, Field(gt=0)] = 40.0
    spacing_hz: Annotated[float, Field(gt=0)] = 1.0
    frame_s: Annotated[float, Field(ge=0.5, le=10)] = 2.0


@dataclass(frozen=True, config=_STRICT)
class WindowSettings:
    """``[window]``: the EEG before a volume. The hemodynamic response peaks after 5 to 6 s and is over after 16 to 20.

    Attributes
    ----------
    span_s : float
        Ends of the frames reach from this long before the volume's onset up to the onset.
    step_s : float
        From one frame to the next.
    """

    span_s: Annotated[float, Field(gt=0, le=60)] = 18.0
    step_s: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True, config=_STRICT)
class BoldSettings:
    """``[bold]``: what is predicted.

    Attributes
    ----------
    n_components : int
        Dimensions of the low-rank dynamics.
    drift_period_s : float
        Slower changes are drift: left out of training targets and of scores.
    preprocessed : str
        "auto" takes what fMRIPrep made of a series, in ``derivatives`` or where ``--derivatives`` points; "never" takes the
        series as recorded.
    space : str
        "auto" takes a preprocessed series in a standard space if there is one, and leaves a recorded one where it is; else
        "native", "T1w" or a template, to which recorded BOLD is normalized if it is MNI152NLin2009aAsym. Also
        ``--output-spaces``.
    resolution_mm : int
        Voxels of recorded BOLD that is normalized.
    realign : str
        "auto" undoes the motion of the head in recorded BOLD where there is some; "never" leaves it.
    smoothing_fwhm_mm : float
        Gaussian, within the brain; 0 does not smooth.
    confounds : str
        Left out of training targets and of scores as drift is, by the strategy of this name of nilearn's; of recorded BOLD that
        is the motion of the head alone.
    """

    preprocessed: Literal["auto", "never"] = "auto"
    space: Annotated[str, Field(pattern=r"^(auto|native|[A-Za-z0-9]+(:res-[A-Za-z0-9]+)?)$")] = "auto"
    resolution_mm: Annotated[int, Field(ge=2, le=6)] = 3
    realign: Literal["auto", "never"] = "auto"
    smoothing_fwhm_mm: Annotated[float, Field(ge=0, le=20)] = 0.0
    confounds: Literal["none", "simple", "scrubbing", "compcor"] = "none"
    n_components: Annotated[int, Field(ge=1)] = 20
    drift_period_s: Annotated[float, Field(gt=0)] = 128.0


@dataclass(frozen=True, config=_STRICT)
class RegionSettings:
    """``[regions]``: parts of the brain whose means are compared.

    Attributes
    ----------
    atlas : str or None
        A NIfTI image of labels in the space of the BOLD; names of the labels in a table of the same name (``.tsv`` with the columns
        index and name). None cuts the brain into cubes of 30 mm, which needs no common space.
    """

    atlas: str | None = None


@dataclass(frozen=True, config=_STRICT)
class TrainingSettings:
    """``[training]``.

    Attributes
    ----------
    architecture : str
        Name of a file in ``bids_eeg2fmri/models/zoo``, or the dotted path of a module of another package.
    options : dict
        The architecture's own options, as its page in ``docs/models`` lists them.
    hold_out : str
        What is predicted by a model trained on the rest: contiguous "blocks" of each run, each "run", or each "session".
    n_folds : int
        Blocks of each run; also the most splits of the training volumes by which epochs and shrinkage are chosen.
    gap_s : float
        Volumes this close to held-out ones are not trained on: neighbours share EEG and a hemodynamic response. Never
        shorter than the window, whatever is set.
    max_epochs, patience, batch_size, learning_rate
        Of Adam; training ends after ``patience`` epochs without a better loss on the inner validation block.
    decay : str
        Whether the learning rate stays "constant" or falls with a "cosine" that would end after ``max_epochs``.
    accumulated_batches : int
        Batches whose gradients are added up for a step: a large batch in little memory.
    mixed_precision : str
        "auto" computes in half precision where there is a GPU; "never" in single precision everywhere.
    """

    architecture: str = "smooth"
    options: dict[str, Any] = field(default_factory=dict)
    hold_out: Literal["blocks", "run", "session"] = "blocks"
    n_folds: Annotated[int, Field(ge=2)] = 5
    gap_s: Annotated[float, Field(ge=0)] = 20.0
    max_epochs: Annotated[int, Field(ge=1)] = 60
    patience: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    decay: Literal["constant", "cosine"] = "constant"
    accumulated_batches: Annotated[int, Field(ge=1)] = 1
    mixed_precision: Literal["auto", "never"] = "auto"


@dataclass(frozen=True, config=_STRICT)
class EvaluationSettings:
    """``[evaluation]``.

    Attributes
    ----------
    n_shifts : int
        Draws of the null distribution, circular shifts of the EEG against the measurement.
    n_surrogates : int
        Draws of EEG with random phases, each of which the network has to look at.
    shortest_shift_s : float
        Shorter shifts would leave neighbours aligned.
    alpha : float
        Threshold of p for "better than chance".
    """

    n_shifts: Annotated[int, Field(ge=100)] = 1000
    n_surrogates: Annotated[int, Field(ge=19)] = 60
    shortest_shift_s: Annotated[float, Field(gt=0)] = 30.0
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05


@dataclass(frozen=True, config=_STRICT)
class OutputSettings:
    """``[output]``: what is written beside the synthesized BOLD.

    Attributes
    ----------
    cleaned_eeg : bool
        The EEG that spectra are computed from: cleaned, downsampled.
    """

    cleaned_eeg: bool = False


@dataclass(frozen=True, config=_STRICT)
class Settings:
    """All settings of a run, by stage."""

    pairs: tuple[PairSettings, ...] = ()
    alignment: AlignmentSettings = AlignmentSettings()
    gradient: GradientSettings = GradientSettings()
    wires: WireSettings = WireSettings()
    pulse: PulseSettings = PulseSettings()
    bad_channels: BadChannelSettings = BadChannelSettings()
    montage: MontageSettings = MontageSettings()
    spectrum: SpectrumSettings = SpectrumSettings()
    window: WindowSettings = WindowSettings()
    bold: BoldSettings = BoldSettings()
    regions: RegionSettings = RegionSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    output: OutputSettings = OutputSettings()

    def as_dict(self) -> dict[str, Any]:
        """Give plain nested values, as they go into JSON."""
        return asdict(self)

    @property
    def pair_templates(self) -> list[tuple[str, str]]:
        """``[[pairs]]`` as (EEG, BOLD)."""
        return [(pair.eeg, pair.bold) for pair in self.pairs]

    @property
    def hash(self) -> str:
        """Eight characters that name these settings; the same in every run with the same values."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:8]


def load_settings(path: Path | None, overrides: dict[str, dict[str, Any]] | None = None) -> Settings:
    """Read settings from a TOML file; what it leaves out keeps its default.

    Parameters
    ----------
    path : Path or None
    overrides : dict
        Values by stage that outrank the file, from the command line.

    Raises
    ------
    MissingFilesError
        If there is no such file.
    UsageError
        If it is not TOML, or a key or value is wrong; the message names the key and, if it is unknown, the nearest one.
    """
    values: dict[str, Any] = {}
    name = path.name if path else "settings"
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise MissingFilesError(f"{path}: no readable file with settings; check --config-file") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{name}: expected TOML: {error}") from error
    for stage, overriding in (overrides or {}).items():
        if isinstance(values.setdefault(stage, {}), dict):  # what is no table is refused below
            values[stage] = values[stage] | overriding
    try:
        settings = TypeAdapter(Settings).validate_python(values)
    except ValidationError as error:
        raise UsageError(f"{name}: {_explain(error)}") from None
    if settings.spectrum.highest_hz < settings.spectrum.lowest_hz + settings.spectrum.spacing_hz:
        raise UsageError(
            f"{name}: spectrum.highest_hz: expected at least one spectrum.spacing_hz above spectrum.lowest_hz"
        )
    channels = [channel.casefold() for channel in settings.montage.channels]
    if len(set(channels)) < len(channels):
        twice = next(one for one in settings.montage.channels if channels.count(one.casefold()) > 1)
        raise UsageError(f"{name}: montage.channels: expected every channel once, found {twice} more often")
    if settings.window.step_s > settings.window.span_s:
        raise UsageError(f"{name}: window.step_s: expected no more than window.span_s")
    return settings


def changed_settings(settings: Settings, values: dict[str, dict[str, Any]]) -> Settings:
    """Give settings with other values for some keys, by stage; what is not among them stays."""
    both = settings.as_dict()
    for stage, changed in values.items():
        both[stage] = both[stage] | changed
    return TypeAdapter(Settings).validate_python(both)


def _explain(error: ValidationError) -> str:
    """The first thing that is wrong, in the words of the file."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "tuple_type":
        return f"{key}: expected tables that each start with [[{key}]]"
    if first["type"] != "unexpected_keyword_argument":
        return f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}"
    level: Any = Settings
    for part in first["loc"][:-1]:
        if not isinstance(part, int):  # one of several tables of the same kind
            level = next(f.type for f in fields(level) if f.name == part)
            level = next((kind for kind in get_args(level) if is_dataclass(kind)), level)
    known = [f.name for f in fields(level)] if is_dataclass(level) else []
    near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"{key}: there is no such setting; {hint}"
