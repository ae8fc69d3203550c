import subprocess
import sys
from dataclasses import replace

import pytest

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.models.registry import build_model, list_architectures
from bids_eeg2fmri.models.spec import SampleSpec

SPEC = SampleSpec((0.0, 3.0, 6.0), ("C3", "C4"), (8.0, 10.0, 12.0, 14.0), 5)


def test_names_are_listed_without_keras():
    code = (
        "import sys; from bids_eeg2fmri.models.registry import list_architectures; print(list_architectures()); "
        "sys.exit(bool({'keras', 'tensorflow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "separable" in done.stdout


def test_a_misspelled_name_gets_the_nearest():
    with pytest.raises(UsageError, match="separabel: no such architecture; did you mean separable\\?"):
        build_model("separabel", SPEC)


def test_a_strange_name_gets_the_list():
    with pytest.raises(UsageError, match=f"there are {', '.join(list_architectures())}"):
        build_model("zzz", SPEC)


def test_the_shape_of_a_sample_is_told_by_its_axes():
    assert SPEC.power_shape == (3, 2, 4)
    assert replace(SPEC, sfreq=50.0).signal_shape == (3, 2, 150)
