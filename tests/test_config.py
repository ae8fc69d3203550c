import dataclasses

import pytest

from bids_eeg2fmri.config import Settings, load_settings
from bids_eeg2fmri.errors import MissingFilesError, UsageError


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, overrides=None):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return load_settings(path, overrides)

    return write_and_load


def test_what_a_file_leaves_out_keeps_its_default(load):
    settings = load("[training]\nn_folds = 3\n")
    assert settings.training.n_folds == 3
    assert settings.training.max_epochs == Settings().training.max_epochs
    assert settings.window == Settings().window


def test_the_command_line_outranks_the_file(load):
    assert load("[bold]\nn_components = 3\n", {"bold": {"n_components": 7}}).bold.n_components == 7


def test_settings_can_not_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().training.n_folds = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[training]\nmax_epoch = 3",
            "mine.toml: training.max_epoch: there is no such setting; did you mean max_epochs?",
        ),
        ("[trainig]\nmax_epochs = 3", "mine.toml: trainig: there is no such setting; did you mean training?"),
        (
            "zzz = 3",
            "mine.toml: zzz: there is no such setting; known here: pairs, alignment, gradient, wires, pulse, "
            "bad_channels, montage, spectrum, window, bold, regions, training, evaluation, output",
        ),
        (
            "[training]\nmax_epochs = 0",
            "mine.toml: training.max_epochs: input should be greater than or equal to 1, not 0",
        ),
        ("[training]\nmax_epochs = 'many'", "mine.toml: training.max_epochs: input should be a valid integer"),
        ("[window]\nspan_s = 90", "mine.toml: window.span_s: input should be less than or equal to 60, not 90"),
        ("[spectrum]\nlowest_hz = 50.0", "mine.toml: spectrum.highest_hz: expected"),
        ("[spectrum]\nlowest_hz = 10\nhighest_hz = 10.5", "mine.toml: spectrum.highest_hz: expected"),
        ("training = 3", "mine.toml: training: "),
        ("[training\nmax_epochs = 3", "mine.toml: expected TOML: "),
        ("[training]\nmax_epochs = nan", "mine.toml: training.max_epochs: "),
        ("[bold]\ndrift_period_s = nan", "mine.toml: bold.drift_period_s: "),
        ("[window]\nstep_s = 19.0", "mine.toml: window.step_s: "),
        (
            "[montage]\nchannels = ['Fp1', 'Cz', 'CZ']",
            "mine.toml: montage.channels: expected every channel once, found Cz more often",
        ),
    ],
)
@pytest.mark.parametrize(
    "overrides", [None, {"training": {"architecture": "separable"}}], ids=["file", "file and flag"]
)
def test_a_mistake_is_told_by_its_key_in_one_line(text, message, overrides, load):
    with pytest.raises(UsageError) as caught:
        load(text, overrides)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(MissingFilesError, match=r"none.toml: no readable file with settings; check --config-file"):
        load_settings(tmp_path / "none.toml")


def test_a_file_that_windows_wrote_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf[training]\r\nn_folds = 3\r\n")
    assert load_settings(path).training.n_folds == 3


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(UsageError, match="expected TOML"):
        load_settings(path)


def test_the_hash_names_the_values_and_not_the_file(load):
    default = Settings().hash
    assert load("").hash == default
    assert load("[training]\nn_folds = 5\n").hash == default
    assert load("[training]\nn_folds = 4\n").hash != default
    assert len(default) == 8


def test_infinity_is_no_setting_for_it_is_no_json(load):
    with pytest.raises(UsageError, match=r"bold.drift_period_s: input should be a finite number, not inf"):
        load("[bold]\ndrift_period_s = inf\n")
