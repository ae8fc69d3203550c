"""Every file of the zoo keeps the contract; whoever adds one adds no test."""

import pytest

from bids_eeg2fmri.models.registry import list_architectures, load_architecture
from bids_eeg2fmri.testing import contracts


@pytest.mark.parametrize("check", contracts.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture(name, check):
    # A large one says with which options it is the same in small.
    architecture = load_architecture(name, getattr(load_architecture(name).module, "CONTRACT_OPTIONS", None))
    check(architecture.build, contracts.spec_of(architecture))


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_refuses_unknown_options(name):
    contracts.refuses_unknown_options(name)
