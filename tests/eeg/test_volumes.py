"""Volumes that no BOLD goes with are found by what they left, and by nothing else that is regular."""

import numpy as np
import pytest

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.volumes import find_marked_volumes, repeats_itself

SFREQ, N, TR_S, ONSET_S = 200.0, 24_000, 2.0 * (1 + 15e-6), 9.1234
TIMES = np.arange(N) / SFREQ
NAMES = tuple(f"E{number}" for number in range(11))
VOLUMES_S = ONSET_S + TR_S * np.arange(50)


def eeg():
    rng = np.random.default_rng(0)
    hz = np.fft.rfftfreq(N, 1 / SFREQ)
    gain = 1 / np.sqrt(np.maximum(hz, 0.5)) + 3 * np.exp(-0.5 * (hz - 10) ** 2)
    data = np.fft.irfft(np.fft.rfft(rng.standard_normal((len(NAMES), N))) * gain)
    return 15e-6 * data / data.std()


def with_course(course, size_v):
    """EEG to which every channel adds its share of a course."""
    shares = np.linspace(-1, 1, len(NAMES))[:, None]
    return Signals((eeg() + size_v * shares * course).astype(np.float32), SFREQ, NAMES)


def gradients():
    """Of 30 slices, no two alike, during the volumes."""
    phase = (TIMES - ONSET_S) / TR_S
    slices = sum(np.sin(2 * np.pi * (30 * k * phase + k**2)) for k in (1, 2, 3, 4)) * (
        1 + 0.3 * np.sin(2 * np.pi * phase)
    )
    return slices * ((phase >= 0) & (phase < 50))


SCANNED = with_course(gradients(), 200e-6)
OTHERS = {
    "clean": with_course(0 * TIMES, 0.0),
    "hum of 50 Hz": with_course(np.sin(2 * np.pi * 50.02 * TIMES), 100e-6),
    "hum of 60 Hz": with_course(np.sin(2 * np.pi * 59.97 * TIMES), 100e-6),
    "flashes": with_course(np.exp(-0.5 * (((TIMES - ONSET_S) % TR_S - 0.2) / 0.05) ** 2), 10e-6),
    "pulse": with_course(np.exp(-0.5 * (((TIMES + 0.1 * np.sin(TIMES / 7)) % 0.9 - 0.2) / 0.05) ** 2), 100e-6),
}  # fmt: skip


def test_markers_that_an_artefact_goes_along_with_are_volumes():
    rng = np.random.default_rng(1)
    marked = np.delete(VOLUMES_S, [7, 21, 22])
    responses, stimuli = np.sort(rng.uniform(0, 120, 90)), 3.3 + 1.25 * np.arange(80)
    found = find_marked_volumes(SCANNED, [responses, stimuli, np.round(marked, 3)], resolution_s=0.001)
    np.testing.assert_allclose(found, VOLUMES_S, atol=1e-3)
    assert (found[-1] - found[0]) / 49 == pytest.approx(TR_S, abs=2e-5)
    assert repeats_itself(SCANNED)


def test_markers_beside_the_artefact_tell_nothing():
    assert find_marked_volumes(SCANNED, [3.3 + 1.25 * np.arange(80), VOLUMES_S[:9]], resolution_s=0.001) is None
    assert find_marked_volumes(SCANNED, [], resolution_s=0.001) is None


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_is_regular_is_no_volume(name):
    assert find_marked_volumes(OTHERS[name], [VOLUMES_S], resolution_s=0.001) is None
    assert not repeats_itself(OTHERS[name])


def test_channels_that_hold_nothing_do_not_repeat_themselves():
    nothing = Signals(np.zeros((3, N), np.float32), SFREQ, NAMES[:3])
    assert not repeats_itself(nothing)
    assert find_marked_volumes(nothing, [VOLUMES_S], resolution_s=0.001) is None
