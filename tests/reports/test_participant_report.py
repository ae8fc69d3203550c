import copy
import itertools
import re
from typing import get_args

import pytest

from bids_eeg2fmri.bids.recordings import Status
from bids_eeg2fmri.reports.participant import participant_report

SCRIPT = "<script>alert(1)</script>"


def test_the_verdict_comes_first_after_the_notice_that_nothing_was_measured(page):
    parts = ("SYNTHETIC, not a measurement", "No better than chance", "The model beside the baselines")
    order = [page.text.index(part) for part in parts]
    assert order == sorted(order)


@pytest.mark.parametrize(("better", "sign"), [(True, "✓"), (False, "✗"), (None, "?")])
def test_the_verdict_does_not_rest_on_color(derivatives, summary, look, better, sign):
    summary["verdict"]["better_than_chance"] = better
    summary["recordings"] = []
    assert f"Verdict {sign} No better than chance" in look(participant_report(derivatives, summary)).text


def test_better_than_chance_alone_is_no_good_verdict(derivatives, summary, look):
    summary["verdict"] |= {"better_than_chance": True, "better_than_baselines": False}
    assert "Verdict ✗" in look(participant_report(derivatives, summary)).text


def test_what_the_dataset_says_stays_text(derivatives, summary, look):
    summary["covariates"][SCRIPT] = SCRIPT
    summary["provenance"]["command"] = SCRIPT
    summary["recordings"][0] |= {"name": SCRIPT, "eeg": SCRIPT, "pairing": SCRIPT, "remark": SCRIPT}
    summary["recordings"][0] |= {"decision": SCRIPT, "event_conflicts": [SCRIPT]}
    summary["recordings"][0]["alignment"] |= {"evidence": SCRIPT, "notes": [SCRIPT], "code": SCRIPT}
    summary["recordings"][0]["spectrum"]["channels"][2] = '"><script>'
    page = look(participant_report(derivatives, summary))
    assert not page.all("script")
    assert page.text.count(SCRIPT) >= 11


def test_every_figure_is_told_in_words(page):
    images = page.all("img")
    # Chance, alignment, spectra, heads, mask, map of r, courses, training.
    assert len(images) == 8
    assert all(len(image["alt"].split()) > 8 for image in images)


def test_nothing_is_fetched(page):
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert not re.search(r"(https?:)?//\w", re.sub(r"base64,[\w+/=]+", "", page.html))
    assert "default-src 'none'" in page.html


def test_links_lead_to_files_and_places_that_exist(derivatives, page):
    identifiers = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    targets = [link["href"] for link in page.all("a")]
    assert len(targets) > 10
    for target in targets:
        assert target[1:] in identifiers if target.startswith("#") else (derivatives.root / target).is_file()


def test_headings_leave_no_level_out(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_rows_that_ignore_the_eeg_say_so(page):
    assert "mean image baseline, ignores the EEG" in page.text
    assert "lagged band-power ridge baseline, uses the EEG" in page.text


def test_the_typical_region_is_the_median_one(page):
    courses = next(image["alt"] for image in page.all("img") if image["alt"].startswith("Measured and"))
    assert re.findall(r"(Best|Typical) region, (\w+)", courses) == [("Best", "L15P15S15"), ("Typical", "L45P75I15")]


def test_a_failed_recording_is_told_before_the_numbers(derivatives, summary, look):
    failed = {"name": "sub-07_task-nap", "eeg": "nap.vhdr", "bold": None, "pairing": "no BOLD", "files": {}}
    failed |= {"status": "failed", "remark": "nap.eeg: expected 900 samples, found 7"}
    text = look(participant_report(derivatives, summary | {"recordings": [failed]})).text
    assert "1 recording failed" in text
    assert text.index("expected 900 samples, found 7") < text.index("The model beside the baselines")


def test_eeg_by_itself_makes_a_report_without_scores(derivatives, summary, look):
    entry = {"name": "sub-07_task-nap", "eeg": "nap.vhdr", "bold": None, "pairing": "this participant has no BOLD"}
    entry |= {"status": "EEG only", "remark": "apply a model with --model", "files": {}}
    entry |= {"spectrum": summary["recordings"][0]["spectrum"]}
    page = look(participant_report(derivatives, {"participant_id": "sub-07", "recordings": [entry]}))
    assert "Nothing was synthesized" in page.text
    assert "baselines" not in page.text
    assert len(page.all("img")) == 2


def test_a_series_that_could_not_be_scored_says_so(derivatives, summary, look):
    for key in ("scores", "chance", "regions", "training"):
        del summary[key]
    headline = "Not scored: there is no measured BOLD to compare with"
    summary["verdict"] = {"headline": headline, "better_than_chance": None, "sentences": []}
    summary["recordings"][0] |= {"bold": None, "alignment": None}
    text = look(participant_report(derivatives, summary)).text
    assert headline in text
    assert "saved model models/sub-07" in text


def test_a_file_that_was_moved_away_is_named_and_costs_its_figure_only(derivatives, summary, look):
    summary["recordings"][0]["files"]["r_map"] = path = "sub-07/func/moved_statmap.nii.gz"
    page = look(participant_report(derivatives, summary))
    assert f"No longer there {path}" in page.text
    assert len(page.all("img")) == 7


def test_without_positions_there_are_spectra_but_no_head_maps(derivatives, summary, look):
    summary["recordings"][0]["spectrum"]["positions_m"] = [None] * 6
    page = look(participant_report(derivatives, summary))
    assert len(page.all("img")) == 7
    assert "Head maps" not in page.html


def test_figures_leave_no_trace_in_pyplot(derivatives, summary):
    import matplotlib
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    participant_report(derivatives, summary)
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("decision", get_args(Status))
def test_every_decision_is_told_with_its_meaning_and_reason(derivatives, summary, look, decision):
    summary["recordings"][0] |= {"decision": decision, "pairing": "because of this"}
    text = look(participant_report(derivatives, summary)).text
    assert re.search(rf"Decision {decision} : [a-z]\w+ .* Reason because of this EEG", text)


def test_a_reason_is_not_told_twice(derivatives, summary, look):
    summary["recordings"][0] |= {"decision": "ambiguous", "pairing": "both fit", "remark": "ambiguous: both fit"}
    text = look(participant_report(derivatives, summary)).text
    assert text.count("both fit") == 2  # in the table and in the recording's own part


def test_notes_and_conflicts_are_seen_where_they_belong_and_in_the_overview(derivatives, summary, look):
    summary["recordings"][0]["alignment"]["notes"] = ["7 volumes have no marker", "the EEG ends early"]
    summary["recordings"][0]["event_conflicts"] = ["flash: onsets are +0.90 s off"]
    text = look(participant_report(derivatives, summary)).text
    assert "✓ synthesized ⚠ 3 remarks paired" in text
    parts = (
        "Alignment of volumes and EEG",
        "7 volumes have no marker",
        "the EEG ends early",
        "Events",
        "flash: onsets",
    )
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_where_all_is_well_there_are_no_remarks(page):
    assert "To be kept in mind" not in page.text
    assert "What does not agree" not in page.text
    assert not re.search(r"⚠ \d remark", page.text)


def test_events_that_could_not_be_placed_are_missed(derivatives, summary, look):
    del summary["recordings"][0]["files"]["events"]
    summary["recordings"][0]["event_conflicts"] = ["nap_events.tsv: expected a column onset"]
    text = look(participant_report(derivatives, summary)).text
    assert "No events were written. ⚠ What does not agree nap_events.tsv: expected a column onset" in text


def test_alignment_and_events_can_be_opened(page):
    targets = {link["href"] for link in page.all("a")}
    for name in ("desc-alignment_timeseries.tsv", "desc-synth_events.tsv"):
        assert f"sub-07/func/sub-07_task-rest_{name}" in targets


def test_a_series_that_starts_before_the_eeg_says_by_how_much(derivatives, summary, look):
    summary["recordings"][0]["first_volume_s"] = -32.788
    assert "the first 32.788 s before the EEG starts" in look(participant_report(derivatives, summary)).text


def test_a_recording_that_could_not_be_aligned_keeps_the_numbers(derivatives, summary, look):
    message = "nap_eeg.vhdr: expected 100 volume markers 2 s apart, found 28 x 'R128' from 7.212 s on"
    failed = {
        "name": "sub-07_task-nap",
        "eeg": "nap.vhdr",
        "bold": "nap.nii",
        "decision": "paired",
        "pairing": "same run",
    }
    summary["recordings"].append(failed | {"status": "failed", "remark": message, "files": {}})
    page = look(participant_report(derivatives, summary))
    assert page.text.count(message) == 2
    assert "#recording-2" in {link["href"] for link in page.all("a")}


def test_a_summary_of_an_older_run_makes_a_report(derivatives, summary, look):
    entry = summary["recordings"][0]
    for key in ("decision", "pairing", "event_conflicts", "tr_s", "first_volume_s", "n_volumes"):
        del entry[key]
    entry["alignment"] = {"evidence": "marker R128: 41 found", "residual_ms": [0.1] * 41}
    page = look(participant_report(derivatives, summary))
    assert "Decision paired : " in page.text
    assert "Marker R128: 41 found." in page.text
    assert len(page.all("img")) == 7


def test_two_recordings_of_one_name_keep_their_own_pictures(derivatives, summary, look):
    twin = copy.deepcopy(summary["recordings"][0])
    for kind in ("r_map", "regions"):
        del twin["files"][kind]
    summary["recordings"].append(twin)
    page = look(participant_report(derivatives, summary))
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert sum(image["alt"].startswith("Slices through the brain, colored by r") for image in page.all("img")) == 1
