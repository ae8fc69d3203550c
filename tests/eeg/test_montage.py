"""EEG of one montage brought to another: like what would have been recorded there, or not done."""

from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.electrodes import place_channels, place_of
from bids_eeg2fmri.eeg.montage import COVERED_MM, Wanted, bring_to, fit_montage
from bids_eeg2fmri.eeg.spectrum import compute_spectrum
from bids_eeg2fmri.testing.simulate import CAP, CAP_EXTENSION

SFREQ, N = 200.0, 4000
BETWEEN = CAP_EXTENSION[:30]


@pytest.fixture(scope="module")
def scalp():
    """What any electrode would record: sources below the scalp, and a little noise of each amplifier."""
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((80, 3))
    sources *= 0.07 / np.linalg.norm(sources, axis=1, keepdims=True)
    hz = np.fft.rfftfreq(N, 1 / SFREQ)
    courses = np.fft.irfft(np.fft.rfft(rng.standard_normal((80, N))) / np.sqrt(np.maximum(hz, 0.5)), N)

    def record(names, electrodes=None):
        xyz = np.array([place_of(name) for name in electrodes or names])
        distance = np.linalg.norm(xyz[:, None] - (0, 0, 0.04) - sources, axis=-1)
        data = 15e-6 * np.exp(-0.5 * (distance / 0.05) ** 2) @ courses
        noise = 0.5e-6 * np.random.default_rng(1).standard_normal(data.shape)
        return Signals((data + noise).astype(np.float32), SFREQ, tuple(names), 3.0)

    return record


def places_of(names):
    return place_channels(names, [None] * len(names)).positions_m


def bring(signals, wanted, *, positions_m=None, bad=()):
    positions_m = positions_m or places_of(signals.channels)
    wanted = wanted if isinstance(wanted, Wanted) else Wanted.of(wanted)
    fit = fit_montage(wanted, signals.channels, positions_m, bad)
    assert fit.is_possible
    return bring_to(signals, fit, wanted, positions_m, bad), fit


def correlations(one, other):
    """Of each channel, average reference."""
    return [
        np.corrcoef(a, b)[0, 1]
        for a, b in zip(one.data - one.data.mean(0), other.data - other.data.mean(0), strict=True)
    ]


@pytest.mark.parametrize(
    ("here", "wanted", "least"),
    [(CAP + BETWEEN, CAP, 1.0), (CAP, CAP + BETWEEN, 0.85), (CAP, BETWEEN, 0.85), (BETWEEN, CAP, 0.8)],
    ids=["61 to 31", "31 to 61", "31 to 30 others", "30 to 31 others"],
)
def test_what_is_interpolated_is_like_what_would_have_been_recorded(here, wanted, least, scalp):
    brought, fit = bring(scalp(here), wanted)
    assert (brought.channels, brought.sfreq, brought.start_s) == (tuple(wanted), SFREQ, 3.0)
    assert set(fit.distances_mm) == set(wanted) - set(here)
    truth = scalp(wanted)
    r = np.array(correlations(brought, truth))
    near = np.array([fit.distances_mm.get(name, 0) <= COVERED_MM for name in wanted])
    assert np.median(r) > least - 1e-6
    assert r[near].min() > 0.7
    size = np.std(brought.data, axis=1) / np.std(truth.data, axis=1)
    assert size[near].min() > 0.6
    assert size[near].max() < 1.6


def test_what_is_here_stays_as_it_is_in_the_order_that_is_wanted(scalp):
    signals = scalp(CAP)
    brought, _ = bring(signals, ["Cz", "F1", "Fp1"])
    np.testing.assert_array_equal(brought.data[[0, 2]], signals.of(["Cz", "Fp1"]).data)


def test_the_reference_of_the_recording_does_not_matter(scalp):
    signals = scalp(CAP)
    spectra = []
    for reference in (0.0, signals.data[17], signals.data[[28, 29]].mean(0), signals.data.mean(0)):
        brought, _ = bring(replace(signals, data=signals.data - reference), CAP + BETWEEN)
        spectra.append(
            compute_spectrum(brought, np.arange(5.0, 20.0), width_s=2.0, freqs_hz=np.arange(4.0, 30.0)).power
        )
    for other in spectra[1:]:
        np.testing.assert_allclose(other, spectra[0], atol=0.05)  # dB


def test_old_names_case_and_decoration_are_the_same_electrode(scalp):
    electrodes = ["Fp1", "T7", "P8", "Oz", *CAP[4:10]]
    signals = scalp(["EEG FP1-Ref", "T3", "t6", "OZ", *CAP[4:10]], electrodes)
    brought, fit = bring(signals, electrodes)
    assert fit.distances_mm == {}
    np.testing.assert_array_equal(brought.data, signals.data)
    back, _ = bring(replace(signals, channels=tuple(electrodes)), signals.channels)
    np.testing.assert_array_equal(back.data, signals.data)


def test_channels_between_electrodes_are_used_by_their_name_alone(scalp):
    signals = scalp([*CAP, "F3-C3"], [*CAP, "Cz"])
    huge = replace(signals, data=signals.data.copy())
    huge.data[-1] *= 1000
    brought, _ = bring(huge, [*CAP[:5], "F1", "F3-C3"])
    np.testing.assert_array_equal(brought.data[-1], huge.data[-1])
    without, _ = bring(signals.of(CAP), [*CAP[:5], "F1"])
    np.testing.assert_array_equal(brought.data[5], without.data[5])
    assert fit_montage(Wanted.of(["F3-C3", "P3-O1"]), huge.channels, places_of(huge.channels)).unplaced == ("P3-O1",)
    # Nor is F3 taken for the derivation, or the other way round.
    assert "F3" in fit_montage(Wanted.of(["F3"]), ["F3-C3", *CAP[4:14]], places_of(["F3-C3", *CAP[4:14]])).distances_mm


def test_nothing_is_interpolated_from_bad_channels(scalp):
    signals = scalp(CAP)
    broken = replace(signals, data=signals.data.copy())
    broken.data[CAP.index("F3")] = 1.0
    brought, fit = bring(broken, ["F1", "F3", "C3"], bad=["F3"])
    expected, _ = bring(signals.of([name for name in CAP if name != "F3"]), ["F1", "F3", "C3"])
    np.testing.assert_allclose(brought.data, expected.data, rtol=1e-4, atol=1e-9)
    assert set(fit.distances_mm) == {"F1", "F3"}


def test_a_name_of_no_system_is_the_same_channel_where_positions_agree(scalp):
    names = [f"E{number}" for number in range(1, len(CAP) + 1)]
    positions = places_of(CAP)
    signals = scalp(names, CAP)
    brought, fit = bring(signals, Wanted.of(names[:12], positions[:12]), positions_m=positions)
    assert fit.distances_mm == {}
    # The same numbers on another cap are other electrodes.
    turned = positions[5:17]
    brought, fit = bring(signals, Wanted.of(names[:12], turned), positions_m=positions)
    assert len(fit.distances_mm) == 12
    assert max(fit.distances_mm.values()) < 0.1
    assert min(correlations(brought, scalp(CAP[5:17]))) > 0.99
    # Where nobody knows positions, the name is all there is.
    assert fit_montage(Wanted.of(names[:12]), names, [None] * len(names)).distances_mm == {}


def test_a_third_of_the_letter_c_is_not_the_c3_of_a_model():
    biosemi = [f"{letter}{number}" for letter in "ABCD" for number in range(1, 33)]
    fit = fit_montage(Wanted.of(CAP), biosemi, [None] * len(biosemi))
    assert fit.here == {}
    assert not fit.is_possible


def test_how_much_of_the_head_is_covered():
    def fit(here):
        return fit_montage(Wanted.of(CAP), here, places_of(here))

    assert fit(CAP).covered == fit(CAP + BETWEEN).covered == 1
    assert fit(BETWEEN).covered > 0.9
    back = [name for name in CAP + BETWEEN if name[0] in "PO"]
    assert fit(back).covered < 0.5
    assert set(fit(back).far[:2]) == {"Fp1", "Fp2"}
    assert fit(back).is_possible
    assert not fit(back[:7]).is_possible
