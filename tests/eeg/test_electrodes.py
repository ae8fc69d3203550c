"""Which electrode a channel is, by the names that real files have; and where it is, whatever was written down."""

import numpy as np
import pytest

from bids_eeg2fmri.eeg.electrodes import distance_mm, find_electrodes, is_between_electrodes, place_channels, place_of

CAP = (
    "Fp1",
    "Fp2",
    "F3",
    "F4",
    "C3",
    "C4",
    "P3",
    "P4",
    "O1",
    "O2",
    "F7",
    "F8",
    "T7",
    "T8",
    "P7",
    "P8",
    "Fz",
    "Cz",
    "Pz",
)
MEASURED = [0.95 * place_of(name) + 0.002 for name in CAP]  # of a smaller head, a little off


@pytest.mark.parametrize(
    ("name", "electrode"),
    [
        ("Fp1", "Fp1"), ("FP1", "Fp1"), ("fp2", "Fp2"), ("POZ", "POz"), ("CCP3h", "CCP3h"), ("M1", "M1"), ("TP9", "TP9"),
        # Before 1991.
        ("T3", "T7"), ("T4", "T8"), ("T5", "P7"), ("t6", "P8"),
        # EDF, Temple University, PhysioNet, converters that allow no blanks, files that hold a name twice.
        ("EEG Fp1", "Fp1"), ("EEG FP1-REF", "Fp1"), ("EEG T3-LE", "T7"), ("Fp1.", "Fp1"), ("Fc5..", "FC5"), ("EEG_Cz", "Cz"),
        ("EEGCz", "Cz"), ("Fp1-0", "Fp1"), ("EEG 3 Pz", "Pz"), ("Fp1-AVG", "Fp1"),
        # Against an ear or a mastoid.
        ("EEG F3-A1", "F3"), ("Fp1-M2", "Fp1"), ("C3A2", "C3"), ("C4:M1", "C4"), ("O1-A1A2", "O1"), ("CzRef", "Cz"),
    ],
)  # fmt: skip
def test_real_spellings_are_known(name, electrode):
    assert find_electrodes([name]) == {name: electrode}
    assert not is_between_electrodes(name, {name: electrode})


@pytest.mark.parametrize("name", ["Fp1-F7", "C3-P3", "EEG Fpz-Cz", "T8-P8-0", "Fp1-T3", "M1-M2", "A1-A2"])
def test_what_is_between_two_electrodes_is_at_neither(name):
    assert find_electrodes([name]) == {}
    assert is_between_electrodes(name, {})
    assert place_channels([name], [(0.0, 0.09, 0.04)]).positions_m == [None]


@pytest.mark.parametrize("name", ["EMG", "A1", "EEG", "EEG 001", "E12", "Fp1F7", "CzX", "Ref", "Photic", "Fp1 old", ""])
def test_what_is_no_electrode_is_at_no_known_place(name):
    assert find_electrodes([name]) == {}
    assert place_channels([name], [None]).positions_m == [None]


def test_an_electrode_that_most_channels_are_against_is_their_reference():
    against_cz = [f"{name}-Cz" for name in ("Fp1", "Fp2", "O1", "O2", "T7", "T8")]
    assert list(find_electrodes(against_cz).values()) == ["Fp1", "Fp2", "O1", "O2", "T7", "T8"]
    chain = ["Fz-Cz", "C3-Cz", "Fp1-F7", "F7-T7", "T7-P7", "P7-O1"]
    assert find_electrodes(chain) == {}


def test_caps_that_count_through_the_alphabet_have_names_of_their_own():
    biosemi = [f"{letter}{number}" for letter in "ABCD" for number in range(1, 33)]
    assert find_electrodes(biosemi) == {}
    assert find_electrodes([f"E{number}" for number in range(1, 129)] + ["Cz"]) == {"Cz": "Cz"}
    # Eyes are numbered, too, where sleep is recorded.
    assert find_electrodes(["E1-M2", "E2-M2", "F3-M2", "C3-M2"]) == {"F3-M2": "F3", "C3-M2": "C3"}


def test_the_template_is_a_head_whose_front_is_the_front():
    sides = {name: np.sign(np.round(place_of(name) - (0, 0, 0.04), 2)) for name in ("Fp1", "O2", "T7", "Cz")}
    assert [*sides["Fp1"][:2], *sides["O2"][:2]] == [-1, 1, 1, -1]
    assert sides["T7"][0] == -1
    assert sides["Cz"][2] == 1
    # Ten and twenty percent of the way around.
    assert 15 < distance_mm(place_of("Cz"), place_of("C1")) < 40 < distance_mm(place_of("Cz"), place_of("C3")) < 75


def test_what_was_measured_is_taken_as_it_is():
    places = place_channels(CAP, MEASURED)
    np.testing.assert_allclose(places.positions_m, MEASURED, atol=1e-5)
    assert (places.by_name, places.remark) == ((), "")


def test_what_was_not_measured_is_where_its_name_is():
    some = [None, [np.nan] * 3, [0.0, 0.0, 0.0], *MEASURED[3:]]
    places = place_channels(CAP, some)
    assert places.by_name == ("Fp1", "Fp2", "F3")
    assert places.remark == ""
    np.testing.assert_allclose(places.positions_m[:3], [place_of(name) for name in CAP[:3]], atol=1e-5)
    np.testing.assert_allclose(places.positions_m[3:], MEASURED[3:], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (lambda xyz: 1000 * xyz, "19 of 19 are not on a head (up to 1.3"),
        (lambda xyz: xyz / 1000, "19 of 19 are not on a head (up to 40 mm from its center)"),
        (lambda xyz: 0 * xyz, "19 of 19 are not on a head"),
        (lambda xyz: 0 * xyz + (0.0, 0.09, 0.04), "all 19 are at nearly the same place"),
        (lambda xyz: xyz[:, [1, 0, 2]] * (-1, 1, 1), "mm from where their names are"),  # axes of another system
        (lambda xyz: xyz - (0, 0.02, 0.045), "mm from where their names are"),  # around the middle of an MRI
    ],
    ids=["mm told to be m", "m told to be mm", "zeros", "one place", "turned", "of an MRI"],
)
def test_positions_that_can_not_be_true_are_told_and_those_of_the_names_taken(change, remark):
    places = place_channels([*CAP, "X1"], [*change(np.array(MEASURED)), None])
    assert remark in places.remark
    assert places.by_name == CAP
    np.testing.assert_allclose(places.positions_m[:-1], [place_of(name) for name in CAP], atol=1e-5)
    assert places.positions_m[-1] is None


def test_without_names_wrong_positions_leave_nothing():
    names = [f"E{number}" for number in range(1, 20)]
    assert place_channels(names, [1000 * xyz for xyz in MEASURED]).positions_m == [None] * 19
    np.testing.assert_allclose(place_channels(names, MEASURED).positions_m, MEASURED, atol=1e-5)
