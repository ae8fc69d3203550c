"""What is simulated is what scores say, and chance is told of what models were asked for."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.config import EvaluationSettings, Settings
from bids_eeg2fmri.evaluation.chance import Forecast, compare_with, shifted
from bids_eeg2fmri.workflow.scoring import PHASES, PHASES_OF_PREDICTION, RIDGE, Said, nuisance, score

SETTINGS = Settings(evaluation=EvaluationSettings(n_shifts=150))
LENGTHS = (110, 90)
N_VOXELS, N_COUPLED = 60, 36
REGIONS = Regions(("L15A0S15", "R15A0S15", "L15P30S45"), np.repeat([0, 1, 2], [20, 37, 3]))
BLOCKS = [np.arange(n) * 4 // n for n in LENGTHS]


def slow(rng, n_volumes, n):
    return lfilter([1], [1, -0.5], rng.standard_normal((n_volumes + 30, n)), axis=0)[30:].astype(np.float32)


def simulate(seed, *, coupling=1.0, lengths=LENGTHS):
    """Two courses that the EEG tells reach the first 36 voxels of 60; give what is measured, what is told, and how it spreads."""
    rng = np.random.default_rng(seed)
    spread = np.zeros((2, N_VOXELS), np.float32)
    spread[:, :N_COUPLED] = rng.choice([-1, 1], (2, N_COUPLED)) * rng.uniform(0.7, 1.3, (2, N_COUPLED))
    told = [slow(rng, n, 2) for n in lengths]
    measured = [coupling * t @ spread + slow(rng, n, N_VOXELS) for t, n in zip(told, lengths, strict=True)]
    return measured, told, spread


def predict(told, spread, rng):
    """What a good model says, less than all of it, and what the others do."""
    good = [0.6 * t @ spread for t in told]
    return {
        "separable": [g + 0.05 * slow(rng, *g.shape) for g in good],
        RIDGE: [0.5 * g + 0.3 * slow(rng, *g.shape) for g in good],
        "time only": [0.2 * slow(rng, *g.shape) for g in good],
        "mean image": [np.zeros_like(g) for g in good],
        "global signal": [0.2 * g for g in good],
    }


def score_simulated(seed=0, *, coupling=1.0, said=None, blocks=BLOCKS, lengths=LENGTHS):
    measured, told, spread = simulate(seed, coupling=coupling, lengths=lengths)
    predicted = predict(told, spread, np.random.default_rng([seed, 1]))
    tr_s = [2.0] * len(lengths)
    return score(measured, predicted, blocks, tr_s=tr_s, regions=REGIONS, settings=SETTINGS, seed=0, said=said)


def ask(seed=0, *, models=(0, 1), lengths=LENGTHS, surrogates=0):
    """Two models, one for each half of a run, that tell the same in bases of different signs."""
    _, told, spread = simulate(seed, lengths=lengths)
    rng = np.random.default_rng([seed, 2])
    signs = np.array([1, -1])[:, None, None]
    coefficients = [signs * t[None] + 0.2 * rng.standard_normal((2, *t.shape)) for t in told]
    return Said(
        [np.repeat(models, [n // 2, n - n // 2]) for n in lengths],
        {"separable": coefficients},
        (signs * spread[None]).astype(np.float32),
        [[rng.standard_normal(t.shape) for t in told] for _ in range(surrogates)],
    )


@pytest.fixture(scope="module")
def coupled():
    return score_simulated()


def test_every_row_says_what_kind_of_model_it_is(coupled):
    table = coupled.table.set_index("model")
    assert table.kind.to_dict() == {
        "separable": "model",
        RIDGE: "linear",
        "time only": "baseline",
        "mean image": "baseline",
        "global signal": "reference",
    }
    assert table.index[table.looks_at_eeg].tolist() == ["separable", RIDGE]
    assert coupled.model == "separable"


@pytest.mark.parametrize("model", ["own mean image", "schedule only", "nuisance only"])
def test_whatever_ignores_the_eeg_is_a_baseline(model):
    measured, _, _ = simulate(0)
    predicted = {name: [np.zeros_like(m) for m in measured] for name in ("foreign model", model)}
    table = score(
        measured, predicted, BLOCKS, tr_s=[2.0, 2.0], regions=REGIONS, settings=SETTINGS, seed=0
    ).table.set_index("model")
    assert table.kind.to_dict() == {"foreign model": "model", model: "baseline"}


def test_numbers_are_those_that_were_simulated(coupled):
    first = coupled.table.iloc[0]
    # Of a coupled voxel with spread 1, two thirds are signal, of which 0.6 is told.
    assert first.voxel_r_75 == pytest.approx(np.sqrt(2 / 3), abs=0.1)
    assert first.voxel_r_25 == pytest.approx(0, abs=0.2)
    assert first.pooled_skill == pytest.approx(0.84 * 2 * 0.6 / (2 * 0.6 + 1), abs=0.07)
    assert first.amplitude == pytest.approx(0.6 * np.sqrt(1.2 / 2.2), abs=0.06)
    blind = coupled.table.set_index("model").loc["mean image"]
    assert [blind.pooled_r, blind.pooled_skill, blind.amplitude] == pytest.approx([0, 0, 0], abs=1e-6)


def test_intervals_hold_the_number_that_they_are_about(coupled):
    for _, row in coupled.table.iterrows():
        for key in ("pooled_r", "pooled_skill"):
            assert row[f"{key}_low"] <= row[key] <= row[f"{key}_high"]
    changing = coupled.table[coupled.table.model != "mean image"]
    assert ((changing.pooled_r_high - changing.pooled_r_low) > 0.005).all()


def test_gains_are_of_the_first_model_over_the_others_and_the_first_has_none(coupled):
    table = coupled.table
    assert table.loc[0, ["gain", "gain_low", "gain_high"]].isna().all()
    rest = table[1:]
    np.testing.assert_allclose(rest.gain, table.pooled_skill[0] - rest.pooled_skill)
    assert (rest.gain_low < rest.gain).all()
    assert (rest.gain < rest.gain_high).all()
    assert (rest.gain_low > 0).all()


@pytest.mark.parametrize("asked", [False, True])
def test_the_share_of_voxels_above_chance_is_that_which_is_coupled(asked):
    said = ask() if asked else None
    scores = score_simulated(said=said)
    shares = scores.table.set_index("model").share_significant
    assert shares["separable"] == pytest.approx(N_COUPLED / N_VOXELS, abs=0.05)
    assert shares.drop("separable").isna().all()  # nobody was asked about them
    assert scores.chance.p < 0.01


def test_hardly_a_voxel_is_above_chance_where_nothing_is_coupled():
    shares = [score_simulated(seed, coupling=0.0).table.share_significant[0] for seed in range(5)]
    assert np.mean(shares) < 0.02
    assert np.median(shares) == 0


def test_a_constant_of_the_models_that_tell_chance_is_no_timing():
    """Their parts, halves here, need not be those of the scores, whole runs here."""
    whole = [np.zeros(n, dtype=int) for n in LENGTHS]
    said = ask()
    shifted = {"separable": [c + np.array([[[3.0]], [[-2.0]]]) for c in said.coefficients["separable"]]}
    chance, other = (score_simulated(said=s, blocks=whole).chance for s in (said, replace(said, coefficients=shifted)))
    assert chance.pooled_r > 0.3
    assert other.pooled_r == pytest.approx(chance.pooled_r, abs=1e-4)
    np.testing.assert_allclose(other.null_pooled_r, chance.null_pooled_r, atol=1e-4)


def test_of_every_model_that_was_asked_the_share_is_told():
    said = ask()
    said = replace(said, coefficients=said.coefficients | {RIDGE: [0 * c for c in said.coefficients["separable"]]})
    shares = score_simulated(said=said).table.set_index("model").share_significant
    assert shares[RIDGE] == 0
    assert shares.index[shares.notna()].tolist() == ["separable", RIDGE]


def test_no_model_exceeds_what_a_region_tells_of_itself():
    """Twenty voxels share a course of variance 1 and have noise of variance 9 each: 1 in 1.45 of the mean's variance is shared."""
    rng = np.random.default_rng(3)
    measured = []
    for n in (400, 300):
        shared = rng.standard_normal((n, 2))
        measured.append((shared[:, [0] * 20 + [1] * 40] + 3 * rng.standard_normal((n, 60))).astype(np.float32))
    blocks = [np.zeros(len(m), int) for m in measured]
    predicted = {"mean image": [np.zeros_like(m) for m in measured]}
    scores = score(measured, predicted, blocks, tr_s=[2.0, 2.0], regions=REGIONS, settings=SETTINGS, seed=0)
    np.testing.assert_allclose(scores.ceilings[:2], [np.sqrt(1 / (1 + 9 / 20)), np.sqrt(1 / (1 + 9 / 37))], atol=0.02)
    assert np.isnan(scores.ceilings[2])  # three voxels can't be halved


def test_neither_side_is_judged_by_the_mean_of_a_block():
    measured, told, spread = simulate(5)
    good = [0.6 * t @ spread for t in told]
    levels = np.random.default_rng(0).normal(0, 3, (4, N_VOXELS)).astype(np.float32)
    predicted = {"plain": good, "by block": [g + levels[b] for g, b in zip(good, BLOCKS, strict=True)]}
    table = score(measured, predicted, BLOCKS, tr_s=[2.0, 2.0], regions=REGIONS, settings=SETTINGS, seed=0).table
    for key in ("pooled_r", "pooled_skill", "amplitude", "region_r_median"):
        assert table[key][1] == pytest.approx(table[key][0], abs=1e-4)


def test_volumes_that_were_not_predicted_have_no_say():
    measured, told, spread = simulate(6)
    blocks = [np.where(np.arange(len(b)) < 13, -1, b) for b in BLOCKS]
    predicted = {"separable": [0.6 * t @ spread for t in told]}
    options = {"tr_s": [2.0, 2.0], "regions": REGIONS, "settings": SETTINGS, "seed": 0}
    scores = score(measured, predicted, blocks, **options)
    poison = [np.where(b[:, None] < 0, 1e4, m).astype(np.float32) for m, b in zip(measured, blocks, strict=True)]
    again = score(poison, predicted, blocks, **options)
    assert again.table.equals(scores.table)
    assert again.chance.p == scores.chance.p


def test_volumes_that_nobody_predicts_to_tell_chance_are_scored_all_the_same():
    everything = score_simulated(said=ask())
    said = ask(models=(0, -1))
    partly = score_simulated(said=said)
    left_out = ["share_significant"]
    assert partly.table.drop(columns=left_out).equals(everything.table.drop(columns=left_out))
    np.testing.assert_array_equal(partly.ceilings, everything.ceilings)
    # Chance is what the first halves alone give.
    measured, _, _ = simulate(0)
    halves = []
    for m, model, c in zip(measured, said.model, said.coefficients["separable"], strict=True):
        rows = model >= 0
        out = nuisance(model, tr_s=2.0, drift_period_s=128.0)
        halves.append(Forecast(m[rows], out, model[rows], c[:, rows], said.bases))
    expected = compare_with(halves, shifted(halves, shortest=[15, 15], n_draws=150, seed=0), labels=REGIONS.labels)
    assert partly.chance.pooled_r == pytest.approx(expected.pooled_r)
    assert partly.chance.pooled_r != pytest.approx(everything.chance.pooled_r, abs=1e-4)
    np.testing.assert_allclose(partly.chance.null_pooled_r, expected.null_pooled_r)


def test_a_run_that_nobody_predicts_to_tell_chance_still_lends_its_eeg():
    """So it is with two runs that are held out one after the other: the second would be judged by what learned from it."""
    said = ask(surrogates=19)
    said = replace(said, model=[said.model[0], np.full(LENGTHS[1], -1)])
    scores = score_simulated(said=said)
    assert scores.chance.p < 0.05
    assert list(scores.others) == [PHASES, "EEG of another run"]
    assert [len(other.null_pooled_r) for other in scores.others.values()] == [19, 150]
    # The other run's EEG is really looked at: were it the first one's, the null would be as good as the prediction.
    own = said.coefficients["separable"][0]
    same = replace(said, coefficients={"separable": [own, own[:, : LENGTHS[1]]]})
    assert score_simulated(said=same).others["EEG of another run"].null_pooled_r.max() > 0.6
    assert scores.others["EEG of another run"].null_pooled_r.max() < 0.5


def test_chance_is_told_of_what_was_asked_for_and_of_nothing_else():
    one_run = {"lengths": LENGTHS[:1], "blocks": BLOCKS[:1]}
    assert list(score_simulated(**one_run).others) == [PHASES_OF_PREDICTION]
    assert list(score_simulated(said=ask(lengths=LENGTHS[:1]), **one_run).others) == []
    assert list(score_simulated(said=ask(lengths=LENGTHS[:1], surrogates=20), **one_run).others) == [PHASES]
    assert list(score_simulated(said=ask()).others) == ["EEG of another run"]
    assert list(score_simulated(said=ask(surrogates=20)).others) == [PHASES, "EEG of another run"]
    stranger = [[np.random.default_rng(7).standard_normal((2, 140, 2))]]
    said = replace(ask(lengths=LENGTHS[:1]), others=stranger, kind="EEG of another participant")
    assert list(score_simulated(said=said, **one_run).others) == ["EEG of another participant"]


def test_what_is_coupled_is_above_every_kind_of_chance():
    scores = score_simulated(said=ask(surrogates=39))
    assert scores.chance.p == pytest.approx(1 / 151)
    assert [other.p for other in scores.others.values()] == pytest.approx([1 / 40, 1 / 151])


def test_how_much_was_learned_from_is_passed_on():
    assert score_simulated(said=replace(ask(), share=0.5)).learned_from == 0.5
    assert score_simulated().learned_from == 1.0


def test_runs_too_short_to_be_shifted_have_scores_but_no_chance():
    lengths = (30, 29)  # 30 s are 15 volumes, in either direction
    blocks = [np.arange(n) // 8 for n in lengths]
    scores = score_simulated(lengths=lengths, blocks=blocks)
    assert scores.chance is None
    assert scores.others == {}
    assert scores.table.share_significant.isna().all()
    assert scores.table.pooled_r[0] > 0.5


def test_a_run_too_short_to_be_shifted_is_left_out_of_chance_only():
    lengths = (100, 28)
    blocks = [np.arange(n) // 25 for n in lengths]
    both = score_simulated(lengths=lengths, blocks=blocks)
    assert len(both.chance.null_pooled_r) == 71  # shifts of the first run by 15 to 85 volumes
    assert both.chance.pooled_r != pytest.approx(both.table.pooled_r[0], abs=1e-6)
