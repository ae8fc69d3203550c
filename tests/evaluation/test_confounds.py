import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.evaluation.confounds import SIX, read_confounds


@pytest.fixture
def write(tmp_path):
    def write(table):
        path = tmp_path / "sub-01_task-rest_desc-confounds_timeseries.tsv"
        table.to_csv(path, sep="\t", index=False, na_rep="n/a")
        return path

    return write


def table_of(n=17):
    """As fMRIPrep writes it: derivatives of the first volume are n/a."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"global_signal": rng.random(n), "csf": rng.random(n)})
    for name in SIX:
        table[name] = rng.standard_normal(n)
        table[f"{name}_derivative1"] = table[name].diff()
        table[f"{name}_power2"] = table[name] ** 2
        table[f"{name}_derivative1_power2"] = table[f"{name}_derivative1"] ** 2
    return table.assign(framewise_displacement=rng.random(n), trans_x_outlier=1, rot_z_derivative2=0.5)


def test_motion_is_picked_and_nothing_else(write):
    table = table_of()
    motion = read_confounds(write(table))
    assert motion.shape == (17, 24)
    assert {name.split("_")[0] for name in motion} == {"trans", "rot"}
    np.testing.assert_allclose(motion["rot_y_power2"], table["rot_y_power2"])
    assert motion.iloc[0]["trans_z_derivative1"] == 0


def test_six_parameters_are_enough(write):
    assert list(read_confounds(write(table_of()[list(SIX)]))) == list(SIX)


def test_a_table_without_motion_is_told(write):
    with pytest.raises(InputDataError, match=r"expected motion as fMRIPrep names it .*, found no trans_y, rot_z"):
        read_confounds(write(table_of().drop(columns=["trans_y", "rot_z"])))


def test_what_is_no_table_is_told(tmp_path):
    empty = tmp_path / "confounds.tsv"
    empty.write_text("")
    with pytest.raises(InputDataError, match="expected a table of confounds, found it unreadable"):
        read_confounds(empty)
    with pytest.raises(InputDataError, match="expected a table of confounds"):
        read_confounds(tmp_path / "none.tsv")
