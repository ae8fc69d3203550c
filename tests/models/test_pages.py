"""Every architecture has a page that names all its options, and a place in the list of them."""

import importlib
from dataclasses import fields
from pathlib import Path

import pytest

from bids_eeg2fmri.models.registry import list_architectures, load_architecture
from bids_eeg2fmri.reports import methods

PAGES = Path(__file__).parents[2] / "docs" / "models"


@pytest.mark.parametrize("name", list_architectures())
def test_an_architecture_has_a_page_with_all_its_options(name):
    page = (PAGES / f"{name}.md").read_text()
    assert page.startswith(f"# `{name}`: ")
    config = importlib.import_module(f"bids_eeg2fmri.models.zoo.{name}").Config
    missing = [field.name for field in fields(config) if f"| `{field.name}` |" not in page]
    assert not missing
    for part in ("```mermaid", "## Options", "## Cost", "## When to use it", "## Paper"):
        assert part in page
    assert f"[`{name}`]({name}.md)" in (PAGES / "README.md").read_text()


@pytest.mark.parametrize("name", list_architectures())
def test_the_methods_text_knows_an_architecture_and_whether_it_is_trained(name):
    assert name in methods._ARCHITECTURES
    assert (name in methods._COMPUTED) == (load_architecture(name).solver is not None)
    text = methods.methods_text({"settings": {"training": {"architecture": name, "learning_rate": 0.01, "batch_size": 8,
                                                           "max_epochs": 5, "patience": 2}}})  # fmt: skip
    assert ("Adam" in text) == (load_architecture(name).solver is None)
