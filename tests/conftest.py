"""Small simulated data, and one run of the app on them that many tests look at."""

import contextlib
import fcntl
import hashlib
import io
import os
import pickle
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

# Before numpy and Keras are imported: the same numbers on every machine, and no notices.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# Tests run two at a time: threads of linear algebra that wait for one another would cost ten times what they save.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None, max_examples=60)
# For pytest's --hypothesis-profile=thorough, which is obeyed after this file was read.
hypothesis.settings.register_profile(
    "thorough", deadline=None, derandomize=False, database=None, max_examples=20_000, print_blob=False
)
hypothesis.settings.load_profile("suite")

# Begun last, one of two workers would wait for the longest at the end. The first needs nothing of what workers share; while
# it runs, the other worker makes that for the second, see ``made_once``.
FIRST_FILES = ("test_known_answer.py", "test_browser.py", "test_preprocessed.py", "test_bad_input.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    items.sort(key=lambda item: FIRST_FILES.index(item.path.name) if item.path.name in FIRST_FILES else 99)


SETTINGS = """\
[spectrum]
spacing_hz = 2.0

[bold]
n_components = 6

[training]
max_epochs = 8
patience = 3

[evaluation]
n_shifts = 150
n_surrogates = 19

[output]
cleaned_eeg = true
"""


@dataclass(frozen=True)
class Result:
    """What a run of the app left: exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines of stderr, but for the one that says where the log is."""
        return [line for line in self.err.splitlines() if not line.startswith("log: ")]

    @property
    def last_line(self) -> str:
        return self.lines[-1]


@dataclass(frozen=True)
class OnTerminal:
    """What a process left on a terminal: exit code, all that it sent, and what can be read on the screen at last."""

    code: int
    sent: str
    screen: list[str]


@dataclass(frozen=True)
class Run:
    """A run whose output many tests look at; they don't change it."""

    dataset: Path
    output: Path
    result: Result
    input_before: dict[str, str]
    process: int


def run_app(*arguments: object) -> Result:
    """Run the app in this process."""
    from bids_eeg2fmri.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # argparse's way to end
            code = int(leaving.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def run_on_terminal(
    command: Iterable[object], *, interrupt_at: str | None = None, width: int = 100, **environment: str
) -> OnTerminal:
    """Run a command on a pseudo-terminal; interrupt it, as Ctrl-C does, as soon as it has sent some words."""
    import pty
    import termios

    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (40, width))
    # The size is that of this terminal, and not what the tests' own surroundings say.
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = {**inherited, "TERM": "xterm-256color", **environment}
    words = [str(word) for word in command]
    # Where the tests run in the background Ctrl-C is ignored, and what they start would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(words, stdin=end, stdout=end, stderr=end, env=environment, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    os.close(end)
    sent = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other end was closed
        while chunk := os.read(terminal, 65536):
            sent += chunk
            if interrupt_at is not None and interrupt_at.encode() in sent:
                process.send_signal(signal.SIGINT)
                interrupt_at = None
    os.close(terminal)
    return OnTerminal(process.wait(), sent.decode(), _read_screen(sent.decode()))


def _read_screen(sent: str) -> list[str]:
    """Show what was sent as a terminal does that never scrolls; trailing blanks are left out."""
    lines, row, column = [""], 0, 0
    for control, text in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z]|[\r\n])|([^\x1b\r\n]+)", sent):
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif control == "\r":
            column = 0
        elif control == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif control.endswith("A"):
            row -= int(control[2:-1])
        elif control.endswith("K"):
            lines[row] = ""
        else:
            assert control.endswith(("m", "h", "l")), f"a control that this screen does not know: {control!r}"
    return "\n".join(line.rstrip() for line in lines).rstrip().splitlines()


def hash_of(folder: Path) -> dict[str, str]:
    """Hash every file of a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_eeg_anew(dataset: Path, change) -> None:
    """Write the EEG anew, as float, with changed values."""
    import mne
    import numpy as np
    import pybv

    path = dataset / "sub-01" / "eeg" / "sub-01_task-rest_eeg.vhdr"
    raw = mne.io.read_raw_brainvision(path, verbose="error")
    events = [
        {"onset": round(onset * raw.info["sfreq"]), "type": "Response", "description": 128}
        for onset, code in zip(raw.annotations.onset, raw.annotations.description, strict=True)
        if code.endswith("R128")
    ]
    data = raw.get_data()
    change(data, raw.ch_names)
    folder = path.parent / "new"
    pybv.write_brainvision(
        data=np.nan_to_num(data),
        sfreq=raw.info["sfreq"],
        ch_names=raw.ch_names,
        fname_base=path.stem,
        folder_out=str(folder),
        events=events,
        fmt="binary_float32",
    )
    if np.isnan(data).any():  # pybv does not write them, amplifiers' software does
        stored = np.fromfile(folder / f"{path.stem}.eeg", dtype="<f4").reshape(-1, len(raw.ch_names))
        stored[np.isnan(data).T] = np.nan
        stored.tofile(folder / f"{path.stem}.eeg")
    for file in folder.iterdir():
        shutil.move(file, path.parent / file.name)
    folder.rmdir()


@pytest.fixture(scope="session")
def app() -> Callable[..., Result]:
    return run_app


@pytest.fixture(scope="session")
def on_terminal() -> Callable[..., OnTerminal]:
    return run_on_terminal


@pytest.fixture(scope="session")
def hash_files() -> Callable[[Path], dict[str, str]]:
    return hash_of


@pytest.fixture(scope="session")
def rewrite_eeg() -> Callable[..., None]:
    return write_eeg_anew


@pytest.fixture(scope="session")
def settings_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "quick.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], object]:
    """Let the first worker that asks make something in a folder; the others wait for it and read what it gave."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers of this session

    def made_once(name: str, make: Callable[[Path], object]) -> object:
        folder, written = shared / f"shared_{name}", shared / f"shared_{name}.pickle"
        with (shared / f"shared_{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed, or its process is gone
            if not written.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of somebody who failed
                folder.mkdir()
                written.write_bytes(pickle.dumps(make(folder)))
            return pickle.loads(written.read_bytes())

    return made_once


@pytest.fixture(scope="session")
def dataset(made_once) -> Path:
    """Three participants with EEG and BOLD, a fourth with EEG alone. Not to be changed: see ``copy``."""
    from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

    simulation = Simulation(
        n_participants=3, n_eeg_only=1, tasks=("rest",), duration_s=200.0, n_channels=12, grid=(12, 14, 11), lead_s=14.3
    )

    def make(folder: Path) -> Path:
        simulate_dataset(folder / "dataset", simulation)
        return folder / "dataset"

    return made_once("simulated", make)


@pytest.fixture
def copy(dataset, tmp_path) -> Callable[..., Path]:
    """Give a copy of the dataset that a test may break, with some participants of it."""

    def make(subjects: Iterable[str] = ("01",)) -> Path:
        path = tmp_path / "dataset"
        path.mkdir()
        for item in dataset.iterdir():
            if item.is_file():
                shutil.copy(item, path)
        for subject in subjects:
            shutil.copytree(dataset / f"sub-{subject}", path / f"sub-{subject}")
        return path

    return make


@pytest.fixture(scope="session")
def participant_run(dataset, settings_file, made_once) -> Run:
    def make(folder: Path) -> Run:
        before = hash_of(dataset)
        options = ("--config-file", settings_file, "--n-cpus", 2)
        result = run_app(dataset, folder / "derivatives", "participant", *options)
        return Run(dataset, folder / "derivatives", result, before, os.getpid())

    return made_once("participant", make)


@pytest.fixture(scope="session")
def group_run(participant_run, settings_file, made_once) -> Run:
    """The group level, on a copy of what the participant level wrote."""

    def make(folder: Path) -> Run:
        output = folder / "derivatives"
        shutil.copytree(participant_run.output, output)
        options = ("--config-file", settings_file, "--n-cpus", 2)
        result = run_app(participant_run.dataset, output, "group", *options)
        return Run(participant_run.dataset, output, result, participant_run.input_before, os.getpid())

    return made_once("group", make)
