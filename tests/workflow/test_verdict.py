"""Each outcome has its headline, and sentences say no more than the numbers do."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.evaluation.chance import Chance
from bids_eeg2fmri.evaluation.metrics import Agreement, Sums
from bids_eeg2fmri.workflow.scoring import RIDGE, Scores
from bids_eeg2fmri.workflow.verdict import judge, say_p

REGIONS = Regions(tuple(f"L{15 * i}A0S15" for i in range(8)), np.arange(8))
NOBODY = np.full(8, 0.7)


def row(model, kind, r, skill, **more):
    told = {"model": model, "kind": kind, "pooled_r": r, "pooled_skill": skill, "amplitude": 0.4}
    return told | {"share_significant": np.nan, "gain_low": np.nan, "gain_high": np.nan} | more


def scores(r=0.31, skill=0.09, *, p=0.002, region_p=NOBODY, others=None, chance=True, **more):
    """By default better than everything: two baselines, the better one explains 2 %; a ridge that explains less."""
    table = pd.DataFrame(
        [
            row("separable", "model", r, skill, share_significant=0.124, **more),
            row(RIDGE, "linear", 0.25, 0.05),
            row("time only", "baseline", 0.15, 0.02, gain_low=0.031, gain_high=0.114),
            row("schedule only", "baseline", 0.18, 0.004, gain_low=0.041, gain_high=0.134),
            row("mean image", "baseline", 0.0, 0.0, gain_low=0.051, gain_high=0.154),
            row("global signal", "reference", 0.9, 0.8),
        ]
    )
    nothing = np.zeros(1)
    of_regions = Agreement(np.linspace(0.5, 0.08, 8), NOBODY, NOBODY, Sums(*[nothing] * 4), np.zeros(1, int))
    kinds = {kind: Chance(r, np.full(19, 0.01), other, NOBODY) for kind, other in (others or {}).items()}
    ceilings = np.array([0.8, np.nan, *[0.7] * 6])
    found = Chance(r - 0.03, np.full(500, 0.012), p, region_p) if chance else None
    return Scores(table, {}, {"separable": of_regions}, found, kinds, ceilings)


def told(verdict):
    return " ".join(verdict["sentences"])


def flags(verdict):
    return [verdict[key] for key in ("better_than_chance", "better_than_baselines", "collapsed")]


def judged(of, **options):
    return judge(of, REGIONS, alpha=0.05, **options)


@pytest.mark.parametrize(
    ("of", "headline", "expected"),
    [
        (scores(), "Better than chance and than the baselines that ignore the EEG", [True, True, False]),
        (scores(skill=0.015), "No better than the baselines that ignore the EEG", [True, False, False]),
        (scores(skill=-0.2), "No better than the baselines that ignore the EEG", [True, False, False]),
        (scores(p=0.051), "No better than chance", [False, True, False]),
        (scores(p=0.4, skill=-0.01), "No better than chance", [False, False, False]),
        (scores(amplitude=0.009), "The model gives a constant image", [False, False, True]),
        (scores(chance=False), "No verdict: the runs are too short to tell chance", [None, None, False]),
    ],
)
def test_each_outcome_has_its_headline_and_flags(of, headline, expected):
    verdict = judged(of)
    assert verdict["headline"] == headline
    assert flags(verdict) == expected
    assert all(flag is None or isinstance(flag, bool) for flag in flags(verdict))


def test_p_is_below_alpha_as_it_is_set_and_not_at_it():
    of = scores(p=0.02)
    assert judge(of, REGIONS, alpha=0.02)["better_than_chance"] is False
    assert judge(of, REGIONS, alpha=0.021)["better_than_chance"] is True


def test_a_reference_that_sees_the_test_volumes_is_not_to_be_beaten():
    table = scores().table
    assert table.pooled_skill.max() == 0.8
    assert judged(scores())["better_than_baselines"] is True


def test_a_skill_below_0_beats_no_baseline_however_bad_it_is():
    of = scores(skill=-0.01)
    of.table.loc[of.table.kind == "baseline", "pooled_skill"] = -0.05
    assert judged(of)["better_than_baselines"] is False


@pytest.mark.parametrize("other", [{}, {"skill": 0.015}, {"amplitude": 0.001}, {"chance": False}])
def test_volumes_that_were_learned_from_give_no_verdict_whatever_the_numbers(other):
    verdict = judged(scores(**other), trained_on=True)
    assert verdict["headline"] == "No verdict: the model was trained on these recordings"
    assert flags(verdict) == [None, None, "amplitude" in other]
    assert verdict["sentences"] == [
        "Agreement with volumes that a model has learned from says nothing about new ones."
    ]  # fmt: skip


@pytest.mark.parametrize("other", [{"p": 0.002, "skill": 0.3, "r": 0.9}, {"p": 0.8}, {"chance": False}])
def test_a_constant_image_is_told_whatever_else_the_numbers_say(other):
    verdict = judged(scores(amplitude=0.0042, **other))
    assert verdict["headline"] == "The model gives a constant image"
    assert flags(verdict) == [False, False, True]
    assert len(verdict["sentences"]) == 1
    assert "its standard deviation over time is 0.42 % of the measured one" in told(verdict)


def test_a_prediction_that_hardly_changes_is_remarked_on_but_no_constant_image():
    verdict = judged(scores(amplitude=0.031))
    assert verdict["headline"].startswith("Better than chance")
    assert "The prediction hardly changes over time: its standard deviation over time is 3.1 %" in told(verdict)
    assert "hardly changes" not in told(judged(scores(amplitude=0.05)))


def test_sentences_name_the_best_baseline_with_the_interval_of_the_difference():
    assert (
        "It explains 9.0 % of the changes over time (skill over the mean image); the best baseline that ignores the EEG, time "
        "only, explains 2.0 % (difference, 95 % interval: +3.1 to +11.4 points)."
    ) in told(judged(scores()))
    of = scores()
    of.table.loc[of.table.model == "time only", ["gain_low", "gain_high"]] = np.nan  # too few blocks for an interval
    assert "time only, explains 2.0 %." in told(judged(of))
    assert "interval" not in told(judged(of))


def test_the_best_baseline_is_said_to_explain_nothing_where_it_does_worse():
    of = scores()
    of.table.loc[of.table.kind == "baseline", "pooled_skill"] = [-0.03, -0.004, -0.07]
    assert "schedule only, explains 0.0 % (difference, 95 % interval: +4.1 to +13.4 points)" in told(judged(of))


@pytest.mark.parametrize(("r", "beaten"), [(0.31, True), (0.17, False)])
def test_in_an_unknown_unit_timing_alone_is_compared(r, beaten):
    verdict = judged(scores(r=r, skill=np.nan))
    assert verdict["better_than_baselines"] is beaten
    sentences = told(verdict)
    assert "can't be told without its unit" in sentences
    assert "the best baseline that ignores the EEG, schedule only, reaches 0.18." in sentences
    assert ("but a baseline without EEG does as well" in sentences) is not beaten
    assert "nan" not in sentences
    assert "its size does not" not in sentences


def test_what_chance_gives_stands_beside_r_with_its_p():
    sentences = told(judged(scores()))
    assert (
        "Over the brain, r = 0.31. It is r = 0.28 with the EEG of the same time, against 0.01 in the median of 500 shifts of the "
        "EEG in time (p = 0.002)."
    ) in sentences


def test_models_that_learned_from_half_as_much_are_named_as_such():
    half = told(judged(replace(scores(), learned_from=0.5)))
    assert (
        "r = 0.31. Models that learned from half as much, so that no two of them judge each other, reach r = 0.28"
        in half
    )
    assert "half as much" not in told(judged(scores()))


def test_other_kinds_of_chance_are_told_and_disagreement_is():
    agree = told(judged(scores(others={"phase-randomized EEG": 0.0164, "EEG of another run": 0.0001})))
    assert "against phase-randomized EEG p = 0.016, against EEG of another run p < 0.001." in agree
    assert "agree" not in agree
    for p, p_other in ((0.002, 0.3), (0.3, 0.002)):
        verdict = judged(scores(p=p, others={"phase-randomized EEG": p_other, "EEG of another run": p}))
        assert "These do not all agree (phase-randomized EEG): take the verdict with care." in told(verdict)
        assert verdict["better_than_chance"] is (p < 0.05)  # shifts decide


def test_where_the_model_is_better_is_told_with_the_ceiling_of_each_region():
    p = NOBODY.copy()
    p[[0, 1, 4]] = 0.002, 0.031, 0.0001
    sentences = told(judged(scores(region_p=p)))
    assert "12 % of the voxels are above chance, at most 5 % of them falsely." in sentences
    assert (
        "In 3 of 8 regions, corrected for their number: L0A0S15 (r = 0.50, ceiling 0.80, p = 0.002), L15A0S15 (r = 0.44, "
        "p = 0.031), L60A0S15 (r = 0.26, ceiling 0.70, p < 0.001)."
    ) in sentences
    assert "No region is above chance by itself" in told(judged(scores()))


def test_a_ceiling_that_is_exceeded_is_not_told():
    """It is an estimate."""
    low = scores(region_p=np.full(8, 0.01))
    sentences = told(judged(replace(low, ceilings=np.full(8, 0.45))))
    assert "L0A0S15 (r = 0.50, p = 0.010), L15A0S15 (r = 0.44, ceiling 0.45, p = 0.010)" in sentences


def test_of_many_regions_the_five_best_are_named():
    sentences = told(judged(scores(region_p=np.full(8, 0.01))))
    assert "In 8 of 8 regions" in sentences
    assert "L60A0S15 (r = 0.26, ceiling 0.70, p = 0.010) and 3 more." in sentences
    assert "L75A0S15" not in sentences


@pytest.mark.parametrize("other", [{"p": 0.2}, {"skill": 0.01}])
def test_nothing_is_said_of_where_without_a_good_verdict(other):
    sentences = told(judged(scores(region_p=np.full(8, 0.01), **other)))
    assert "regions" not in sentences
    assert "voxels" not in sentences


def test_a_network_that_adds_nothing_to_the_linear_model_is_told():
    assert "The lagged band-power ridge does as well or better (r = 0.25): the network adds nothing here." in told(
        judged(scores(r=0.24))
    )
    assert "adds nothing" not in told(judged(scores(r=0.26)))
    assert "adds nothing" not in told(judged(scores(r=0.24, p=0.5)))


def test_nothing_is_called_minus_zero():
    of = scores(r=-0.002, skill=-0.0002, p=0.6)
    of.table.loc[of.table.kind == "baseline", ["gain_low", "gain_high"]] = [-0.0004, -0.0001]
    of.table.loc[of.table.kind == "baseline", "pooled_skill"] = -0.0
    for null, p in ((-0.003, 0.6), (-0.0, 0.01)):
        chance = replace(of.chance, pooled_r=-0.001, null_pooled_r=np.full(300, null), p=p)
        for table in (of.table, of.table.assign(pooled_skill=of.table.pooled_skill.where(of.table.kind != "model"))):
            sentences = told(judged(replace(of, chance=chance, table=table)))
            assert not re.search(r"-0(\.0+)?(?![\d.])", sentences), sentences
            assert "r = 0.00 with the EEG of the same time, against 0.00 in the median" in sentences


@pytest.mark.parametrize(
    ("p", "words"), [(0.0499, "p = 0.050"), (0.0006, "p = 0.001"), (0.0004, "p < 0.001"), (0.0, "p < 0.001"), (1, "p = 1.000")]
)  # fmt: skip
def test_p_is_never_said_to_be_0(p, words):
    assert say_p(p) == words
