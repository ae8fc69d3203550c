"""The page on how to add an architecture does what it says."""

import re
import sys
from pathlib import Path

import pytest

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.models.registry import load_architecture
from bids_eeg2fmri.testing import contracts

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-model.md"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of somebody else, as the page has it."""
    file, check = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").touch()
    (tmp_path / "mypackage" / "mynetwork.py").write_text(file)
    (tmp_path / "mypackage" / "empty.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield check
    for name in [name for name in sys.modules if name.split(".")[0] == "mypackage"]:
        del sys.modules[name]


def test_the_example_keeps_the_contract(package):
    exec(package, {})  # raises if it does not


def test_what_is_wrong_with_an_architecture_from_elsewhere_is_told(package):
    assert load_architecture("mypackage.mynetwork", {"width": 3}).config.width == 3
    for name, options, message in (
        ("mypackage.mynetwrk", {}, "mypackage.mynetwrk: expected an architecture at this dotted path, found none"),
        (
            "mypackage.empty",
            {},
            "expected a module with a dataclass Config and a function build, found no Config and no",
        ),
        ("mypackage.mynetwork", {"widht": 3}, "mypackage.mynetwork: there is no option widht; did you mean width?"),
        ("mypackage.mynetwork", {"width": "wide"}, "width: input should be a valid integer.*not 'wide'"),
    ):
        with pytest.raises(UsageError, match=message):
            load_architecture(name, options)


def test_the_contract_notices_what_the_page_asks_for(package, tmp_path):
    path = tmp_path / "mypackage" / "mynetwork.py"
    (tmp_path / "mypackage" / "worse.py").write_text(
        path.read_text().replace("x = Standardization()(inputs)", "x = inputs")
    )
    architecture = load_architecture("mypackage.worse")
    with pytest.raises(AssertionError, match=r"begin with models\.layers.standardization.Standardization"):
        contracts.standardizes_by_its_training_windows(architecture.build)
