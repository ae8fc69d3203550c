import numpy as np
import pytest
from scipy.signal import firwin, resample_poly

from bids_eeg2fmri.eeg import downsampling
from bids_eeg2fmri.eeg.downsampling import downsample
from bids_eeg2fmri.errors import InputDataError


@pytest.mark.parametrize(("sfreq", "expected"), [(250.0, 250.0), (1000.0, 200.0), (1024.0, 204.8), (5000.0, 200.0)])
def test_the_rate_is_the_lowest_that_divides_the_files_own(sfreq, expected, raw_of):
    raw = raw_of(np.random.default_rng(0).standard_normal((3, 4001)), sfreq)
    signals = downsample(raw, ["c", "a"])
    assert signals.sfreq == pytest.approx(expected)
    assert signals.data.shape == (2, int(np.ceil(4001 / round(sfreq / expected))))
    assert signals.channels == ("c", "a")


def test_channels_come_in_the_order_that_is_wanted(raw_of):
    raw = raw_of(np.outer([1.0, 2.0, 3.0], np.arange(500.0)), 250.0)
    np.testing.assert_allclose(downsample(raw, ["c", "a"]).data[:, 100], [300, 100])


@pytest.mark.parametrize("factor", [5, 7, 25])
def test_it_is_the_polyphase_resampling_of_scipy(factor, raw_of):
    data = np.random.default_rng(1).standard_normal((3, 211 * factor + 2))
    signals = downsample(raw_of(data, 200.0 * factor), ["a", "b", "c"])
    expected = resample_poly(
        data, 1, factor, axis=1, window=firwin(32 * factor + 1, 1 / factor, window=("kaiser", 9.0))
    )
    # At the edges scipy takes zeros for what is beyond, we the last sample.
    inner = slice(18, -18)
    np.testing.assert_allclose(signals.data[:, inner], expected[:, inner], atol=2e-6)


@pytest.mark.parametrize("sfreq", [1000.0, 5000.0])
def test_nothing_moves_in_time(sfreq, raw_of):
    data = np.zeros((3, round(7 * sfreq)))
    data[1, round(3.2 * sfreq)] = 1
    data[0] = data[2] = np.random.default_rng(2).standard_normal(data.shape[1])
    impulse = downsample(raw_of(data, sfreq), ["a", "b", "c"]).data[1]
    at = round(3.2 * 200)
    assert np.argmax(impulse) == at
    np.testing.assert_allclose(impulse[at - 9 : at], impulse[at + 9 : at : -1], atol=1e-7)


@pytest.mark.parametrize("chunk_s", [0.003, 0.5, 3.3])
def test_the_length_of_the_stretches_changes_nothing(chunk_s, monkeypatch, raw_of):
    raw = raw_of(np.random.default_rng(3).standard_normal((3, 8111)), 1000.0)
    at_once = downsample(raw, ["a", "b", "c"]).data
    monkeypatch.setattr(downsampling, "CHUNK_S", chunk_s)
    np.testing.assert_array_equal(downsample(raw, ["a", "b", "c"]).data, at_once)


def test_what_is_too_fast_for_the_new_rate_does_not_fold_back(raw_of):
    times = np.arange(20_000) / 1000
    raw = raw_of(np.stack([np.sin(2 * np.pi * f * times) for f in (10, 190, 390)]), 1000.0)
    power = downsample(raw, ["a", "b", "c"]).data[:, 100:-100].var(1)
    assert power[0] == pytest.approx(0.5, rel=0.01)
    assert power[1:].max() < 1e-9


def test_an_amplifiers_offset_does_not_ring_at_the_edges(raw_of):
    data = 0.3 + 1e-6 * np.random.default_rng(4).standard_normal((3, 5000))
    signals = downsample(raw_of(data, 1000.0), ["a", "b", "c"])
    assert np.abs(signals.data - 0.3).max() < 1e-5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "expected numbers in every EEG channel, found NaN in b; mark them as bad"),
        (np.inf, "expected numbers in every EEG channel, found NaN in b; mark them as bad"),
        (0.0, "expected EEG that varies, found constant channels b; mark them as bad"),
    ],
)
def test_a_useless_channel_is_named(value, message, raw_of):
    data = np.random.default_rng(5).standard_normal((3, 6000))
    data[1, 4321 if not np.isfinite(value) else slice(None)] = value
    with pytest.raises(InputDataError) as caught:
        downsample(raw_of(data, 250.0), ["a", "b", "c"])
    assert message in str(caught.value)


def test_a_useless_channel_that_is_not_wanted_does_not_matter(raw_of):
    data = np.random.default_rng(6).standard_normal((3, 600))
    data[1] = np.nan
    assert downsample(raw_of(data, 250.0), ["a", "c"]).data.shape == (2, 600)


@pytest.mark.parametrize("worth", [0.0, np.nan])
def test_a_channel_that_is_optional_may_hold_nothing_of_use(worth, raw_of):
    data = np.random.default_rng(4).standard_normal((3, 900))
    data[1] = worth
    signals = downsample(raw_of(data, 250.0), ["a", "c", "b"], optional=("b",))
    assert signals.of(["a", "c"]).channels == ("a", "c")
    np.testing.assert_array_equal(signals.of(["c", "a"]).data, signals.data[[1, 0]])
    with pytest.raises(InputDataError, match=r"found .* b;"):
        downsample(raw_of(data, 250.0), ["a", "c", "b"], optional=("a",))
