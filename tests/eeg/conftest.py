import mne
import pytest


@pytest.fixture(scope="session")
def raw_of():
    def make(data, sfreq):
        info = mne.create_info(list("abcdefg"[: len(data)]), sfreq, "eeg")
        return mne.io.RawArray(data, info, verbose="error")

    return make
