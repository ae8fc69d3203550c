import copy
import itertools
import re
from typing import get_args

import nibabel as nib
import numpy as np
import pytest

from bids_eeg2fmri.bids.recordings import Status
from bids_eeg2fmri.reports.eeg import (
    describe_artefact,
    describe_bad_channels,
    describe_covering,
    describe_eeg,
    describe_places,
    describe_pulse,
    describe_wires,
)
from bids_eeg2fmri.reports.maps import draw_glass_brain
from bids_eeg2fmri.reports.methods import bibliography, methods_text
from bids_eeg2fmri.reports.participant import participant_report
from bids_eeg2fmri.reports.wording import number

SCRIPT = "<script>alert(1)</script>"


def plain(text: str) -> str:
    """Write signs as a keyboard has them."""
    return text.translate({0xA0: " ", 0x2212: "-", 0x2013: "-", 0x2019: "'"})


def test_the_verdict_comes_first_after_the_notice_that_nothing_was_measured(page):
    parts = ("SYNTHETIC, not a measurement", "No better than chance", "The model beside the baselines")
    order = [page.text.index(part) for part in parts]
    assert order == sorted(order)


@pytest.mark.parametrize(("better", "sign"), [(True, "✓"), (False, "✗"), (None, "?")])
def test_the_verdict_does_not_rest_on_color(derivatives, bare, look, better, sign):
    bare["verdict"]["better_than_chance"] = better
    bare["recordings"] = []
    assert f"Verdict {sign} No better than chance" in look(participant_report(derivatives, bare)).text


def test_better_than_chance_alone_is_no_good_verdict(derivatives, bare, look):
    bare["verdict"] |= {"better_than_chance": True, "better_than_baselines": False}
    assert "Verdict ✗" in look(participant_report(derivatives, bare)).text


def test_what_the_dataset_says_stays_text(derivatives, summary, look):
    summary["covariates"][SCRIPT] = SCRIPT
    summary["provenance"]["command"] = SCRIPT
    summary["recordings"][0] |= {"name": SCRIPT, "eeg": SCRIPT, "pairing": SCRIPT, "remark": SCRIPT}
    summary["recordings"][0] |= {"decision": SCRIPT, "event_conflicts": [SCRIPT]}
    summary["recordings"][0]["alignment"] |= {"evidence": SCRIPT, "notes": [SCRIPT], "code": SCRIPT}
    summary["recordings"][0]["task_maps"][0]["condition"] = summary["task"][0]["condition"] = SCRIPT
    summary["recordings"][0]["task_left_out"] = {SCRIPT: SCRIPT}
    summary["scores"][2]["model"] = summary["published"][0]["metric"] = SCRIPT
    summary["recordings"][0]["spectrum"]["channels"][2] = '"><script>'
    page = look(participant_report(derivatives, summary))
    assert not page.all("script")
    assert page.text.count(SCRIPT) >= 20


def test_every_figure_is_told_in_words(page):
    images = page.all("img")
    # Models, chance, alignment, spectra, heads, map of r, mask, glass brain, task, courses, training.
    assert len(images) == 11
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
    assert "separable this report, uses the EEG" in page.text
    assert "lagged band-power ridge linear model, uses the EEG" in page.text
    assert "mean image baseline, ignores the EEG" in page.text
    assert "global signal reference, not to be beaten" in page.text


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
    summary["recordings"][0]["spectrum"] = None
    page = look(participant_report(derivatives, summary))
    assert f"No longer there {path}" in page.text
    # Models, chance, alignment, mask, task, courses, training: neither slices nor glass brain.
    assert len(page.all("img")) == 7


def test_without_positions_there_are_spectra_but_no_head_maps(derivatives, summary, look):
    recording = summary["recordings"][0]
    recording |= {"files": {}, "task_maps": []}
    recording["spectrum"]["positions_m"] = [None] * 6
    page = look(participant_report(derivatives, summary))
    # Models, chance, alignment, spectra, training.
    assert len(page.all("img")) == 5
    assert any(image["alt"].startswith("Power of 6 channels") for image in page.all("img"))
    assert "Head maps" not in page.html


def test_figures_leave_no_trace_in_pyplot(derivatives, summary):
    import matplotlib
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    participant_report(derivatives, summary)
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_every_decision_is_told_with_its_meaning_and_reason(derivatives, bare, look):
    [recording] = bare["recordings"]
    decided = [
        {"name": f"sub-07_run-{number}", "decision": decision, "pairing": f"because of reason {number}"}
        for number, decision in enumerate(get_args(Status))
    ]
    bare["recordings"] = [recording | of for of in decided]
    text = look(participant_report(derivatives, bare)).text
    for of in decided:
        assert re.search(rf"Decision {of['decision']} : [a-z]\w+ [^:]* Reason {of['pairing']} EEG", text), of


def test_a_reason_is_not_told_twice(derivatives, bare, look):
    bare["recordings"][0] |= {"decision": "ambiguous", "pairing": "both fit", "remark": "ambiguous: both fit"}
    text = look(participant_report(derivatives, bare)).text
    assert text.count("both fit") == 2  # in the table and in the recording's own part


def test_notes_and_conflicts_are_seen_where_they_belong_and_in_the_overview(derivatives, bare, look):
    bare["recordings"][0]["alignment"]["notes"] = ["7 volumes have no marker", "the EEG ends early"]
    bare["recordings"][0]["event_conflicts"] = ["flash: onsets are +0.90 s off"]
    text = look(participant_report(derivatives, bare)).text
    assert "✓ synthesized ⚠ 3 remarks paired" in text
    parts = (
        "To be kept in mind",
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


def test_events_that_could_not_be_placed_are_missed(derivatives, bare, look):
    del bare["recordings"][0]["files"]["events"]
    bare["recordings"][0]["event_conflicts"] = ["nap_events.tsv: expected a column onset"]
    text = look(participant_report(derivatives, bare)).text
    assert "No events were written. ⚠ What does not agree nap_events.tsv: expected a column onset" in text


def test_alignment_and_events_can_be_opened(page):
    targets = {link["href"] for link in page.all("a")}
    for name in ("desc-alignment_timeseries.tsv", "desc-synth_events.tsv"):
        assert f"sub-07/func/sub-07_task-rest_{name}" in targets


def test_a_series_that_starts_before_the_eeg_says_by_how_much(derivatives, bare, look):
    bare["recordings"][0]["first_volume_s"] = -32.788
    assert "the first 32.788 s before the EEG starts" in look(participant_report(derivatives, bare)).text


def test_a_recording_that_could_not_be_aligned_keeps_the_numbers(derivatives, bare, look):
    message = "nap_eeg.vhdr: expected 100 volume markers 2 s apart, found 28 x 'R128' from 7.212 s on"
    failed = {
        "name": "sub-07_task-nap",
        "eeg": "nap.vhdr",
        "bold": "nap.nii",
        "decision": "paired",
        "pairing": "same run",
    }
    bare["recordings"].append(failed | {"status": "failed", "remark": message, "files": {}})
    page = look(participant_report(derivatives, bare))
    assert page.text.count(message) == 2
    assert "#recording-2" in {link["href"] for link in page.all("a")}


def test_a_summary_of_an_older_run_makes_a_report(derivatives, summary, look):
    entry = summary["recordings"][0]
    for key in ("decision", "pairing", "event_conflicts", "tr_s", "first_volume_s", "n_volumes", "task_maps"):
        del entry[key]
    for key in ("ceiling", "task", "published"):
        del summary[key]
    del summary["chance"]["others"]
    kept = ("model", "looks_at_eeg", "pooled_r", "pooled_skill", "voxel_r_median", "best_region_r", "amplitude_median")
    summary["scores"] = [{key: row[key] for key in kept} for row in summary["scores"][:4]]
    summary["regions"] = [{key: region[key] for key in ("name", "r")} for region in summary["regions"]]
    entry["alignment"] = {"evidence": "marker R128: 41 found", "residual_ms": [0.1] * 41}
    page = look(participant_report(derivatives, summary))
    assert "Decision paired : " in page.text
    assert "Marker R128: 41 found." in page.text
    assert "schedule only baseline, ignores the EEG" in page.text
    # Models, chance, spectra, heads, map of r, mask, glass brain, courses, training.
    assert len(page.all("img")) == 9
    for gone in ("#task", "#beyond"):
        assert gone not in {link["href"] for link in page.all("a")}


def test_the_numbers_that_matter_most_follow_the_verdict_in_real_text(page):
    verdict, tiles, _ = re.split("Over the brain, r = 0.01.|The model beside the baselines", page.text)
    assert "No better than chance" in verdict
    tiles = plain(tiles)
    for tile in (
        "r over the brain 0.41 95 % interval 0.34 to 0.47",
        "p 0.410 against 123 shifts of the EEG in time",
        "Change explained 4.1 % best of what ignores the EEG: schedule only, 2.1 %",
        "Voxels above chance 23.7 %",
        "Best region r = 0.31 15 mm left, 15 mm behind, 15 mm above; p = 0.200, corrected",
        "Ceiling 0.83 r of a perfect model in a typical region, by what its voxels share; this one reaches 0.51",
    ):
        assert tile in tiles


def test_a_collapsed_model_is_told_as_such(derivatives, bare, look, page):
    assert "Collapsed" not in page.text
    bare["verdict"]["collapsed"] = True
    bare["recordings"] = []
    text = look(participant_report(derivatives, bare)).text
    assert text.index("Collapsed: the synthesized image hardly changes") < text.index("Over the brain, r = 0.01.")


def test_only_an_interval_that_leaves_out_0_makes_a_model_better(page):
    # Gains of 0.01 to 0.04, each with an interval of 0.015 to either side; the last one is a reference.
    table = plain(page.text[page.text.index("Model gains") :])
    for row in (
        "linear model, uses the EEG 0.31 0.24 to 0.37 3.1 % 2.0 to 4.3 % 1.0 % -0.5 to 2.5 % ? can't tell",
        "baseline, ignores the EEG 0.21 0.14 to 0.27 2.1 % 1.0 to 3.3 % 2.0 % 0.5 to 3.5 % ✓ better",
        "reference, not to be beaten 0.01 -0.06 to 0.07 0.1 % -1.0 to 1.3 % 4.0 % 2.5 to 5.5 %",
    ):
        assert row in table
    assert table.count("✓ better") == 2  # what the EEG-blind rows are, and not the reference


def test_every_kind_of_chance_has_its_p_and_its_distribution(page):
    for told in (
        "EEG shifted in time : p = 0.410",
        "Phase-randomized EEG : p = 0.337",
        "EEG of another run : p = 0.500",
    ):
        assert told in page.text
    alt = plain(next(image["alt"] for image in page.all("img") if image["alt"].startswith("Histograms")))
    assert "phase-randomized EEG: 61 draws" in alt
    assert "EEG of another run: 3 draws from -0.040 to 0.050, of which 2 reach it, p = 0.500" in alt


def test_the_figure_of_models_tells_intervals_chance_and_ceiling(page, written):
    alt = next(image["alt"] for image in page.all("img") if image["alt"].startswith("r over the brain"))
    low, high = np.percentile(written["chance"]["null_pooled_r"], [2.5, 97.5])
    assert "separable 0.41 (0.34 to 0.47); lagged band-power ridge 0.31 (0.24 to 0.37)" in alt
    assert f"between {number(low)} and {number(high)}. The ceiling of r in a typical region is 0.83." in alt


def test_published_metrics_stand_beside_the_mean_image_and_are_said_to_measure_anatomy(
    derivatives, summary, look, page
):
    assert "Metric separable mean image SSIM calhas2022 0.9110 0.9120 PSNR e2fnet2025 31.40 31.50" in page.text
    assert "These measure anatomy." in page.text
    summary["published"] = summary["published"][:1]  # of the model alone
    summary["recordings"] = []
    assert "Metric separable mean image SSIM calhas2022 0.9110 -" in plain(
        look(participant_report(derivatives, summary)).text
    )


def test_a_task_is_judged_against_its_schedule(page):
    assert (
        "flash in sub-07_task-rest: r = 0.31 for separable, 0.52 for schedule only: no better than the schedule."
        in page.text
    )
    assert "schedule only 0.52 0.40" in page.text
    assert "Left out: cue (2 events during the volumes, 3 are needed)." in page.text


def test_courses_tell_how_often_the_measurement_lies_in_its_band(page):
    courses = next(image["alt"] for image in page.all("img") if image["alt"].startswith("Measured and"))
    # The third region has no band.
    assert "The band holds 100 % of the measured volumes of L15P15S15; 95 %" in courses.replace(
        "\N{NO-BREAK SPACE}", " "
    )


def test_a_glass_brain_has_the_outlines_of_a_template_in_its_space_only(brain, page):
    assert "not in MNI152 space" in page.text
    mask, _ = brain
    r_map = nib.Nifti1Image(np.asarray(mask.dataobj) * np.float32(0.2), mask.affine)
    r_map.set_sform(mask.affine, code=4)
    assert "those of the MNI152 template" in draw_glass_brain(r_map, mask, limit=0.4).caption


def test_many_recordings_are_drawn_in_part_and_the_page_says_so(derivatives, summary, look):
    recording = summary["recordings"][0]
    summary["recordings"] = [copy.deepcopy(recording) | {"name": f"sub-07_run-{i}"} for i in range(12)]
    page = look(participant_report(derivatives, summary))
    alts = [image["alt"] for image in page.all("img")]
    assert sum(alt.startswith("Slices through the brain") for alt in alts) == 10
    assert sum(alt.startswith("Head maps") for alt in alts) == 3
    assert page.text.count("To keep this page small") == 9
    assert page.text.count("has no pictures here") == 2
    assert len(page.html.encode()) < 5e6


def test_an_ordinary_page_is_small(page):
    assert len(page.html.encode()) < 1.5e6


GRADIENT = {
    "ratio": 5.66,
    "corrected": True,
    "n_volumes": 152,
    "volume_db": [38.5, -8.7],
    "slice_db": [48.7, -8.8],
    "freqs_hz": np.arange(1.0, 45.0, 0.25).tolist(),
    "spectra_db": [np.full(176, 40.0).tolist(), np.full(176, 5.0).tolist()],
}


def test_what_became_of_the_gradient_artefact_is_told():
    told = describe_artefact(GRADIENT).replace("\N{MINUS SIGN}", "-").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    assert told == (
        "subtracted from 152 volumes; volumes' harmonics 38 dB over the EEG beside them before, -9 dB after; "
        "slices' harmonics 49 dB over the EEG beside them before, -9 dB after"
    )
    assert "slices" not in describe_artefact(GRADIENT | {"slice_db": []})
    clean = {"ratio": 0.08, "corrected": False, "n_volumes": 0, "volume_db": [], "slice_db": []}
    assert describe_artefact(clean).startswith("none to speak of: what volumes have in common is 0.08 of the rest")
    assert "too few volumes" in describe_artefact({"ratio": None, "corrected": False})


def test_what_became_of_the_pulse_artefact_is_told():
    found = {
        "source": "ECG",
        "n_beats": 373,
        "ratio": 1.69,
        "corrected": True,
        "locked_uv": [23.55, 0.149],
        "reason": "",
    }
    assert describe_pulse(found) == "subtracted, 373 heartbeats by ECG; locked to them 23.6 µV before, 0.1 µV after"
    clean = found | {"source": "EEG", "ratio": 0.05, "corrected": False, "locked_uv": []}
    assert describe_pulse(clean).startswith(
        "none to speak of, 373 heartbeats by the EEG itself: what they have in common is 0.05"
    )
    assert describe_pulse(clean | {"ratio": None}) == "not looked for: 373 heartbeats by the EEG itself are too few"
    nothing = {"source": "", "n_beats": 0, "ratio": None, "corrected": False, "locked_uv": [], "reason": "ECG: a clock"}
    assert describe_pulse(nothing) == "not looked for, as no heartbeats were found (ECG: a clock)"


def test_the_alpha_that_a_correction_left_is_told_if_there_was_any():
    found = {
        "source": "ECG",
        "n_beats": 373,
        "ratio": 1.69,
        "corrected": True,
        "locked_uv": [23.6, 0.1],
        "alpha": 0.973,
    }
    assert describe_pulse(found).endswith("0.1 µV after; the alpha rhythm has 97 % of its power left")
    assert describe_pulse(found | {"alpha": None}).endswith("0.1 µV after")


def test_what_loops_of_carbon_wire_told_is_told():
    found = {"loops": ["CWL1", "CWL2"], "left_out": {"CWL3": "never changes"}, "explained": 0.61, "corrected": True,
             "size_uv": [25.2, 12.3], "alpha": 1.004}  # fmt: skip
    assert describe_wires(found) == (
        "regressed, by 2 carbon-wire loops (CWL1, CWL2); EEG of 25.2 µV before, 12.3 µV after; the alpha rhythm has 100 % of its "
        "power left; CWL3 left out: it never changes"
    )
    noise = found | {"corrected": False, "explained": -0.001, "left_out": {}}
    assert describe_wires(noise) == (
        "none to speak of, by 2 carbon-wire loops (CWL1, CWL2): they foretell 0.0 % of the EEG; it was left as it is"
    )
    dead = found | {"corrected": False, "explained": None, "loops": []}
    assert describe_wires(dead) == "not looked for: no carbon-wire loop that works; CWL3 left out: it never changes"
    assert describe_wires(dead | {"loops": ["CWL1"]}).startswith("not looked for: less than a minute of EEG")
    freqs = np.arange(2.0, 41.0)
    spectrum = {"freqs_hz": freqs, "channels": ["Cz"], "mean_db": [-110 - freqs / 10], "positions_m": [None]}
    assert dict(describe_eeg(spectrum, wires=found))["Motion of the head"] == describe_wires(found)
    assert "Motion of the head" not in dict(describe_eeg(spectrum))


def test_bad_channels_are_told_with_reasons():
    found = {"reasons": {"T7": "is 12 times larger than usual", "Oz": "never changes"}, "interpolated": True}
    told = "T7 is 12 times larger than usual; Oz never changes"
    assert describe_bad_channels(found) == f"interpolated from the others: {told}"
    assert describe_bad_channels(found | {"interpolated": False}) == f"left out: {told}"
    assert describe_bad_channels({"reasons": {}, "interpolated": False}) == "none found"


MONTAGE = {
    "n_measured": 4,
    "by_name": ["Fp1", "Cz"],
    "unplaced": ["X1"],
    "remark": "",
    "wanted_by": "",
    "n_channels": 7,
    "distances_mm": {},
    "far": [],
    "covered": 1.0,
}


def test_where_positions_are_from_is_told():
    assert describe_places(MONTAGE) == "4 as measured; 2 by name, on a template head (Fp1, Cz); 1 unknown (X1)"
    doubted = MONTAGE | {"n_measured": 0, "remark": "all 4 are at nearly the same place"}
    assert describe_places(doubted) == (
        "2 by name, on a template head; 1 unknown (X1). Those that were measured are not used: all 4 are at nearly the same place"
    )


def test_how_well_the_head_is_covered_is_told_in_words():
    wanted = MONTAGE | {"wanted_by": "the model", "n_channels": 31}
    assert describe_covering(wanted) == "all 31 channels that the model asked for are here"
    some = wanted | {"distances_mm": {"F1": 31.2, "Oz": 47.0}, "far": ["Oz"], "covered": 30 / 31}
    assert describe_covering(some) == (
        "2 of 31 channels that the model asked for are interpolated from the others; their nearest electrodes are 31 to 47 mm "
        "away. 96.8\N{NO-BREAK SPACE}% of the 31 are covered; no electrode is near to Oz: take what is synthesized with care"
    )


def test_the_gradient_artefact_is_shown_before_and_after(derivatives, bare, written):
    bare["recordings"][0]["spectrum"] = written["recordings"][0]["spectrum"]
    without = participant_report(derivatives, bare)
    assert "Gradient artefact" not in without
    bare["recordings"][0]["gradient"] = GRADIENT
    page = participant_report(derivatives, bare)
    assert "Gradient artefact" in page
    assert "harmonics of the volumes stand 38 dB above the EEG beside them; after the artefact was subtracted" in page
    assert page.count("<img") == without.count("<img") + 1


def test_the_quality_of_the_eeg_is_told_in_words():
    freqs = np.arange(2.0, 41.0)
    power = np.tile(-110 - 5 * np.log2(freqs) + 6 * np.exp(-((freqs - 10) ** 2) / 3), (7, 1))
    power[3] += 12
    names = ["Fp1", "Cz", "Oz", "T7", "T8", "Pz", "Fz"]
    spectrum = {"freqs_hz": freqs, "channels": names, "mean_db": power, "positions_m": [[0, 0, 0.1]] * 6 + [None]}
    told = dict(describe_eeg(spectrum))
    assert told["Channels"] == "7, 6 with a known position"
    assert told["Apart from the others"] == "T7 (12.0 dB)"
    assert told["Alpha rhythm"].startswith("peak at 10 Hz, 6.0 dB above")
    assert told["Line noise"].endswith("up to 40 Hz")


def test_the_methods_are_text_to_be_copied_with_their_sources(page, written):
    text = methods_text(written)
    assert "Methods, for a paper" in page.text
    assert "(Gorgolewski et al., 2016; Pernet et al., 2019)" in page.text
    assert " ".join(text.split()) in page.text
    assert " ".join(bibliography(text).split()) in page.text


def test_two_recordings_of_one_name_keep_their_own_pictures(derivatives, summary, look):
    summary["recordings"][0] |= {"spectrum": None, "task_maps": []}
    twin = copy.deepcopy(summary["recordings"][0])
    for kind in ("r_map", "regions"):
        del twin["files"][kind]
    summary["recordings"].append(twin)
    page = look(participant_report(derivatives, summary))
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert sum(image["alt"].startswith("Slices through the brain, colored by r") for image in page.all("img")) == 1
