"""What is planned of small real files: who goes with whom, where the volumes lie, and what is told when nobody knows."""

import json

import nibabel as nib
import numpy as np
import pybv
import pytest

from bids_eeg2fmri.bids.index import index_dataset
from bids_eeg2fmri.config import AlignmentSettings, PairSettings, Settings
from bids_eeg2fmri.errors import AlignmentError, InputDataError, MissingFilesError, NothingSelectedError
from bids_eeg2fmri.workflow.plan import plan_participant

N, TR_S, FIRST_S = 31, 2.0, 9.36
NAMES = ["Fp1", "Fz", "Cz", "Pz", "Oz"]
ONSETS_S = FIRST_S + TR_S * np.arange(N)


class Dataset:
    """A dataset of participant 01 that a test fills, and its plan."""

    def __init__(self, path):
        self.path = path
        (path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')

    def find(self, name):
        datatype = "func" if "_bold" in name else "eeg"
        return self.path / "sub-01" / datatype / f"sub-01_{name}"

    def eeg(self, name="task-rest", marks=(), *, duration_s=90.0, sfreq=250.0, volts=None):
        """Write BrainVision; ``marks`` are (type, description, onsets in s)."""
        if volts is None:
            volts = 2e-5 * np.random.default_rng(1).standard_normal((len(NAMES), round(duration_s * sfreq)))
        events = [
            {"onset": round(onset_s * sfreq), "type": kind, "description": number}
            for kind, number, onsets_s in marks
            for onset_s in onsets_s
        ]
        folder = self.find("_eeg").parent
        pybv.write_brainvision(
            data=volts, sfreq=sfreq, ch_names=NAMES, fname_base=f"sub-01_{name}_eeg", folder_out=str(folder),
            events=sorted(events, key=lambda event: event["onset"]), unit="µV",
        )  # fmt: skip

    def bold(self, name="task-rest", n_volumes=N, **sidecar):
        path = self.find(f"{name}_bold.nii.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        data = np.random.default_rng(2).integers(400, 600, (3, 4, 2, n_volumes), dtype=np.int16)
        nib.Nifti1Image(data, np.eye(4)).to_filename(path)
        self.find(f"{name}_bold.json").write_text(json.dumps({"RepetitionTime": TR_S} | sidecar))

    def scans(self, **times):
        """Write scans.tsv, e.g. ``task_rest_eeg="10:00:00"``, of one day."""
        rows = ["filename\tacq_time"]
        for key, time in times.items():
            task, label, kind = key.split("_")
            folder, end = {"eeg": ("eeg", "vhdr"), "bold": ("func", "nii.gz")}[kind]
            rows.append(f"{folder}/sub-01_{task}-{label}_{kind}.{end}\t2020-02-02T{time}")
        (self.path / "sub-01/sub-01_scans.tsv").write_text("\n".join(rows) + "\n")

    def plan(self, alignment=None, *, pairs=(), **options):
        settings = Settings(pairs=pairs, alignment=alignment or AlignmentSettings())
        return plan_participant(self.path, "01", settings, **options)

    def plan_one(self, alignment=None, **options):
        [planned] = self.plan(alignment, **options)
        assert planned.recording.paired == (planned.alignment is not None or planned.problem is not None)
        return planned


@pytest.fixture
def dataset(tmp_path):
    return Dataset(tmp_path)


def volumes(onsets_s=ONSETS_S):
    return "Response", 128, onsets_s


def assert_at(planned, onsets_s, *, within_s=0.0025):
    assert planned.problem is None
    np.testing.assert_allclose(planned.alignment.onsets_s, onsets_s, rtol=0, atol=within_s)


def artefact_of(onsets_s, *, duration_s=90.0, sfreq=1000.0):
    """EEG in V with the gradients of seven slices per volume, 4 mV, all volumes alike."""
    rng = np.random.default_rng(3)
    volts = 2e-5 * rng.standard_normal((len(NAMES), round(duration_s * sfreq)))
    n_slice = round(TR_S / 7 * sfreq)
    gradients = rng.standard_normal((len(NAMES), 1)) * np.sin(0.5 * np.arange(n_slice) ** 1.3 / 9)
    gradients[:, round(0.7 * n_slice) :] = 0
    volume = 4e-3 * np.hstack([gradients * (1 + 0.05 * number) for number in range(7)])
    for onset_s in onsets_s:
        start = round(onset_s * sfreq)
        volts[:, start : start + volume.shape[1]] += volume
    return volts


# ----------------------------------------------------------------------------------------- where the volumes are, in order


def test_markers_place_the_volumes(dataset):
    dataset.eeg(marks=[volumes()])
    dataset.bold()
    planned = dataset.plan_one()
    assert_at(planned, ONSETS_S)
    assert (planned.recording.status, planned.recording.reason) == ("paired", "same session, task, acquisition and run")
    assert "volume marker 'Response/R128' in sub-01_task-rest_eeg.vmrk: 31 volumes found" in planned.alignment.evidence
    assert planned.recording.bold_metadata == {"RepetitionTime": TR_S}


def test_markers_outrank_scans_tsv_and_what_the_user_assumes(dataset):
    dataset.eeg(marks=[volumes()])
    dataset.bold()
    dataset.scans(task_rest_eeg="10:00:00", task_rest_bold="10:00:07")
    assert_at(dataset.plan_one(AlignmentSettings(assume_start_together=True)), ONSETS_S)


def test_without_markers_the_artefact_places_the_volumes(dataset):
    dataset.eeg(volts=artefact_of(ONSETS_S), sfreq=1000.0)
    dataset.bold()
    dataset.scans(task_rest_eeg="10:00:00", task_rest_bold="10:00:07")
    planned = dataset.plan_one(AlignmentSettings(assume_start_together=True))
    assert_at(planned, ONSETS_S, within_s=0.004)
    assert planned.alignment.evidence.startswith("gradient artefact in the EEG: 31 volumes found, 31 stored")
    assert any(
        note.startswith("the markers do not help: expected 31 volume markers 2 s apart, found no marker at all")
        for note in planned.alignment.notes
    )


def test_an_artefact_of_another_number_of_volumes_is_told_with_the_markers(dataset):
    dataset.eeg(marks=[("Stimulus", 1, [4.0, 17.3])], volts=artefact_of(ONSETS_S), sfreq=1000.0)
    dataset.bold(n_volumes=22)
    problem = dataset.plan_one().problem
    assert "found 2 x 'Stimulus/S  1'" in problem
    assert (
        "by the artefact, expected 22 volume markers 2 s apart, found 31 x 'gradient artefact of stretch 1'" in problem
    )
    assert "9 more than stored" in problem


def test_without_signals_the_artefact_is_not_looked_at(dataset):
    dataset.eeg(volts=artefact_of(ONSETS_S), sfreq=1000.0)
    dataset.bold()
    assert dataset.plan_one(read_signals=False).problem.startswith(
        f"{dataset.find('task-rest_eeg.vhdr')}: expected 31 volume markers 2 s apart, found no marker at all"
    )


def test_without_markers_and_artefact_scans_tsv_places_the_volumes(dataset):
    dataset.eeg()
    dataset.bold()
    dataset.scans(task_rest_eeg="10:00:00", task_rest_bold="10:00:07.250")
    planned = dataset.plan_one(AlignmentSettings(assume_start_together=True))
    assert_at(planned, 7.25 + TR_S * np.arange(N), within_s=1e-9)
    assert planned.alignment.evidence == "scans.tsv: the BOLD starts 7.250 s after the EEG"
    assert planned.alignment.notes[0].startswith("the onsets are as good as the clocks that scans.tsv was written from")
    assert planned.alignment.notes[1].startswith("the markers do not help: expected 31 volume markers")


def test_the_user_may_assume_that_both_start_together(dataset):
    dataset.eeg()
    dataset.bold()
    planned = dataset.plan_one(AlignmentSettings(assume_start_together=True))
    assert_at(planned, TR_S * np.arange(N), within_s=1e-9)
    assert "as --assume-start-together says" in planned.alignment.evidence
    assert planned.alignment.notes[0] == "nothing in the data confirms that EEG and BOLD start together"


def test_where_nothing_helps_the_refusal_has_the_numbers_and_the_remedy(dataset):
    dataset.eeg(marks=[volumes(ONSETS_S[:11])])
    dataset.bold()
    planned = dataset.plan_one()
    assert isinstance(planned.error, AlignmentError)
    assert planned.recording.status == "paired"
    assert planned.problem.startswith(
        f"{dataset.find('task-rest_eeg.vhdr')}: expected 31 volume markers 2 s apart, found 11 x"
    )
    assert "20 fewer than stored" in planned.problem
    assert "--assume-start-together" in planned.problem


# ------------------------------------------------------------------------------------------------------- what the user says


@pytest.mark.parametrize(("told", "in_sidecar"), [(3, None), (3, 1), (None, 3)])
def test_the_settings_outrank_the_sidecar_on_discarded_volumes(dataset, told, in_sidecar):
    onsets_s = FIRST_S + TR_S * np.arange(N + 3)
    dataset.eeg(marks=[volumes(onsets_s)])
    dataset.bold(**({} if in_sidecar is None else {"NumberOfVolumesDiscardedByScanner": in_sidecar}))
    assert_at(dataset.plan_one(AlignmentSettings(n_dummies=told)), onsets_s[3:])


@pytest.mark.parametrize("code", ["R128", "Response/R128"])
def test_the_settings_name_the_marker_where_two_could_be_it(dataset, code):
    dataset.eeg(marks=[volumes(), ("Stimulus", 5, ONSETS_S + 0.8)])
    dataset.bold()
    assert "name the right code in alignment.code of the settings" in dataset.plan_one().problem
    assert_at(dataset.plan_one(AlignmentSettings(code=code)), ONSETS_S)


def test_a_marker_of_the_settings_that_is_not_in_the_file_is_told_with_those_that_are(dataset):
    dataset.eeg(marks=[volumes()])
    dataset.bold()
    problem = dataset.plan_one(AlignmentSettings(code="R129")).problem
    assert "R129" in problem
    assert "Response/R128" in problem


def test_files_that_the_settings_pair_are_paired(dataset):
    dataset.eeg("task-sleep", [volumes()])
    dataset.bold("task-rest")
    pair = PairSettings(
        "sub-{subject}/eeg/sub-{subject}_task-sleep_eeg.vhdr", "sub-{subject}/func/sub-{subject}_task-rest_bold.nii.gz"
    )
    planned = dataset.plan_one(pairs=(pair,))
    assert_at(planned, ONSETS_S)
    assert planned.recording.reason == "mapped in the settings"


def test_filters_choose_and_say_what_there_is_if_they_leave_nothing(dataset):
    dataset.eeg("task-rest", [volumes()])
    dataset.eeg("task-sleep")
    dataset.bold("task-rest")
    rest = {"eeg": {"task": ["rest"]}, "bold": {"task": ["rest"]}}
    assert_at(dataset.plan_one(filters=rest), ONSETS_S)
    with pytest.raises(NothingSelectedError, match="task nap, found none; there is task: rest, sleep"):
        dataset.plan(filters={"eeg": {"task": ["nap"]}, "bold": {"task": ["nap"]}})


def test_a_dataset_that_was_indexed_is_not_indexed_again(dataset):
    dataset.eeg(marks=[volumes()])
    dataset.bold()
    files = index_dataset(dataset.path, ["01"])["01"]
    eeg_alone = [file for file in files if file.suffix == "eeg"]
    assert_at(dataset.plan_one(files=files), ONSETS_S)
    assert dataset.plan_one(files=eeg_alone).recording.reason == "this participant has no BOLD"
    assert dataset.plan(files=[]) == []


# ----------------------------------------------------------------------------------------------------- one among several


def test_what_can_not_be_read_is_the_problem_of_its_own_recording(dataset):
    for task in ("broken", "cut", "good", "lost"):
        dataset.eeg(f"task-{task}", [volumes()])
        dataset.bold(f"task-{task}")
    link, cut = dataset.find("task-broken_bold.nii.gz"), dataset.find("task-cut_eeg.eeg")
    link.unlink()
    link.symlink_to("../../.git/annex/objects/missing")
    cut.write_bytes(cut.read_bytes()[:-3])
    dataset.find("task-lost_eeg.vmrk").unlink()
    broken, cut, good, lost = dataset.plan()
    assert_at(good, ONSETS_S)
    assert [type(planned.error) for planned in (broken, cut, lost)] == [
        MissingFilesError,
        InputDataError,
        MissingFilesError,
    ]
    assert broken.problem == f"{link}: expected a file, found a broken link; run datalad get"
    assert "task-cut_eeg.eeg: expected a multiple of 20 bytes (5 channels)" in cut.problem
    assert "expected its marker file sub-01_task-lost_eeg.vmrk beside it, found none" in lost.problem


def test_voxels_are_not_read(dataset):
    """A file that breaks off after its header is planned all the same."""
    dataset.eeg(marks=[volumes()])
    dataset.bold()
    path = dataset.find("task-rest_bold.nii.gz")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(EOFError):
        nib.load(path).get_fdata()
    assert_at(dataset.plan_one(), ONSETS_S)


def test_every_file_is_in_the_plan_in_the_order_of_names(dataset):
    dataset.eeg("task-rest_run-2", [volumes()])
    dataset.bold("task-rest_run-2")
    dataset.bold("task-rest_run-1")
    dataset.eeg("task-sleep")
    found = [(planned.recording.name, planned.recording.status) for planned in dataset.plan()]
    assert found == [
        ("sub-01_task-rest_run-1", "BOLD only"),
        ("sub-01_task-rest_run-2", "paired"),
        ("sub-01_task-sleep", "EEG only"),
    ]


def test_the_other_format_of_a_recording_is_told_with_the_reason(dataset):
    dataset.eeg(marks=[volumes()])
    dataset.find("task-rest_eeg.edf").write_bytes(b"")
    dataset.bold()
    assert dataset.plan_one().recording.reason.endswith(
        "; not used, for it is the same recording: sub-01_task-rest_eeg.edf"
    )


# -------------------------------------------------------------------------------------- questions that the markers answer


def test_names_that_differ_are_paired_if_the_markers_fit(dataset):
    dataset.eeg("task-XON", [volumes()])
    dataset.eeg("task-XOFF")
    dataset.bold("task-X")
    paired, off = dataset.plan()
    assert_at(paired, ONSETS_S)
    assert paired.recording.reason == "task differs, the volume markers fit"
    assert (off.recording.name, off.recording.status) == ("sub-01_task-XOFF", "EEG only")
    assert (
        "task differs, and the volume markers do not fit (with sub-01_task-XOFF_eeg.vhdr: expected 31"
        in off.recording.reason
    )


def test_names_that_differ_are_not_paired_by_what_the_user_assumes(dataset):
    dataset.eeg("task-rest")
    dataset.bold("task-rest_run-1")
    eeg, bold = dataset.plan(AlignmentSettings(assume_start_together=True))
    assert {eeg.recording.status, bold.recording.status} == {"not simultaneous"}
    assert "run differs, and the volume markers do not fit" in eeg.recording.reason


def test_markers_that_fit_two_files_are_given_to_none(dataset):
    dataset.eeg("task-rest", [volumes()])
    for run in (1, 2):
        dataset.bold(f"task-rest_run-{run}")
    plan = dataset.plan()
    assert [planned.recording.status for planned in plan] == ["ambiguous"] * 3
    reason = plan[0].recording.reason
    assert (
        "the volume markers fit sub-01_task-rest_run-1_bold.nii.gz, sub-01_task-rest_run-2_bold.nii.gz; map" in reason
    )


def test_two_runs_in_one_eeg_share_it(dataset):
    second_s = 120.48 + TR_S * np.arange(27)
    dataset.eeg("task-rest", [volumes([*ONSETS_S, *second_s])], duration_s=190.0)
    dataset.bold("task-rest_run-1")
    dataset.bold("task-rest_run-2", 27)
    first, second = dataset.plan()
    assert_at(first, ONSETS_S)
    assert_at(second, second_s)
    assert first.recording.eeg == second.recording.eeg == dataset.find("task-rest_eeg.vhdr")
    assert first.recording.file != second.recording.file
    assert first.recording.reason == "run differs, 2 runs in one EEG file, the volume markers fit one after the other"


# ------------------------------------------------------------------------------------------------- events of both sides


STIMULI_S = np.array([3.1, 8.4, 15.2, 19.9, 27.7, 33.3, 41.8, 50.6])


def write_events(path, onsets_s, condition="face"):
    rows = [f"{onset_s:.4f}\t1.0\t{condition}" for onset_s in onsets_s]
    path.write_text("\n".join(["onset\tduration\ttrial_type", *rows]) + "\n")


@pytest.fixture
def with_silent_dummies(dataset):
    """Four dummies that nobody tells of, and stimuli in the EEG's markers."""
    onsets_s = FIRST_S + TR_S * np.arange(N + 4)
    dataset.eeg(marks=[volumes(onsets_s), ("Stimulus", 1, onsets_s[4] + STIMULI_S)])
    dataset.bold()
    return onsets_s


def test_stimuli_of_both_sides_tell_of_silent_dummies(dataset, with_silent_dummies):
    assert "4 more than stored, and nothing tells" in dataset.plan_one().problem
    write_events(dataset.find("task-rest_bold.nii.gz").with_name("sub-01_task-rest_events.tsv"), STIMULI_S)
    planned = dataset.plan_one()
    assert_at(planned, with_silent_dummies[4:])
    assert "4 before the stored ones, as the events of both sides tell" in planned.alignment.evidence


def test_a_copy_of_the_events_of_the_eeg_tells_nothing(dataset, with_silent_dummies):
    """Its onsets count from the start of the EEG, and would fit at the wrong volume."""
    for folder in ("func", "eeg"):
        path = dataset.path / "sub-01" / folder / "sub-01_task-rest_events.tsv"
        write_events(path, with_silent_dummies[4] + STIMULI_S)
    assert "4 more than stored, and nothing tells" in dataset.plan_one().problem


SECOND_S = ONSETS_S + 90.0


def test_directions_scanned_in_an_order_that_nobody_tells_are_not_guessed_about(dataset):
    dataset.eeg(marks=[volumes(np.append(ONSETS_S, SECOND_S))], duration_s=200.0)
    for direction in ("AP", "PA"):
        dataset.bold(f"task-rest_dir-{direction}")
    assert {planned.recording.status for planned in dataset.plan()} == {"ambiguous"}


def test_directions_of_unequal_length_have_one_order_that_fits(dataset):
    dataset.eeg(marks=[volumes(np.append(ONSETS_S, SECOND_S[:20]))], duration_s=200.0)
    dataset.bold("task-rest_dir-AP", 20)
    dataset.bold("task-rest_dir-PA")
    starts = {planned.recording.name[-2:]: planned.alignment.onsets_s[0] for planned in dataset.plan()}
    assert starts == pytest.approx({"AP": SECOND_S[0], "PA": ONSETS_S[0]}, abs=0.003)


def test_runs_mapped_to_one_eeg_are_placed_together(dataset):
    dataset.eeg("task-all", marks=[volumes(np.append(ONSETS_S, SECOND_S))], duration_s=200.0)
    names = ("task-a_run-1", "task-a_run-2")
    for name in names:
        dataset.bold(name)
    pairs = tuple(
        PairSettings(
            "sub-{subject}/eeg/sub-{subject}_task-all_eeg.vhdr", f"sub-{{subject}}/func/sub-{{subject}}_{n}_bold.nii.gz"
        )
        for n in names
    )
    first, second = dataset.plan(pairs=pairs)
    assert_at(first, ONSETS_S)
    assert_at(second, SECOND_S)


@pytest.mark.parametrize("step_s", [0.01, 0.1])
def test_a_rounded_copy_of_the_markers_in_events_tsv_does_no_harm(dataset, step_s):
    dataset.eeg(marks=[volumes()])
    dataset.bold()
    rounded = np.floor(ONSETS_S / step_s) * step_s
    rows = "".join(f"{onset:.2f}\t0\tR128\n" for onset in rounded[2:])
    dataset.find("task-rest_events.tsv").write_text("onset\tduration\ttrial_type\n" + rows)
    assert_at(dataset.plan_one(), ONSETS_S)


def test_events_whose_content_was_not_fetched_stop_nobody(dataset):
    dataset.eeg(marks=[volumes()])
    dataset.bold()
    for name in ("task-rest_events.tsv", "func/task-rest_events.tsv"):
        folder, _, name = name.rpartition("/")
        (dataset.path / "sub-01" / (folder or "eeg") / f"sub-01_{name}").symlink_to("nowhere")
    [planned] = dataset.plan()
    assert planned.recording.paired
    assert planned.problem is None or "datalad get" in planned.problem


def test_what_filters_left_out_is_not_called_missing(dataset):
    dataset.eeg("task-XON")
    dataset.bold("task-X")
    [planned] = dataset.plan(filters={"eeg": {"task": ["XON"]}, "bold": {"task": ["XON"]}})
    assert (planned.recording.status, planned.recording.reason) == ("EEG only", "the filters leave no BOLD")


def test_runs_mapped_to_one_eeg_follow_their_numbers_and_not_their_letters(dataset):
    dataset.eeg("task-all", marks=[volumes(np.append(ONSETS_S, SECOND_S))], duration_s=200.0)
    for run in (2, 10):
        dataset.bold(f"task-a_run-{run}")
    pairs = tuple(
        PairSettings(
            "sub-{subject}/eeg/sub-{subject}_task-all_eeg.vhdr",
            f"sub-{{subject}}/func/sub-{{subject}}_task-a_run-{run}_bold.nii.gz",
        )
        for run in (10, 2)
    )
    starts = {p.recording.name: p.alignment.onsets_s[0] for p in dataset.plan(pairs=pairs)}
    expected = {"sub-01_task-a_run-2": ONSETS_S[0], "sub-01_task-a_run-10": SECOND_S[0]}
    assert starts == pytest.approx(expected, abs=0.003)


def test_more_series_than_orders_are_tried_are_not_placed_by_some_of_them(dataset):
    """Two are of one length, and may be exchanged: the first and the last."""
    lengths = {"a": 10, "c": 14, "d": 18, "e": 22, "f": 26, "b": 10}
    starts = np.cumsum([9.36, *(TR_S * n + 11.3 for n in lengths.values())])
    trains = [start + TR_S * np.arange(n) for start, n in zip(starts, lengths.values(), strict=False)]
    dataset.eeg(marks=[volumes(np.concatenate(trains))], duration_s=starts[-1] + 10)
    for name, n in lengths.items():
        dataset.bold(f"task-rest_dir-{name}", n)
    assert not any("one after the other" in planned.recording.reason for planned in dataset.plan())
