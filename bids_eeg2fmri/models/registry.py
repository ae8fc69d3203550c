"""Find and build architectures by name, without importing Keras before one is built."""

import difflib
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.models import zoo
from bids_eeg2fmri.models.spec import SampleSpec

if TYPE_CHECKING:
    import keras


def list_architectures() -> list[str]:
    """Name every architecture: the files of the folder ``zoo``."""
    return sorted(module.name for module in pkgutil.iter_modules(zoo.__path__))


def refuse_unknown(name: str) -> None:
    """Raise a UsageError that names the nearest if there is no architecture of this name."""
    known = list_architectures()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"{name}: no such architecture; {hint}")


def build_model(name: str, spec: SampleSpec, options: dict[str, Any] | None = None) -> "keras.Model":
    """Build an untrained network.

    Parameters
    ----------
    name : str
        One of :func:`list_architectures`.
    spec : SampleSpec
    options : dict, optional
        Fields of the architecture's own ``Config``.

    Raises
    ------
    UsageError
        If there is no such architecture or option; the message names the nearest.
    """
    refuse_unknown(name)
    module = importlib.import_module(f"bids_eeg2fmri.models.zoo.{name}")
    try:
        config = module.Config(**(options or {}))
    except TypeError as error:
        raise UsageError(f"{name}: {error}; options are {', '.join(module.Config.__dataclass_fields__)}") from None
    return module.build(spec, config)
