"""Find and build architectures by name, without importing Keras before one is built."""

import difflib
import importlib
import pkgutil
from dataclasses import dataclass, fields, is_dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.models import zoo
from bids_eeg2fmri.models.spec import SampleSpec

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """An architecture with its options.

    Attributes
    ----------
    name : str
        A file of the folder ``zoo``, or the dotted path of a module.
    config : dataclass
        The options. What else the rest of the package has to know stands there, as a class variable or a property:
        ``looks_at``, ``predicts``, ``solver``.
    module : module
        With ``build(spec, config)``.
    """

    name: str
    config: Any
    module: ModuleType

    @property
    def looks_at(self) -> Literal["power", "signal"]:
        """What the input holds: power of each frame in dB, or the EEG itself in V."""
        return getattr(self.config, "looks_at", "power")

    @property
    def predicts(self) -> Literal["coefficients", "voxels"]:
        """What the targets are: coefficients of a low-rank basis, or the voxels themselves."""
        return getattr(self.config, "predicts", "coefficients")

    @property
    def solver(self) -> str | None:
        """Name of what computes the weights where no gradient does: a file of ``training/solvers``, or a dotted path."""
        return getattr(self.config, "solver", None)

    def build(self, spec: SampleSpec) -> "keras.Model":
        """Build the untrained network.

        It maps ``(batch, *spec.power_shape)`` or ``(batch, *spec.signal_shape)`` to ``(batch, n)``; the first
        ``spec.n_outputs`` of ``n`` are the prediction.
        """
        model = self.module.build(spec, self.config)
        model.looks_at, model.solver, model.options = self.looks_at, self.solver, self.config
        return model


def list_architectures() -> list[str]:
    """Name every architecture of this package: the files of the folder ``zoo``."""
    return sorted(module.name for module in pkgutil.iter_modules(zoo.__path__))


def refuse_unknown(name: str) -> None:
    """Raise a UsageError that names the nearest if there is no architecture of this name.

    A dotted path is of somebody else's package, which is imported when it is needed.
    """
    known = list_architectures()
    if name not in known and "." not in name:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"{name}: no such architecture; {hint}")


def load_architecture(name: str, options: dict[str, Any] | None = None) -> Architecture:
    """Import an architecture and check its options.

    Parameters
    ----------
    name : str
        One of :func:`list_architectures`, or the dotted path of a module with ``Config`` and ``build``.
    options : dict, optional
        Fields of the architecture's own ``Config``.

    Raises
    ------
    UsageError
        If there is no such architecture or option, or a value is of a wrong kind; the message names the nearest.
    """
    refuse_unknown(name)
    module = _import(name)
    known = [field.name for field in fields(module.Config)]
    for key in options or {}:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"options are {', '.join(known)}"
            raise UsageError(f"{name}: there is no option {key}; {hint}")
    try:
        config = TypeAdapter(module.Config).validate_python(options or {})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{name}: {key}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}"
        ) from None
    return Architecture(name, config, module)


def build_model(name: str, spec: SampleSpec, options: dict[str, Any] | None = None) -> "keras.Model":
    """Build an untrained network; see :func:`load_architecture` and :meth:`Architecture.build`."""
    return load_architecture(name, options).build(spec)


def _import(name: str) -> ModuleType:
    if "." not in name:
        return importlib.import_module(f"bids_eeg2fmri.models.zoo.{name}")
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"{name}: expected an architecture at this dotted path, found none ({error}); install its package where "
            "bids_eeg2fmri is, or name one of " + ", ".join(list_architectures())
        ) from error
    missing = [part for part in ("Config", "build") if not hasattr(module, part)]
    if missing or not is_dataclass(module.Config):
        raise UsageError(
            f"{name}: expected a module with a dataclass Config and a function build, found "
            f"{'no ' + ' and no '.join(missing) if missing else 'a Config that is no dataclass'}"
        )
    return module
