from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.reports.group import group_report

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def outputs(tmp_path: Path) -> Derivatives:
    made = Derivatives(tmp_path / "out", tmp_path / "data")
    made.create()
    return made


@pytest.fixture
def group(outputs: Derivatives, summary: dict[str, Any], brain) -> dict[str, Any]:
    """What the group level concludes from two participants, of whom one has a page."""
    outputs.write_participant("07", summary, None)
    outputs.write_participant("12", summary | {"participant_id": "sub-12"}, None)
    outputs.write_report("sub-07", "<p>")
    overall = {"n": 2, "mean_r": 0.21, "mean_r_low": 0.11, "mean_r_high": 0.32, "p": 0.012}
    overall |= {"mean_skill": 0.02, "mean_gain": 0.01, "mean_gain_low": 0.005, "mean_gain_high": 0.02}
    row = {"group": "control", "recordings": 1, "failed": 0, "model": "separable", "pooled_r": 0.2, "skill": 0.02}
    row |= {"ridge_r": 0.1, "best_region_r": 0.4, "p": 0.02, "verdict": "Better than chance"}
    moved = {"pooled_r": 0.2, "p": 0.02, "ridge_r": 0.1, "best_region_r": 0.3, "null_low": -0.1, "null_high": 0.1}
    folder = outputs.model_folder("group")
    folder.mkdir(parents=True)
    mask, template = brain
    mask.to_filename(folder / "mask.nii.gz")
    template.to_filename(folder / "template.nii.gz")
    r_map = outputs.write_group_map("transfer_r", nib.Nifti1Image(0.3 * np.asarray(mask.dataobj), mask.affine))
    return {
        "verdict": {"headline": "Better than chance between participants", "better_than_chance": True, "sentences": []},
        "participants": [row | {"participant_id": who} for who in ("sub-07", "sub-12")],
        "group_column": "group",
        "missing": [{"name": "sub-03", "reason": "has files but no summary"}],
        "left_out": [],
        "within": overall | {"n_better": 2},
        "transfer": overall
        | {"by_participant": [moved | {"participant_id": who} for who in ("sub-07", "sub-12")]}
        | {"bundle": "models/group", "map": r_map.as_posix()},
        "classification": {"reason": "at least 5 participants of each group are needed"},
    }


def test_tells_the_verdict_and_who_is_missing_before_the_numbers(outputs, group, look):
    text = look(group_report(outputs, group)).text
    parts = ("SYNTHETIC, not a measurement", "✓ Better than chance between participants", "sub-03", "0.21 in the mean")
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_links_participants_who_have_a_page(outputs, group, look):
    targets = {link["href"] for link in look(group_report(outputs, group)).all("a")}
    assert "sub-07.html" in targets
    assert "sub-12.html" not in targets


def test_every_figure_is_told_in_words(outputs, group, look):
    images = look(group_report(outputs, group)).all("img")
    # Within participants, between them, and the map of r.
    assert len(images) == 3
    assert all(len(image["alt"].split()) > 8 for image in images)


def test_says_why_there_is_no_classification_and_no_transfer(outputs, group, look):
    group["transfer"] = {"reason": "one participant is too few"}
    text = look(group_report(outputs, group)).text
    assert "Not done: at least 5 participants of each group are needed." in text
    assert "Not done: one participant is too few." in text


def test_shows_a_classification_with_its_intervals(outputs, group, look):
    row = {"n_features": 17, "auc": 0.71, "auc_low": 0.52, "auc_high": 0.88, "p": 0.03}
    row |= {"balanced_accuracy": 0.66, "sensitivity": 0.6, "specificity": 0.72}
    rows = [row | {"features": name} for name in ("synthesized BOLD", "EEG power")]
    group["classification"] = {"column": "group", "groups": {"control": 6, "patient": 5}, "table": rows}
    text = look(group_report(outputs, group)).text
    assert "6 control, 5 patient" in text
    assert "EEG power 17 0.71 0.52 to 0.88 0.030 66 % 60 % 72 %" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_what_the_dataset_says_stays_text(outputs, group, look):
    group["participants"][0]["group"] = SCRIPT
    group["missing"][0]["reason"] = SCRIPT
    group["group_column"] = SCRIPT
    page = look(group_report(outputs, group))
    assert not page.all("script")
    assert page.text.count(SCRIPT) == 3
