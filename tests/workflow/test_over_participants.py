"""Numbers of the group that can be checked by hand."""

import numpy as np
import pytest

from bids_eeg2fmri.evaluation.inference import p_by_sign_flips_of_each
from bids_eeg2fmri.workflow.over_participants import BEST_BLIND, average_task, compare_models, over_participants


def row(model, kind, r, skill, **more):
    looks = kind in ("model", "linear")
    return {"model": model, "kind": kind, "looks_at_eeg": looks, "pooled_r": r, "pooled_skill": skill} | more


def results(r, skill, *, time_only=0.0, schedule=0.0, null=(0.0,), p=0.5, **more):
    """One participant; the global signal explains most, and has not to be beaten."""
    rows = [
        row("separable", "model", r, skill, share_significant=r, spectral_r=None),
        row("lagged band-power ridge", "linear", r / 2, skill / 2),
        row("time only", "baseline", 0.1, time_only, share_significant=None),
        row("schedule only", "baseline", 0.2, schedule),
        row("mean image", "baseline", 0.0, 0.0),
        row("global signal", "reference", 0.9, 0.8),
    ]
    regions = [{"name": "L15A15S15", "r": r + 0.1}, {"name": "R15A15S15", "r": r - 0.2}]
    return {
        "scores": rows,
        "chance": {"pooled_r": r, "p": p, "null_pooled_r": list(null), "others": []},
        "regions": regions,
        "verdict": {"collapsed": False},
    } | more


@pytest.fixture
def three():
    """What ignores the EEG is beaten in the first two."""
    return {
        "sub-01": results(0.3, 0.09, time_only=0.02, p=0.01, schedule=-0.4),
        "sub-02": results(0.2, 0.05, schedule=0.01, p=0.02),
        "sub-07": results(0.1, 0.01, time_only=0.03, p=0.01),
    }


def test_the_gain_is_over_the_baseline_that_explains_most_in_each(three):
    group = over_participants(three, seed=0, alpha=0.05)
    people = group["by_participant"]
    assert [person["best_baseline"] for person in people] == ["time only", "schedule only", "time only"]
    assert [person["gain"] for person in people] == pytest.approx([0.07, 0.04, -0.02])
    assert group["mean_gain"] == pytest.approx(0.03)
    assert group["mean_r"] == pytest.approx(0.2)


def test_no_worse_baseline_than_the_mean_image_has_to_be_beaten():
    group = over_participants({"sub-01": results(0.1, -0.2, time_only=-0.5, schedule=-0.6)}, seed=0, alpha=0.05)
    assert group["by_participant"][0]["best_baseline"] == "mean image"
    assert group["mean_gain"] == pytest.approx(-0.2)


def test_signs_are_flipped_over_participants(three):
    """Of the 8 patterns of signs of 0.07, 0.04 and -0.02, two give a mean as large; of three positive r, one."""
    group = over_participants(three, seed=0, alpha=0.05)
    assert group["p_population"] == pytest.approx(1 / 8)
    assert group["p_gain_population"] == pytest.approx(2 / 8)


def test_what_chance_gives_in_a_participant_is_no_effect_of_the_people():
    """All r are 0.2, and so is chance: nothing is above it, whatever the sign of r."""
    people = {f"sub-{i}": results(0.2, 0.04, null=[0.1, 0.3]) for i in range(5)}
    group = over_participants(people, seed=0, alpha=0.05)
    assert group["p_population"] == 1.0
    assert group["p"] > 0.2


def test_better_is_who_is_above_chance_and_baselines(three):
    assert over_participants(three, seed=0, alpha=0.05)["n_better"] == 2
    assert over_participants(three, seed=0, alpha=0.015)["n_better"] == 1


def test_constant_images_are_counted_where_it_is_known(three):
    three["sub-07"]["verdict"]["collapsed"] = True
    del three["sub-01"]["verdict"]
    assert over_participants(three, seed=0, alpha=0.05)["n_collapsed"] == 1
    for person in three.values():
        person.pop("verdict", None)
    assert over_participants(three, seed=0, alpha=0.05)["n_collapsed"] is None


def test_other_kinds_of_chance_are_taken_together_where_they_are_known(three):
    for who, null in {"sub-01": [0.0, 0.1], "sub-07": [0.4, 0.5]}.items():
        kinds = {"kind": "EEG of another participant", "p": 0.3, "null_pooled_r": null}
        three[who]["chance"]["others"] = [kinds]
    [other] = over_participants(three, seed=0, alpha=0.05)["others"]
    assert (other["kind"], other["n"]) == ("EEG of another participant", 2)
    # The mean r is 0.2; means of one draw of each are 0.2, 0.25 (twice) and 0.3.
    assert other["p"] == 1.0


def test_regions_are_averaged_where_everybody_has_them(three):
    three["sub-02"]["regions"].append({"name": "L45A15S15", "r": 0.9})
    regions = over_participants(three, seed=0, alpha=0.05)["regions"]
    assert [region["name"] for region in regions] == ["L15A15S15", "R15A15S15"]
    assert [region["r"] for region in regions] == pytest.approx([0.3, 0.0])
    assert regions[0]["p"] == 1 / 8


def test_p_of_the_best_of_many_is_no_smaller_than_alone():
    values = np.random.default_rng(0).normal(0.3, 1, (9, 40))
    together = p_by_sign_flips_of_each(values, seed=0)
    alone = np.array([p_by_sign_flips_of_each(values[:, [i]], seed=0)[0] for i in range(40)])
    assert np.all(together >= alone)
    assert together.min() > 3 * alone.min()


def test_every_model_stands_beside_the_baselines(three):
    rows = compare_models(three, seed=0)
    assert [r["model"] for r in rows] == [
        "separable", BEST_BLIND, "lagged band-power ridge", "time only", "schedule only", "mean image", "global signal"
    ]  # fmt: skip
    by_name = {r["model"]: r for r in rows}
    assert by_name[BEST_BLIND]["pooled_skill"] == pytest.approx(0.02)
    assert by_name[BEST_BLIND]["gain"] == pytest.approx(0.03)
    ridge = by_name["lagged band-power ridge"]
    assert ridge["gain"] == pytest.approx(0.025)
    assert 0.0 < ridge["gain_low"] < 0.025 < ridge["gain_high"]
    assert np.isnan(rows[0]["gain"])


def test_other_scores_are_medians_of_those_who_have_them(three):
    del three["sub-01"]["scores"][0]["share_significant"]
    first, *_, time_only = compare_models(three, seed=0)[:4]
    assert first["share_significant"] == pytest.approx(0.15)
    assert np.isnan(first["spectral_r"])
    assert np.isnan(time_only["share_significant"])


def test_models_that_only_some_have_are_counted(three):
    del three["sub-02"]["scores"][3]
    by_name = {r["model"]: r for r in compare_models(three, seed=0)}
    assert by_name["schedule only"]["n"] == 2
    assert by_name["time only"]["n"] == 3


def test_summaries_without_kinds_of_models_are_understood(three):
    for person in three.values():
        person["scores"] = [{k: v for k, v in r.items() if k != "kind"} for r in person["scores"][:5]]
    group, rows = over_participants(three, seed=0, alpha=0.05), compare_models(three, seed=0)
    assert group["mean_gain"] == pytest.approx(0.03)
    assert [r["kind"] for r in rows] == ["model", "baseline", "linear", "baseline", "baseline", "baseline"]


def test_one_participant_has_no_interval(three):
    group = over_participants({"sub-01": three["sub-01"]}, seed=0, alpha=0.05)
    assert np.isnan([group["mean_r_low"], group["mean_gain_high"]]).all()


def test_task_maps_are_averaged_over_runs_then_over_participants():
    def rows(model_r, schedule_r, run="1"):
        recording = f"sub-0_task-faces_run-{run}"
        return [
            {"recording": recording, "condition": "house", "model": model, "r": r, "dice": r / 2}
            for model, r in (("separable", model_r), ("schedule only", schedule_r))
        ]

    judged = {
        "sub-01": {"task": rows(0.2, 0.5) + rows(0.4, 0.5, run="2")},
        "sub-02": {"task": rows(0.7, 0.5)},
        "sub-03": {"task": []},
    }
    model, schedule = average_task(judged, seed=0)
    assert (model["task"], model["condition"], model["n"]) == ("faces", "house", 2)
    assert model["r"] == pytest.approx(0.5)
    assert model["dice"] == pytest.approx(0.25)
    assert schedule["gain"] == pytest.approx(0.0)
    assert (model["p_population"], schedule["p_population"]) == (None, 0.75)
