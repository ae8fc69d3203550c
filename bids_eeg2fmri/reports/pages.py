"""Fill a template of this package: one HTML string that needs no other file, script or network."""

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bids_eeg2fmri import __version__
from bids_eeg2fmri.reports import wording

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """Fill a template; whatever comes from the dataset is escaped.

    Parameters
    ----------
    template : str
        Name of a file in ``templates``.
    **values
        All that the template names: a missing one is an error, not a gap.
    """
    return (
        _environment()
        .get_template(template)
        .render(version=__version__, made=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}", **values)
    )


@cache
def _environment() -> "Environment":
    """Make what compiles templates; kept, so that each is compiled once."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bids_eeg2fmri.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": wording.number,
        "percent": wording.percent,
        "p_value": wording.p_value,
        "place": wording.place,
        "count": wording.count,
        "sentence": wording.sentence,
        "link": lambda path: quote(str(path), safe="/"),
    }
    return environment
