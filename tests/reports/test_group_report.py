import copy
import re
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.reports.group import group_report
from bids_eeg2fmri.reports.spread import draw_p_values, draw_spread
from bids_eeg2fmri.workflow.over_participants import BEST_BLIND, average_task, compare_models, over_participants

WHO = ("sub-07", "sub-12", "sub-21", "sub-22", "sub-30", "sub-31")
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Derivatives:
    folder = tmp_path_factory.mktemp("group")
    made = Derivatives(folder / "out", folder / "data")
    made.create()
    return made


@pytest.fixture(scope="module")
def judged(written: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Six participants, each a little better than the one before."""
    people = {}
    for number, who in enumerate(WHO):
        person = copy.deepcopy(written)
        for row in person["scores"]:
            row["pooled_skill"] += 0.002 * number
        person["scores"][0]["pooled_r"] += 0.01 * number
        person["chance"]["p"] = 0.01 + 0.1 * number
        people[who] = person
    return people


@pytest.fixture(scope="module")
def concluded(outputs: Derivatives, judged: dict[str, dict[str, Any]], brain) -> dict[str, Any]:
    """What the group level concludes from them; one of them has a page."""
    outputs.write_report("sub-07", "<p>")
    row = {"group": "control", "recordings": 1, "failed": 0, "model": "separable", "pooled_r": 0.2, "skill": 0.02}
    row |= {"ridge_r": 0.1, "best_region_r": 0.4, "p": 0.02, "verdict": "Better than chance"}
    mask, template = brain
    for name in ("group", "sub-07"):
        folder = outputs.model_folder(name)
        folder.mkdir(parents=True)
        mask.to_filename(folder / "mask.nii.gz")
        template.to_filename(folder / "template.nii.gz")
    inside = np.asarray(mask.dataobj)
    files = {
        name: outputs.write_group_map(name, nib.Nifti1Image(values, mask.affine)).as_posix()
        for name, values in (("transfer_r", 0.3 * inside), ("within_r", 0.4 * inside), ("within_n", 6 * inside))
    }
    models = compare_models(judged, seed=0)
    within = {"map": files["within_r"], "map_count": files["within_n"], "map_bundle": "models/sub-07"}
    within |= {"map_participants": list(WHO), "map_left_out": []}
    result = {
        "verdict": {"headline": "Better than chance between participants", "better_than_chance": True, "sentences": []},
        "participants": [row | {"participant_id": who} for who in WHO],
        "group_column": "group",
        "missing": [{"name": "sub-03", "reason": "has files but no summary"}],
        "left_out": [],
        "not_judged": [{"name": "sub-04", "reason": "no BOLD to learn from"}],
        "within": over_participants(judged, seed=0, alpha=0.05) | within,
        "transfer": over_participants(judged, seed=0, alpha=0.05)
        | {"bundle": "models/group", "map": files["transfer_r"]},
        "models": [{"trained": trained} | model for trained in ("within", "transfer") for model in models],
        "task": average_task(judged, seed=0),
        "shared_stimulus": {"reason": "no two participants have a run with the same events"},
        "classification": {"reason": "at least 5 participants of each group are needed"},
        "settings": {"window": {"span_s": 18.0}},
        "settings_hash": "12ab34cd",
        "provenance": {"command": "bids_eeg2fmri data out group", "versions": {"numpy": "2.4"}},
    }
    outputs.write_group(result, {"models": pd.DataFrame(result["models"])})
    return outputs.read_group_summary()  # as the page gets it


@pytest.fixture
def group(concluded: dict[str, Any]) -> dict[str, Any]:
    """The same, to be changed at will."""
    return copy.deepcopy(concluded)


@pytest.fixture
def bare(group: dict[str, Any]) -> dict[str, Any]:
    """The same without maps, which take most of the time to draw: for what the page says in words."""
    del group["within"]["map"], group["transfer"]["map"]
    return group


@pytest.fixture(scope="module")
def page(outputs: Derivatives, concluded: dict[str, Any], look) -> Any:
    """The page of the group."""
    return look(group_report(outputs, copy.deepcopy(concluded)))


def test_tells_the_verdict_and_who_is_missing_before_the_numbers(page):
    text = page.text
    parts = ("SYNTHETIC, not a measurement", "✓ Better than chance between participants", "sub-03", "0.43 in the mean")
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_links_participants_who_have_a_page(page):
    targets = {link["href"] for link in page.all("a")}
    assert "sub-07.html" in targets
    assert "sub-12.html" not in targets


def test_every_figure_is_told_in_words(page):
    images = page.all("img")
    # Within and between participants: models, participants, p-values, slices and glass brain.
    assert len(images) == 10
    assert all(len(image["alt"].split()) > 8 for image in images)


def test_every_model_stands_beside_the_baselines_within_and_between(page):
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for told in ("own models, use the EEG", "models of others, use the EEG"):
        after = text.split(told)[1]
        # The best of what ignores the EEG is the schedule with 2.6 % in the mean; the model explains twice as much.
        assert after.index("best baseline of each") < after.index("lagged band-power ridge") < after.index("mean image")
        assert re.search(r"best baseline of each baseline, ignores the EEG 0\.21 0\.21 to 0\.21 2\.6 % ", after)


def test_chance_is_told_for_these_people_and_for_others(outputs, bare, look):
    bare["within"] |= {"p": 0.004, "p_population": 0.031, "p_gain_population": 0.25}
    text = look(group_report(outputs, bare)).text
    assert "Better than chance in these participants? p = 0.004 against shifts in time; p = " in text
    assert "In the people they were drawn from? p = 0.031 for r, p = 0.250 for the change explained" in text
    assert "can’t be below" not in text  # noqa: RUF001
    bare["within"] |= {"n": 3}
    assert "With 3 participants, p can’t be below 0.125" in look(group_report(outputs, bare)).text  # noqa: RUF001


def test_the_figure_of_models_counts_who_gains(page):
    alts = [image["alt"] for image in page.all("img")]
    [within, _] = [alt for alt in alts if alt.startswith("Change explained over 6 participants: separable")]
    assert "In 6 of 6 participants the model explains more than the best baseline." in within
    assert "global signal" not in within
    [p, _] = [alt for alt in alts if alt.startswith("Share of participants up to each p.")]
    assert "EEG shifted in time: 1 of 6 at most 0.05, the median is 0.260" in p


def test_one_participant_and_equal_values_are_drawn_or_left_out(judged):
    one = over_participants({"sub-07": judged["sub-07"]}, seed=0, alpha=0.05)["by_participant"]
    models = compare_models({"sub-07": judged["sub-07"]}, seed=0)
    assert draw_spread(models, [person["skills"] for person in one]) is None
    assert draw_p_values(one) is None
    same = [one[0]["skills"]] * 14
    assert "from 4.1" in draw_spread(models, same).alt


def test_an_outlier_leaves_the_others_room(judged):
    people = [{"separable": 0.01 * i, BEST_BLIND: 0.005} for i in range(9)] + [{"separable": -40.0, BEST_BLIND: 0.005}]
    models = [
        {"model": name, "kind": kind, "pooled_skill": 0.0, "pooled_skill_low": None, "pooled_skill_high": None}
        for name, kind in (("separable", "model"), (BEST_BLIND, "baseline"))
    ]
    told = draw_spread(models, people)
    assert "1 dot beyond the edge is drawn at it" in told.caption
    assert "\N{MINUS SIGN}4000.0\N{NO-BREAK SPACE}%" in told.alt
    assert "In 8 of 10 participants" in told.alt


def test_a_map_without_a_template_is_told_to_be_doubtful(page):
    text = page.text
    assert text.count("The images are not marked as being in the space of a template") == 2
    assert "Mean over 6 participants, of voxels that at least half of them have: group_within_r.nii.gz" in text


def test_the_task_is_told_against_the_schedule(page):
    text = page.text
    assert "flash in rest: r of separable minus that of the schedule is −0.21 in the mean" in text  # noqa: RUF001
    assert "they were drawn from, p = 1.000" in text


def test_a_shared_stimulus_is_a_ceiling(outputs, bare, look):
    regions = [{"name": "L15P75S15", "r": 0.43}, {"name": "L15P75S45", "r": 0.11}]
    stimulus = {"task": "film", "participants": list(WHO[:4]), "n_volumes": 291, "median_r": 0.27, "regions": regions}
    left_out = [{"name": "sub-31_task-film", "reason": "other regions than most participants"}]
    bare["shared_stimulus"] = {"stimuli": [stimulus | {"left_out": left_out}]}
    text = look(group_report(outputs, bare)).text
    assert "film , 4 participants, 291 volumes: r = 0.27 in the median region." in text
    assert "Left out: sub-31_task-film (other regions than most participants)." in text
    assert "15 mm left, 75 mm behind, 15 mm above 0.43" in text
    assert "Hasson et al., 2004" in text


def test_methods_are_ready_for_a_paper(page):
    text = page.text
    assert (
        "each of 6 participants was predicted by a model that had been trained on participants other than this one"
        in text
    )
    assert "by flipping signs over participants (Nichols & Holmes, 2002)" in text
    assert "@article{nichols2002," in text
    assert "bids_eeg2fmri data out group" in text


def test_who_is_missing_is_told_with_the_reason(page):
    text = page.text
    assert "sub-03 : has files but no summary" in text
    assert "sub-04 , not judged by a model of their own: no BOLD to learn from" in text


def test_a_summary_of_an_older_version_has_a_page(outputs, group, look):
    for key in ("models", "task", "shared_stimulus", "not_judged"):
        del group[key]
    overall = {"n": 2, "mean_r": 0.21, "mean_r_low": 0.11, "mean_r_high": 0.32, "p": 0.012, "n_better": 2}
    overall |= {"mean_skill": 0.02, "mean_gain": 0.01, "mean_gain_low": 0.005, "mean_gain_high": 0.02}
    moved = {"pooled_r": 0.2, "p": 0.02, "ridge_r": 0.1, "best_region_r": 0.3, "null_low": -0.1, "null_high": 0.1}
    people = [moved | {"participant_id": who} for who in WHO[:2]]
    group |= {"within": overall, "transfer": overall | {"by_participant": people}}
    text = look(group_report(outputs, group)).text
    assert text.count("0.21 in the mean") == 2


def test_two_hundred_participants_stay_small_and_fold_away(outputs, group, look):
    for part in ("within", "transfer"):
        people = group[part]["by_participant"]
        many = [people[i % 6] | {"participant_id": f"sub-{i:03d}"} for i in range(200)]
        group[part] |= {"by_participant": many, "n": 200}
    group["participants"] = [group["participants"][i % 6] | {"participant_id": f"sub-{i:03d}"} for i in range(200)]
    page = look(group_report(outputs, group))
    assert len(page.html) < 2_000_000
    assert "All 200 participants, with links to their pages" in page.text


def test_says_why_there_is_no_classification_and_no_transfer(outputs, group, look):
    group["transfer"] = {"reason": "one participant is too few"}
    text = look(group_report(outputs, group)).text
    assert "Not done: at least 5 participants of each group are needed." in text
    assert "Not done: one participant is too few." in text


def test_shows_a_classification_with_its_intervals(outputs, bare, look):
    row = {"n_features": 17, "auc": 0.71, "auc_low": 0.52, "auc_high": 0.88, "p": 0.03}
    row |= {"balanced_accuracy": 0.66, "sensitivity": 0.6, "specificity": 0.72}
    rows = [row | {"features": name} for name in ("synthesized BOLD", "EEG power")]
    bare["classification"] = {"column": "group", "groups": {"control": 6, "patient": 5}, "table": rows}
    text = look(group_report(outputs, bare)).text
    assert "6 control, 5 patient" in text
    assert "EEG power 17 0.71 0.52 to 0.88 0.030 66 % 60 % 72 %" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_what_the_dataset_says_stays_text(outputs, bare, look):
    bare["participants"][0]["group"] = SCRIPT
    bare["missing"][0]["reason"] = SCRIPT
    bare["group_column"] = SCRIPT
    bare["not_judged"][0]["reason"] = SCRIPT
    bare["task"][0]["condition"] = bare["task"][1]["condition"] = SCRIPT
    bare["models"][0]["model"] = SCRIPT
    page = look(group_report(outputs, bare))
    assert not page.all("script")
    # The condition is in the list and in the table, the model in both of its tables.
    assert page.text.count(SCRIPT) == 8
