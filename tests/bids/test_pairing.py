"""Names and times propose; what they leave open is a question for the volume markers, never a guess."""

import pytest
from bids.layout import parse_file_entities

from bids_eeg2fmri.bids.index import DataFile, index_dataset
from bids_eeg2fmri.bids.pairing import explain_rest, map_pairs, propose_pairs
from bids_eeg2fmri.errors import MissingFilesError, UsageError

SAME = "same session, task, acquisition and run"
DURATION_S = 300.0


def file(dataset, name):
    """A file of participant 01 by what follows its label, e.g. ``ses-1_task-rest_eeg.vhdr``."""
    session = [part for part in name.split("_") if part.startswith("ses-")]
    suffix = "eeg" if "_eeg." in name else "bold"
    path = dataset.joinpath("sub-01", *session, {"eeg": "eeg", "bold": "func"}[suffix], f"sub-01_{name}")
    return DataFile(path, suffix, parse_file_entities(str(path)))


def short(file):
    return file.name.removeprefix("sub-01_").split(".")[0]


@pytest.fixture
def propose(tmp_path):
    def make(*names, **options):
        files = [file(tmp_path, name) for name in names]
        return propose_pairs(tmp_path, "01", files, **{"duration_of": lambda file: DURATION_S} | options)

    return make


@pytest.fixture
def scans(tmp_path):
    """Write scans.tsv of participant 01: file, relative to the participant, to time."""

    def write(times, *, bom=False):
        path = tmp_path / "sub-01/sub-01_scans.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = ["filename\tacq_time", *(f"{name}\t{time}" for name, time in times.items())]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8-sig" if bom else "utf-8")

    return write


@pytest.fixture
def there(tmp_path):
    """Make empty files."""

    def make(*names):
        for name in names:
            path = file(tmp_path, name).path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def pairs(proposal):
    return [(short(pair.eeg), short(pair.bold)) for pair in proposal.pairs]


def questions(proposal):
    return [([short(f) for f in q.eeg], [short(f) for f in q.bold], q.reason) for q in proposal.questions]


# ------------------------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("eeg", "bold"),
    [
        ("task-rest_eeg.vhdr", "task-rest_bold.nii.gz"),
        ("ses-1_task-rest_run-1_eeg.set", "ses-1_task-rest_run-01_bold.nii"),
        ("task-rest_acq-slow_eeg.edf", "task-rest_acq-slow_bold.nii.gz"),
        ("task-rest_eeg.vhdr", "task-rest_dir-AP_bold.nii.gz"),
    ],
    ids=["no run", "runs with other zeros", "acquisition", "an entity that EEG has not"],
)
def test_what_has_the_same_entities_is_paired(propose, eeg, bold):
    proposal = propose(eeg, bold)
    [pair] = proposal.pairs
    assert (pair.eeg.name, pair.bold.name) == (f"sub-01_{eeg}", f"sub-01_{bold}")
    assert (pair.reason, pair.start_s) == (SAME, None)
    assert (proposal.questions, proposal.rest, proposal.apart) == ([], [], {})


@pytest.mark.parametrize(
    ("eeg", "bold", "difference"),
    [
        (["task-rest"], ["task-rest_run-001"], "run differs"),
        (["task-rest_run-1"], ["task-rest"], "run differs"),
        (["task-XON"], ["task-X"], "task differs"),
        (["task-XON_run-1", "task-XOFF_run-1"], ["task-X_run-1"], "task differs"),
        (["task-rest_acq-1000Hz"], ["task-rest"], "acquisition differs"),
        (["task-rest"], ["task-restMRI_run-2"], "task and run differ"),
        (["task-rest"], ["task-rest_run-1", "task-rest_run-2"], "run differs"),
        (["task-rest"], ["task-rest", "task-rest_dir-AP"], "several files with the same entities"),
    ],
)
def test_what_differs_as_peoples_names_do_is_a_question(propose, eeg, bold, difference):
    eeg, bold = [f"{name}_eeg" for name in eeg], [f"{name}_bold" for name in bold]
    proposal = propose(*[f"{name}.vhdr" for name in eeg], *[f"{name}.nii.gz" for name in bold])
    assert questions(proposal) == [(sorted(eeg), sorted(bold), difference)]
    assert (proposal.pairs, proposal.rest) == ([], [])


@pytest.mark.parametrize(
    ("eeg", "bold"),
    [
        ("ses-EEG_task-rest", "ses-01_task-rest"),
        ("task-rest", "ses-01_task-rest"),
        ("task-sleep", "task-rest"),
        ("task-rest_run-1", "task-rest_run-2"),
        ("task-rest_acq-a", "task-rest_acq-b"),
    ],
)
def test_what_differs_otherwise_is_not_even_a_question(propose, eeg, bold):
    proposal = propose(f"{eeg}_eeg.vhdr", f"{bold}_bold.nii.gz")
    assert [short(f) for f in proposal.rest] == [f"{eeg}_eeg", f"{bold}_bold"]
    assert (proposal.pairs, proposal.questions) == ([], [])


def test_a_pair_takes_nothing_with_it(propose):
    """An exact pair is no partner for a third file, however alike its name is."""
    proposal = propose("task-rest_eeg.vhdr", "task-rest_bold.nii.gz", "task-rest_run-2_bold.nii.gz")
    assert pairs(proposal) == [("task-rest_eeg", "task-rest_bold")]
    assert [short(f) for f in proposal.rest] == ["task-rest_run-2_bold"]


def test_files_that_could_go_with_each_other_are_one_question(propose):
    proposal = propose("task-XON_eeg.vhdr", "task-XOFF_eeg.vhdr", "task-X_run-1_bold.nii", "task-X_run-2_bold.nii")
    assert questions(proposal) == [
        (["task-XOFF_eeg", "task-XON_eeg"], ["task-X_run-1_bold", "task-X_run-2_bold"], "task and run differ")
    ]


def test_questions_of_different_tasks_are_apart(propose):
    proposal = propose("task-a_eeg.vhdr", "task-b_eeg.vhdr", "task-a_run-1_bold.nii", "task-b_run-1_bold.nii")
    assert questions(proposal) == [
        (["task-a_eeg"], ["task-a_run-1_bold"], "run differs"),
        (["task-b_eeg"], ["task-b_run-1_bold"], "run differs"),
    ]


# ---------------------------------------------------------------------------------------------------- formats and filters


def test_of_several_formats_one_is_used_and_the_others_are_named(propose):
    proposal = propose(
        "task-rest_eeg.edf", "task-rest_eeg.vhdr", "task-rest_eeg.set", "task-rest_bold.nii", "task-rest_bold.nii.gz"
    )
    [pair] = proposal.pairs
    assert (pair.eeg.path.suffix, pair.bold.path.suffix) == (".vhdr", ".gz")
    assert {f.name: told for f, told in proposal.copies.items()} == {
        "sub-01_task-rest_eeg.vhdr": [
            "not used, for it is the same recording: sub-01_task-rest_eeg.edf, sub-01_task-rest_eeg.set"
        ],
        "sub-01_task-rest_bold.nii.gz": ["not used, for it is the same recording: sub-01_task-rest_bold.nii"],
    }


@pytest.mark.parametrize(("first", "second"), [("run-1a", "run-1b"), ("desc-raw", "desc-clean")])
def test_files_of_one_format_are_no_copies_whatever_pybids_makes_of_their_names(there, first, second):
    dataset = there("task-rest_eeg.vhdr", f"task-rest_{first}_bold.nii.gz", f"task-rest_{second}_bold.nii.gz")
    files = index_dataset(dataset, ["01"])["01"]
    proposal = propose_pairs(dataset, "01", files, duration_of=lambda file: DURATION_S)
    assert (proposal.pairs, proposal.copies) == ([], {})


@pytest.mark.parametrize(("n", "used"), [(1, 1), (2, 2), (3, 2), (5, 2)])
def test_of_several_echoes_the_second_is_used(propose, n, used):
    proposal = propose("task-rest_eeg.vhdr", *(f"task-rest_echo-{echo}_bold.nii.gz" for echo in range(1, n + 1)))
    [pair] = proposal.pairs
    assert short(pair.bold) == f"task-rest_echo-{used}_bold"
    others = [f"sub-01_task-rest_echo-{echo}_bold.nii.gz" for echo in range(1, n + 1) if echo != used]
    assert list(proposal.copies.values()) == [[f"not used, for it is the same recording: {', '.join(others)}"]][: n - 1]


def test_filters_for_different_labels_map_them_onto_each_other(propose):
    filters = {"eeg": {"acquisition": ["clean"], "run": None}, "bold": {"acquisition": None, "run": ["2"]}}
    proposal = propose("task-rest_acq-clean_eeg.vhdr", "task-rest_run-02_bold.nii.gz", filters=filters)
    [pair] = proposal.pairs
    assert pair.reason == "same session and task"


@pytest.mark.parametrize(
    "filters",
    [
        {"eeg": {"run": ["1"]}, "bold": {}},
        {"eeg": {"run": ["1"]}, "bold": {"run": ["1"]}},
        {"eeg": {"run": ["1"]}, "bold": {"run": ["2", "3"]}},
    ],
    ids=["one side", "the same", "several"],
)
def test_other_filters_map_nothing(propose, filters):
    proposal = propose("task-rest_run-1_eeg.vhdr", "task-rest_run-2_bold.nii.gz", filters=filters)
    assert proposal.pairs == []


# -------------------------------------------------------------------------------------------------------- the user's word


ON_OFF = (
    "sub-{subject}/eeg/sub-{subject}_task-{task}ON_run-{run}_eeg.vhdr",
    "sub-{subject}/func/sub-{subject}_task-{task}_run-{run}_bold.nii.gz",
)


def mapped(dataset, *templates):
    return [(short(a), short(b)) for a, b in map_pairs(dataset, "01", templates)]


def test_a_template_pairs_by_what_stands_in_braces(there):
    dataset = there(
        "task-XON_run-1_eeg.vhdr", "task-XON_run-2_eeg.vhdr", "task-XOFF_run-1_eeg.vhdr", "task-rest_run-1_eeg.vhdr",
        "task-X_run-1_bold.nii.gz", "task-X_run-2_bold.nii.gz", "task-X_run-3_bold.nii.gz",
    )  # fmt: skip
    assert mapped(dataset, ON_OFF) == [
        ("task-XON_run-1_eeg", "task-X_run-1_bold"),
        ("task-XON_run-2_eeg", "task-X_run-2_bold"),
    ]


def test_a_path_without_braces_is_one_pair(there):
    dataset = there("task-sleep_eeg.edf", "task-rest_bold.nii")
    paths = "sub-01/eeg/sub-01_task-sleep_eeg.edf", "sub-01/func/sub-01_task-rest_bold.nii"
    assert mapped(dataset, paths) == [("task-sleep_eeg", "task-rest_bold")]


def test_the_pair_of_somebody_else_is_not_looked_at(there):
    dataset = there("task-sleep_eeg.edf")
    paths = "sub-02/eeg/sub-02_task-sleep_eeg.edf", "sub-02/func/sub-02_task-rest_bold.nii"
    assert mapped(dataset, paths) == []


def test_a_partner_that_is_missing_is_named(there):
    dataset = there("task-XON_run-4_eeg.vhdr")
    with pytest.raises(MissingFilesError) as caught:
        map_pairs(dataset, "01", [ON_OFF])
    assert str(caught.value) == (
        f"{dataset}/sub-01/func/sub-01_task-X_run-4_bold.nii.gz: expected as partner of sub-01_task-XON_run-4_eeg.vhdr by "
        "[[pairs]], found none; correct the settings"
    )


def test_a_partner_whose_content_was_not_fetched_is_there(there):
    dataset = there("task-XON_run-4_eeg.vhdr")
    bold = file(dataset, "task-X_run-4_bold.nii.gz").path
    bold.parent.mkdir(parents=True)
    bold.symlink_to("../../.git/annex/objects/missing")
    assert mapped(dataset, ON_OFF) == [("task-XON_run-4_eeg", "task-X_run-4_bold")]


@pytest.mark.parametrize(
    ("eeg", "bold", "message"),
    [
        ("sub-{subject}_run-{run}_eeg.vhdr", "sub-{subject}_bold.nii.gz", "expected the same names in braces in"),
        ("sub-{subject}_{run}_eeg.vhdr", "sub-{subject}_{Run}_bold.nii.gz", "expected the same names in braces in"),
        ("sub-{subject}_eeg.eeg", "sub-{subject}_bold.nii.gz", r"ends in \.vhdr, \.set, \.edf, \.bdf and bold = one that"),
        ("sub-{subject}_eeg.vhdr", "sub-{subject}_bold.json", r"ends in \.nii\.gz, \.nii, found 'sub-{subject}_eeg\.vhdr'"),
    ],
)  # fmt: skip
def test_a_template_that_makes_no_sense_is_told_although_no_file_matches(tmp_path, eeg, bold, message):
    with pytest.raises(UsageError, match=message):
        map_pairs(tmp_path, "01", [(eeg, bold)])


def test_what_the_user_says_outranks_names_and_times(propose, there, scans):
    dataset = there("task-rest_run-1_eeg.vhdr", "task-rest_run-1_bold.nii.gz", "task-rest_run-2_bold.nii.gz")
    scans({"eeg/sub-01_task-rest_run-1_eeg.vhdr": "2020-02-02T10:00:00",
           "func/sub-01_task-rest_run-1_bold.nii.gz": "2020-02-02T10:00:05"})  # fmt: skip
    wish = "sub-01/eeg/sub-01_task-rest_run-1_eeg.vhdr", "sub-01/func/sub-01_task-rest_run-2_bold.nii.gz"
    names = [path.name.removeprefix("sub-01_") for path in sorted(dataset.rglob("*_task-*.*"))]
    proposal = propose(*names, templates=[wish])
    [pair] = proposal.pairs
    assert (short(pair.bold), pair.reason, pair.start_s) == ("task-rest_run-2_bold", "mapped in the settings", None)
    assert [short(f) for f in proposal.rest] == ["task-rest_run-1_bold"]


# ------------------------------------------------------------------------------------------------------------------ times

EEG, BOLD = "eeg/sub-01_task-sleep_eeg.vhdr", "func/sub-01_task-rest_bold.nii.gz"


@pytest.mark.parametrize("bom", [False, True], ids=["UTF-8", "with a byte order mark"])
def test_what_was_recorded_at_one_time_is_paired_whatever_it_is_called(propose, scans, bom):
    scans({EEG: "2020-02-02T10:00:00.500", BOLD: "2020-02-02T10:00:14"}, bom=bom)
    [pair] = propose("task-sleep_eeg.vhdr", "task-rest_bold.nii.gz").pairs
    assert (pair.reason, pair.start_s) == ("times in scans.tsv overlap", 13.5)


def test_times_that_confirm_the_names_are_told_with_them(propose, scans):
    scans({"eeg/sub-01_task-rest_eeg.vhdr": "2020-02-02T10:00:20Z", BOLD: "2020-02-02T10:00:00Z"})
    [pair] = propose("task-rest_eeg.vhdr", "task-rest_bold.nii.gz").pairs
    assert (pair.reason, pair.start_s) == (f"{SAME}; times in scans.tsv overlap", -20.0)


@pytest.mark.parametrize(("later", "paired"), [("10:02:29", True), ("10:02:31", False)])
def test_half_of_the_shorter_recording_has_to_overlap(propose, scans, later, paired):
    scans({EEG: "2020-02-02T10:00:00", BOLD: f"2020-02-02T{later}"})
    assert bool(propose("task-sleep_eeg.vhdr", "task-rest_bold.nii.gz").pairs) == paired


def test_two_bold_in_one_eeg_are_not_settled_by_times_alone(propose, scans):
    """An EEG of one run is paired with one run; of several, the markers decide."""
    scans({"eeg/sub-01_task-rest_eeg.vhdr": "2020-02-02T10:00:00",
           "func/sub-01_task-rest_run-1_bold.nii.gz": "2020-02-02T10:00:10",
           "func/sub-01_task-rest_run-2_bold.nii.gz": "2020-02-02T10:06:10"})  # fmt: skip
    durations = {"task-rest_eeg": 800.0, "task-rest_run-1_bold": 300.0, "task-rest_run-2_bold": 300.0}
    names = "task-rest_eeg.vhdr", "task-rest_run-1_bold.nii.gz", "task-rest_run-2_bold.nii.gz"
    proposal = propose(*names, duration_of=lambda f: durations[short(f)])
    assert (proposal.pairs, len(proposal.questions)) == ([], 1)


@pytest.mark.parametrize(
    ("date", "apart"),
    [("2020-02-02T12:06:30", "2.0 hours"), ("2020-02-09T10:00:00", "7 days"), ("2020-01-26T10:00:00", "7 days")],
)
def test_the_same_names_on_another_day_are_apart(propose, scans, date, apart):
    scans({"eeg/sub-01_task-rest_eeg.vhdr": "2020-02-02T10:00:00", BOLD: date})
    proposal = propose("task-rest_eeg.vhdr", "task-rest_bold.nii.gz")
    assert (proposal.pairs, proposal.rest) == ([], [])
    assert {short(f) for f in proposal.apart} == {"task-rest_eeg", "task-rest_bold"}
    assert set(proposal.apart.values()) == {f"{SAME}, but recorded {apart} apart by scans.tsv"}


def test_names_that_differ_on_another_day_are_no_question(propose, scans):
    run = BOLD.replace("_bold", "_run-1_bold")
    scans({"eeg/sub-01_task-rest_eeg.vhdr": "2020-02-02T10:00:00", run: "2020-02-09T10:00:00"})
    proposal = propose("task-rest_eeg.vhdr", "task-rest_run-1_bold.nii.gz")
    assert proposal.questions == []
    assert set(proposal.apart.values()) == {"run differs, and recorded 7 days apart by scans.tsv"}


def test_clocks_that_differ_by_less_than_an_hour_do_not_part_the_same_names(propose, scans):
    scans({"eeg/sub-01_task-rest_eeg.vhdr": "2020-02-02T10:00:00", BOLD: "2020-02-02T10:50:00"})
    [pair] = propose("task-rest_eeg.vhdr", "task-rest_bold.nii.gz").pairs
    assert pair.reason == f"{SAME}; times in scans.tsv do not overlap"


def test_names_outrank_clocks_that_differ_by_a_run(propose, scans):
    """The clock of the EEG is 290 s fast: each EEG overlaps with the BOLD of the next run."""
    rows = {
        "eeg/sub-01_task-rest_run-1_eeg.vhdr": "2020-02-02T10:04:50",
        "eeg/sub-01_task-rest_run-2_eeg.vhdr": "2020-02-02T10:09:50",
        "func/sub-01_task-rest_run-1_bold.nii.gz": "2020-02-02T10:00:00",
        "func/sub-01_task-rest_run-2_bold.nii.gz": "2020-02-02T10:05:00",
    }
    scans(rows)
    proposal = propose(*(path.partition("sub-01_")[2] for path in rows))
    assert [(short(p.eeg)[:16], short(p.bold)[:16]) for p in proposal.pairs] == [
        ("task-rest_run-1_", "task-rest_run-1_"),
        ("task-rest_run-2_", "task-rest_run-2_"),
    ]


def test_one_instant_in_two_time_zones_is_one(propose, scans):
    scans({"eeg/sub-01_task-rest_eeg.vhdr": "2020-02-02T12:00:00+02:00", BOLD: "2020-02-02T10:00:14Z"})
    assert propose("task-rest_eeg.vhdr", "task-rest_bold.nii.gz").pairs[0].start_s == 14.0


@pytest.mark.parametrize(
    ("names", "order", "known"),
    [
        (("run-10", "run-2", "run-9"), ["run-2", "run-9", "run-10"], True),
        (("dir-AP", "dir-PA"), ["dir-AP", "dir-PA"], False),
    ],
)
def test_runs_of_one_eeg_stand_in_the_order_of_their_numbers(propose, names, order, known):
    [question] = propose("task-rest_eeg.vhdr", *(f"task-rest_{name}_bold.nii.gz" for name in names)).questions
    assert [short(f) for f in question.bold] == [f"task-rest_{name}_bold" for name in order]
    assert question.in_order == known


@pytest.mark.parametrize(
    ("eeg", "bold"),
    [
        ("2020-02-02", "2020-02-02"),
        ("2020-02-02T00:00:00", "2020-02-09T00:00:00"),
        ("1900-01-01T12:00:00", "1900-01-01T12:00:00"),
        ("n/a", "2020-02-02T10:00:00"),
        ("yesterday", "2020-02-02T10:00:00"),
    ],
    ids=["a date", "midnight", "one time for all", "n/a", "words"],
)
def test_times_that_can_not_be_true_tell_nothing(propose, scans, eeg, bold):
    scans({EEG: eeg, BOLD: bold})
    assert propose("task-sleep_eeg.vhdr", "task-rest_bold.nii.gz").pairs == []
    scans({"eeg/sub-01_task-rest_eeg.vhdr": eeg, BOLD: bold})
    [pair] = propose("task-rest_eeg.vhdr", "task-rest_bold.nii.gz").pairs
    assert (pair.reason, pair.start_s) == (SAME, None)


def test_durations_are_asked_for_only_where_there_are_times(propose):
    def unknown(file):
        raise AssertionError(file)

    assert propose("task-rest_eeg.vhdr", "task-rest_bold.nii.gz", duration_of=unknown).pairs


# --------------------------------------------------------------------------------------------------------------- the rest


@pytest.fixture
def explain(tmp_path):
    def make(*names, n_pairs=0):
        answers = explain_rest(tmp_path, "01", [file(tmp_path, name) for name in names], n_pairs=n_pairs)
        return {short(f): answer for f, answer in answers.items()}

    return make


def test_a_participant_with_one_modality_is_told_so(explain):
    assert explain("task-rest_eeg.bdf") == {"task-rest_eeg": ("EEG only", "this participant has no BOLD")}
    assert explain("task-rest_bold.nii") == {"task-rest_bold": ("BOLD only", "this participant has no EEG")}


def test_eeg_of_an_unknown_format_is_mentioned(explain, tmp_path):
    (tmp_path / "sub-01/eeg").mkdir(parents=True)
    for name in ("._sub-01_task-rest_eeg.mat", "sub-01_task-rest_eeg.mat"):
        (tmp_path / "sub-01/eeg" / name).write_bytes(b"")
    status, reason = explain("task-rest_bold.nii")["task-rest_bold"]
    assert status == "BOLD only"
    assert reason == (
        "this participant has no EEG in a format of BIDS, but sub-01_task-rest_eeg.mat; convert it to BrainVision or EDF with "
        "a marker for each volume"
    )


def test_a_file_beside_pairs_has_no_partner_of_its_task_and_run(explain):
    assert explain("task-rest_run-3_bold.nii", n_pairs=2) == {
        "task-rest_run-3_bold": ("BOLD only", "no EEG of its task and run")
    }
    assert explain("task-x_eeg.set", "task-y_bold.nii", n_pairs=1) == {
        "task-x_eeg": ("EEG only", "no BOLD of its task and run"),
        "task-y_bold": ("BOLD only", "no EEG of its task and run"),
    }


@pytest.mark.parametrize(
    ("eeg", "bold", "differing"),
    [
        ("ses-EEG_task-rest", "ses-01_task-sleep", "session"),
        ("task-sleep", "task-rest", "task"),
        ("task-sleep_acq-a", "task-rest_acq-b", "task"),
    ],
)
def test_without_any_pair_both_modalities_are_not_simultaneous(explain, eeg, bold, differing):
    assert explain(f"{eeg}_eeg.vhdr", f"{bold}_bold.nii") == {
        f"{eeg}_eeg": ("not simultaneous", f"there is BOLD, but of another {differing}"),
        f"{bold}_bold": ("not simultaneous", f"there is EEG, but of another {differing}"),
    }


def test_files_of_one_task_and_different_runs_are_ambiguous_with_the_remedy(explain):
    answers = explain("task-rest_run-1_eeg.vhdr", "task-rest_run-2_bold.nii", n_pairs=1)
    assert {status for status, _ in answers.values()} == {"ambiguous"}
    assert answers["task-rest_run-1_eeg"][1] == (
        "sub-01_task-rest_run-2_bold.nii without a partner too, of the same session and task; if they were recorded together, "
        "map them in [[pairs]] of the settings or with --bids-filter-file"
    )
