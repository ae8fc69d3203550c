"""Recordings are brought to the channels that a model or the settings want, and what that is worth is told."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.config import BadChannelSettings, MontageSettings, Settings
from bids_eeg2fmri.eeg.electrodes import place_of
from bids_eeg2fmri.eeg.montage import Wanted
from bids_eeg2fmri.errors import InputDataError, ModelError
from bids_eeg2fmri.testing.simulate import CAP
from bids_eeg2fmri.workflow.eeg import Sampling
from bids_eeg2fmri.workflow.montage import describe_montage, warn_of_covering
from bids_eeg2fmri.workflow.plan import plan_participant
from bids_eeg2fmri.workflow.preparation import on_common_ground, prepare

HERE = CAP[:11]
SETTINGS = Settings()


@pytest.fixture
def planned(copy):
    """Plan the recording of 11 channels, after a change of its files."""

    def plan(change=lambda folder: None):
        dataset = copy()
        change(dataset / "sub-01/eeg")
        [of_recording] = plan_participant(dataset, "01")
        return of_recording

    return plan


def for_model(*channels):
    sampling = Sampling.by_settings(SETTINGS)
    return replace(sampling, wanted=Wanted.of(channels), lags_s=tuple(np.arange(0.0, 10.0)))


def forget(folder):
    for path in folder.glob("*_space-CapTrak_*"):
        path.unlink()


def change_unit(folder):
    path = folder / "sub-01_space-CapTrak_coordsystem.json"
    path.write_text(path.read_text().replace('"EEGCoordinateUnits": "mm"', '"EEGCoordinateUnits": "m"'))


def retype(*names):
    """Make channels something else than EEG."""

    def change(folder):
        path = folder / "sub-01_task-rest_channels.tsv"
        path.write_text(re.sub(rf"^({'|'.join(names)})\tEEG", r"\1\tMISC", path.read_text(), flags=re.MULTILINE))

    return change


def test_what_was_measured_is_told(planned):
    p = prepare(planned(), Sampling.by_settings(SETTINGS), SETTINGS)
    assert (p.montage.n_measured, p.montage.by_name, p.montage.unplaced, p.montage.remark) == (11, (), (), "")
    assert (p.montage.wanted_by, p.montage.n_channels, p.montage.covered) == ("", 11, 1.0)


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (forget, None),
        (change_unit, r"11 of 11 are not on a head \(up to 1.*e\+05 mm from its center\); those of the names are"),
    ],
    ids=["nobody measured", "wrong unit"],
)
def test_channels_without_a_believable_position_are_where_their_names_are(change, remark, planned, caplog):
    p = prepare(planned(change), Sampling.by_settings(SETTINGS), SETTINGS)
    np.testing.assert_allclose(p.positions, [place_of(name) for name in HERE], atol=1e-5)
    assert (p.montage.n_measured, p.montage.by_name) == (0, tuple(HERE))
    assert bool(p.montage.remark) == (remark is not None)
    assert remark is None or re.search(f"positions of electrodes not used: {remark}", caplog.text)


def test_a_model_gets_its_channels_in_its_order_and_under_its_names(planned, caplog):
    with caplog.at_level("INFO"):
        p = prepare(planned(), for_model("CZ", "P3", "F1", "fp1"), SETTINGS)
    assert p.spectrum.channels == ("CZ", "P3", "F1", "fp1")
    assert len(p.positions) == 4
    assert list(p.montage.distances_mm) == ["CZ", "F1"]
    assert "2 of 4 channels that the model asked for interpolated, the nearest electrode up to" in caplog.text
    assert p.bad_channels.reasons == {}


def test_too_little_of_the_head_is_flagged_everywhere(planned, caplog):
    p = prepare(planned(retype("F7", "Fp1")), for_model(*HERE), SETTINGS)
    assert p.montage.far == ("F7", "Fp1")
    assert p.montage.covered == pytest.approx(9 / 11, abs=1e-3)
    told = "electrodes cover 82 % of the 11 channels that the model asked for; F7, Fp1 are more than 40 mm from any"
    assert told in caplog.text
    [sentence] = warn_of_covering([(p.recording, p.montage), (p.recording, None)])
    assert sentence.startswith(f"sub-01_task-rest: {told}: take what is synthesized")
    sidecar = json.loads(json.dumps(describe_montage(p.montage)))
    assert sidecar["Interpolated"] == ["Fp1", "F7"]
    assert sidecar["Covered"] == p.montage.covered
    assert told in sidecar["Warning"]


def test_what_is_well_covered_is_not_flagged(planned):
    p = prepare(planned(retype("C3")), for_model(*HERE), SETTINGS)
    assert list(p.montage.distances_mm) == ["C3"]
    # The neighbours of C3 in this cap are far off, but ten of eleven are here.
    assert warn_of_covering([(p.recording, p.montage)]) == []
    assert "Warning" not in describe_montage(p.montage)


@pytest.mark.parametrize(
    ("wanted", "change", "found"),
    [
        (
            ("TP9", "TP10", "T8", "P8", "Cz", "Fp1"),
            lambda folder: None,
            r"expects 6 channels, 5 of them missing or bad here: TP9, TP10, T8, P8, Cz; expected an electrode within 40 mm of at "
            r"least half of the 6, found one for 1; use a model of this montage",
        ),
        (
            ("Fp1", "F1"),
            retype("C3", "C4", "O1", "O2"),
            r"positions of at least 8 good channels are needed, found 7; add electrodes.tsv, or use a model of this montage",
        ),
        (
            ("Fp1", "Fp1-F7", "E17"),
            lambda folder: None,
            r"2 of them missing or bad here: Fp1-F7, E17; nothing tells where Fp1-F7, E17 w",
        ),
    ],
    ids=["half is far", "too few electrodes", "no place"],
)
def test_what_would_be_made_up_is_refused_with_the_numbers(wanted, change, found, planned):
    of_recording = planned(change)
    with pytest.raises(ModelError, match=found):
        prepare(of_recording, for_model(*wanted), SETTINGS)
    # By the settings it is not the model's fault.
    settings = Settings(montage=MontageSettings(wanted))
    with pytest.raises(InputDataError, match=r"montage.channels of the settings expects"):
        prepare(of_recording, Sampling.by_settings(settings), settings)


def test_recordings_of_different_caps_are_brought_to_the_channels_of_the_settings(planned):
    settings = Settings(montage=MontageSettings(("F3", "Fz", "C3", "C4", "P3", "P4")))
    sampling = Sampling.by_settings(settings)
    whole = prepare(planned(), sampling, settings)
    folder = whole.recording.eeg.parent
    retype("F3", "C4")(folder)
    [other] = plan_participant(folder.parents[1], "01")
    other = prepare(other, sampling, settings)
    assert (list(whole.montage.distances_mm), list(other.montage.distances_mm)) == (["Fz"], ["F3", "Fz", "C4"])
    assert whole.montage.wanted_by == "the settings"
    kept, _ = on_common_ground([whole, other])
    assert kept[0].spectrum.channels == kept[1].spectrum.channels == settings.montage.channels
    # Power over time of what was interpolated follows what was recorded.
    for channel, least in (("F3", 0.5), ("C4", 0.5), ("P3", 0.9)):
        a, b = (p.spectrum.power[:, p.spectrum.channels.index(channel)].ravel() for p in (whole, other))
        assert np.corrcoef(a, b)[0, 1] > least


def test_what_nobody_asks_for_may_be_broken(copy, rewrite_eeg):
    dataset = copy()

    def change(data, names):
        data[names.index("O2")] = 0
        data[names.index("O1"), 1000] = np.nan

    rewrite_eeg(dataset, change)
    [of_recording] = plan_participant(dataset, "01")
    never = Settings(bad_channels=BadChannelSettings(correct="never"))
    p = prepare(of_recording, for_model("Fp1", "F3", "F1", "C3", "C4"), never)
    assert np.isfinite(p.spectrum.power).all()
    assert p.bad_channels is None
    with pytest.raises(InputDataError, match="expected EEG that varies, found constant channels O2"):
        prepare(of_recording, for_model("Fp1", "F3", "O2"), never)
