import itertools
import re

import pytest

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


def test_what_the_dataset_says_stays_text(derivatives, summary, look):
    summary["covariates"][SCRIPT] = SCRIPT
    summary["provenance"]["command"] = SCRIPT
    summary["recordings"][0] |= {"name": SCRIPT, "eeg": SCRIPT, "pairing": SCRIPT, "remark": SCRIPT}
    summary["recordings"][0]["alignment"]["evidence"] = SCRIPT
    summary["recordings"][0]["spectrum"]["channels"][2] = '"><script>'
    page = look(participant_report(derivatives, summary))
    assert not page.all("script")
    assert page.text.count(SCRIPT) >= 8


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
