import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from bids_eeg2fmri.evaluation.task import agree, design_matrix, map_contrasts, split_by_block

TR_S = 2.0
N_VOXELS = 340
ACTIVE, SUPPRESSED = slice(0, 30), slice(30, 50)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def in_blocks(n_volumes=200, n_blocks=4, *, without_eeg=7):
    blocks = np.arange(n_volumes) * n_blocks // n_volumes
    blocks[:without_eeg] = -1
    return blocks


def nuisance_of(blocks):
    middle = (np.arange(len(blocks)) + 0.5) / len(blocks)
    drift = np.cos(np.pi * np.outer(middle, np.arange(4)))
    return np.hstack([drift, blocks[:, None] == np.unique(blocks[blocks >= 0])])[blocks >= 0]


def trials(*kinds, every_s=33.0, duration_s=12.0, end_s=380.0):
    onsets = np.arange(11.0, end_s, every_s)
    return pd.DataFrame({"onset": onsets, "duration": duration_s, "trial_type": np.resize(kinds, len(onsets))})


def ever_since(kind):
    onsets = np.arange(-57.0, 400, 33.0)
    return pd.DataFrame({"onset": onsets, "duration": 33.0, "trial_type": kind})


def design_of(events, blocks):
    return design_matrix(events, nuisance_of(blocks), blocks, tr_s=TR_S)


def noise(rng, n_volumes, size=1.0):
    white = rng.standard_normal((n_volumes, N_VOXELS))
    return (size * lfilter([1], [1, -0.4], white, axis=0)).astype(np.float32)


def responses(course, size=1.5):
    """A response in some voxels, an opposite one in some others."""
    pattern = np.zeros(N_VOXELS)
    pattern[ACTIVE], pattern[SUPPRESSED] = size, -size
    return np.outer(course, pattern).astype(np.float32)


def schedule_only(measured, design, blocks):
    """The average response of the volumes outside of a block, in each block."""
    number = blocks[blocks >= 0]
    predicted = np.zeros_like(measured)
    for block in np.unique(number):
        learned = np.linalg.lstsq(design.matrix[number != block], measured[number != block])[0][0]
        predicted[number == block] = np.outer(design.matrix[number == block, 0], learned)
    return predicted


# -------------------------------------------------------------------------------------------------------- known answers


def test_an_activation_is_found_where_it_was_put_with_its_sign(rng):
    blocks = in_blocks()
    design = design_of(trials("checkerboard"), blocks)
    truth = responses(design.matrix[:, 0])
    maps = map_contrasts(truth + noise(rng, len(truth)), {"separable": truth}, design)["checkerboard"]
    [z], [synthesized] = maps.measured, maps.predicted["separable"]
    assert z[ACTIVE].min() > 3
    assert z[SUPPRESSED].max() < -3
    assert abs(z[50:].mean()) < 0.2
    assert z[50:].std() == pytest.approx(1, abs=0.15)
    assert synthesized[ACTIVE].min() > 3
    assert synthesized[SUPPRESSED].max() < -3
    assert np.abs(synthesized[50:]).max() == 0


@pytest.mark.parametrize("by_block", [False, True])
def test_the_noise_free_prediction_agrees(rng, by_block):
    blocks = in_blocks()
    design = design_of(trials("checkerboard"), blocks)
    truth = responses(design.matrix[:, 0], size=4.0)
    asked = split_by_block(design, blocks) if by_block else design
    maps = map_contrasts(truth + noise(rng, len(truth)), {"separable": truth}, asked)["checkerboard"]
    agreement = agree(maps.measured, maps.predicted["separable"], share=50 / N_VOXELS)
    assert agreement.r > 0.9
    assert agreement.dice > 0.9


def test_the_opposite_prediction_disagrees(rng):
    blocks = in_blocks()
    design = design_of(trials("checkerboard"), blocks)
    truth = responses(design.matrix[:, 0], size=4.0)
    maps = map_contrasts(truth + noise(rng, len(truth)), {"separable": -truth}, design)["checkerboard"]
    agreement = agree(maps.measured, maps.predicted["separable"], share=50 / N_VOXELS)
    assert agreement.r < -0.9
    assert agreement.dice == 0


def test_the_size_of_a_prediction_does_not_matter(rng):
    blocks = in_blocks()
    design = design_of(trials("checkerboard"), blocks)
    truth = responses(design.matrix[:, 0])
    predicted = truth + noise(rng, len(truth), 0.5)
    maps = map_contrasts(truth + noise(rng, len(truth)), {"1": predicted, "2": predicted / 1000}, design)
    large, small = (agree(maps["checkerboard"].measured, maps["checkerboard"].predicted[name]) for name in "12")
    assert small.r == pytest.approx(large.r, abs=5e-3)  # z of t is almost a line
    assert small.dice == pytest.approx(large.dice)
    assert large.r > 0.5


def test_a_prediction_without_the_task_agrees_as_chance_does(rng):
    blocks = in_blocks()
    design = split_by_block(design_of(trials("checkerboard"), blocks), blocks)
    task = design_of(trials("checkerboard"), blocks).matrix[:, 0]
    found = []
    for _ in range(12):
        measured = responses(task) + noise(rng, len(task))
        maps = map_contrasts(measured, {"separable": noise(rng, len(task), 0.3)}, design)["checkerboard"]
        found.append(agree(maps.measured, maps.predicted["separable"]))
    assert abs(np.mean([a.r for a in found])) < 0.05
    assert np.mean([a.dice for a in found]) == pytest.approx(0.025, abs=0.015)


def test_a_prediction_that_is_the_measurement_gives_the_same_map(rng):
    blocks = in_blocks()
    design = design_of(trials("faces", "houses"), blocks)
    measured = noise(rng, len(design.matrix))
    for maps in map_contrasts(measured, {"self": measured}, design).values():
        np.testing.assert_allclose(maps.predicted["self"], maps.measured, atol=1e-3)
        agreement = agree(maps.measured, maps.predicted["self"])
        assert (agreement.r, agreement.dice) == (pytest.approx(1), pytest.approx(1))


def test_the_measured_map_is_that_of_nilearn(rng):
    from nilearn.glm.contrasts import compute_contrast
    from nilearn.glm.first_level import run_glm

    design = design_of(trials("faces", "houses"), in_blocks())
    measured = responses(design.matrix[:, 1]) + noise(rng, len(design.matrix))
    labels, results = run_glm(measured, design.matrix)
    for name, [weights] in design.contrasts.items():
        expected = compute_contrast(labels, results, weights).z_score()
        np.testing.assert_allclose(map_contrasts(measured, {}, design)[name].measured[0], expected, atol=1e-4)


def test_the_map_of_a_whole_run_would_agree_with_the_schedule_where_there_is_no_task_and_those_of_blocks_do_not(rng):
    """Each block's prediction comes from the others, so all of them together have seen the whole run."""
    blocks = in_blocks()
    whole = design_of(trials("checkerboard"), blocks)
    by_block = split_by_block(whole, blocks)
    found = {"whole": [], "by block": []}
    for _ in range(12):
        measured = noise(rng, len(whole.matrix))
        predicted = {"schedule only": schedule_only(measured, whole, blocks)}
        for name, design in (("whole", whole), ("by block", by_block)):
            maps = map_contrasts(measured, predicted, design)["checkerboard"]
            found[name].append(agree(maps.measured, maps.predicted["schedule only"]).r)
    assert np.mean(found["whole"]) > 0.8
    assert abs(np.mean(found["by block"])) < 0.08


def test_the_schedule_explains_the_map_where_the_bold_follows_it(rng):
    blocks = in_blocks()
    design = design_of(trials("checkerboard"), blocks)
    measured = responses(design.matrix[:, 0], 3.0) + noise(rng, len(design.matrix))
    predicted = {"schedule only": schedule_only(measured, design, blocks), "separable": noise(rng, len(measured))}
    maps = map_contrasts(measured, predicted, split_by_block(design, blocks))["checkerboard"]
    agreements = {name: agree(maps.measured, z, share=50 / N_VOXELS) for name, z in maps.predicted.items()}
    assert agreements["schedule only"].r > 0.7
    assert agreements["schedule only"].dice > 0.6
    assert agreements["separable"].r < 0.2


# ------------------------------------------------------------------------------------------------- what is left out of it


def test_volumes_without_a_prediction_are_left_out_of_the_design():
    events = trials("checkerboard")
    everything = design_of(events, in_blocks(without_eeg=0)).matrix[:, 0]
    some = in_blocks(without_eeg=19)
    some[120:131] = -1
    np.testing.assert_allclose(design_of(events, some).matrix[:, 0], everything[some >= 0])


def test_the_mean_of_a_block_and_drift_make_no_map(rng):
    blocks = in_blocks()
    nuisance = nuisance_of(blocks)
    design = design_of(trials("checkerboard"), blocks)
    measured, predicted = noise(rng, len(nuisance)), noise(rng, len(nuisance))
    shifts = [20 * nuisance @ rng.standard_normal((nuisance.shape[1], N_VOXELS)) for _ in range(2)]
    [clean] = map_contrasts(measured, {"separable": predicted}, design).values()
    [shifted] = map_contrasts(measured + shifts[0], {"separable": predicted + shifts[1]}, design).values()
    np.testing.assert_allclose(shifted.measured, clean.measured, atol=1e-3)
    np.testing.assert_allclose(shifted.predicted["separable"], clean.predicted["separable"], atol=1e-3)


@pytest.mark.parametrize("constant", [0.0, 3.7])
def test_what_does_not_change_has_no_map(rng, constant):
    blocks = in_blocks()
    design = design_of(trials("checkerboard"), blocks)
    measured, predicted = noise(rng, len(design.matrix)), noise(rng, len(design.matrix))
    measured[:, 5:9] = constant
    predicted[:, 60:90] = constant
    maps = map_contrasts(measured, {"some": predicted, "none": np.full_like(measured, constant)}, design)
    [z], [some], [none] = maps["checkerboard"].measured, *maps["checkerboard"].predicted.values()
    assert np.flatnonzero(np.isnan(z)).tolist() == [5, 6, 7, 8]
    assert np.abs(some[60:90]).max() == 0
    assert np.nanmax(np.abs(none)) == 0
    assert np.isfinite(agree(z, some).r)
    assert agree(z, none).r == 0
    assert agree(z, none).dice == pytest.approx(0.025, abs=0.002)
    assert map_contrasts(np.full_like(measured, constant), {"some": predicted}, design) == {}


# ------------------------------------------------------------------------------------------------------------- the design


def test_the_course_of_a_condition_peaks_at_1_percent_some_seconds_after_its_events():
    design = design_of(trials("checkerboard", every_s=90.0, duration_s=0.0), in_blocks(without_eeg=0))
    course = design.matrix[:, 0]
    assert course.max() == 1
    assert (np.argmax(course[:40]) + 0.5) * TR_S == pytest.approx(11 + 5, abs=TR_S)


@pytest.mark.parametrize(
    "name", ['<b>"stop signal"</b>', "müde - 疲れ", "nuisance 0", "faces - houses", "constant", "0"]
)
def test_a_condition_may_have_any_name(rng, name):
    design = design_of(trials(name, "faces", "houses"), in_blocks())
    assert list(design.contrasts)[:3] == [name, "faces", "houses"]
    assert design.left_out == {}
    assert list(map_contrasts(noise(rng, len(design.matrix)), {}, design)) == list(design.contrasts)


def test_two_or_three_conditions_are_told_from_each_other_four_are_not():
    assert list(design_of(trials("a", "b"), in_blocks()).contrasts) == ["a", "b", "a - b"]
    three = design_of(trials("a", "b", "c"), in_blocks()).contrasts
    assert list(three) == ["a", "b", "c", "a - b", "a - c", "b - c"]
    assert (three["a - c"] == three["a"] - three["c"]).all()
    assert list(design_of(trials(*"abcd", every_s=25.0), in_blocks()).contrasts) == list("abcd")


def test_events_without_any_type_are_of_one_kind():
    events = trials("checkerboard")
    expected = design_of(events, in_blocks()).matrix
    for table in (events.drop(columns="trial_type"), events.assign(trial_type="n/a"), events.assign(trial_type=np.nan)):
        design = design_of(table, in_blocks())
        assert list(design.contrasts) == ["event"]
        np.testing.assert_array_equal(design.matrix, expected)


def test_events_without_a_type_beside_others_are_left_out():
    events = trials("checkerboard", "n/a", "checkerboard", " ")
    design = design_of(events, in_blocks())
    assert list(design.contrasts) == ["checkerboard"]
    assert design.left_out == {"n/a": "6 events of no kind"}


def test_events_outside_of_the_run_and_unknown_durations_do_no_harm():
    inside = trials("checkerboard", duration_s=0.0)
    others = pd.DataFrame({"onset": [-500.0, -24.0001, 401.0, 9000.0, np.nan], "duration": 1e-5})
    events = pd.concat([inside.assign(duration=np.nan), others.assign(trial_type="checkerboard")])
    np.testing.assert_allclose(design_of(events, in_blocks()).matrix, design_of(inside, in_blocks()).matrix)


def test_an_event_that_began_long_before_the_run_counts_while_it_lasts():
    before = pd.DataFrame({"onset": [-60.0], "duration": [90.0], "trial_type": ["checkerboard"]})
    matrix = design_of(pd.concat([before, trials("checkerboard", every_s=80.0)]), in_blocks(without_eeg=0)).matrix
    assert matrix[:10, 0].min() > 0.4


@pytest.mark.parametrize(
    ("events", "left_out", "reason"),
    [
        (pd.concat([trials("faces"), trials("rare", every_s=200.0)]), "rare", "2 events during the volumes, 3 are needed"),
        (
            pd.concat([trials("faces"), trials("faces").assign(trial_type="same")]),
            "same",
            "its course can't be told from those of faces, drift and means of blocks",
        ),
        # Task and rest that fill the run: the rest is what the task is compared with.
        (trials("rest", "faces", every_s=20.0, duration_s=20.0), "rest", "can't be told from those of faces, drift"),
        (trials("faces", *"bcdefghi", every_s=4.0, duration_s=0.0), "i", "8 others are more frequent"),
        (pd.concat([trials("faces"), ever_since("hum")]), "hum", "can't be told from those of drift and means"),
    ],
)  # fmt: skip
def test_a_condition_that_can_not_be_estimated_is_left_out_and_named(events, left_out, reason):
    design = design_of(events, in_blocks())
    assert "faces" in design.contrasts
    assert left_out not in design.contrasts
    assert list(design.left_out) == [left_out]
    assert reason in design.left_out[left_out]


def test_too_few_volumes_for_a_design_leave_everything_out(rng):
    blocks = in_blocks(34, 4, without_eeg=6)
    design = design_of(trials("checkerboard", every_s=12.0, duration_s=2.0, end_s=60.0), blocks)
    assert design.contrasts == {}
    assert design.left_out == {"checkerboard": "28 volumes are too few for another condition"}
    assert split_by_block(design, blocks).contrasts == {}
    assert map_contrasts(noise(rng, 28), {}, design) == {}


def test_a_block_without_events_is_no_part():
    blocks = in_blocks()
    whole = design_of(trials("checkerboard", end_s=250.0), blocks)
    parts = split_by_block(whole, blocks)
    assert parts.contrasts["checkerboard"].shape == (3, parts.matrix.shape[1])
    assert whole.contrasts["checkerboard"].shape == (1, whole.matrix.shape[1])


def test_a_condition_that_fills_its_blocks_can_not_be_compared_in_them():
    blocks = in_blocks()
    long = pd.DataFrame({"onset": [100.0, 140.0, 170.0], "duration": [40.0, 30.0, 26.0], "trial_type": "long"})
    events = pd.concat([long, trials("short", every_s=25.0, duration_s=3.0)])
    whole = design_matrix(events, np.ones((193, 1)), blocks, tr_s=TR_S)
    assert list(whole.contrasts) == ["short", "long", "short - long"]
    shifted = split_by_block(whole, np.where(blocks >= 0, blocks, -1))
    assert shifted.contrasts["short"].shape[0] == 4
    assert shifted.contrasts["long"].shape[0] < 4


# ------------------------------------------------------------------------------------------------------------ agreement


def test_r_is_that_of_numpy_for_one_map(rng):
    a, b = rng.standard_normal((2, 90))
    assert agree(a, b).r == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_maps_of_parts_are_compared_each_around_its_own_mean(rng):
    a = rng.standard_normal((3, 90))
    b = a + rng.standard_normal((3, 90))
    expected = agree(a, b).r
    assert agree(a + np.array([[5.0], [-5.0], [0.0]]), b + np.array([[-4.0], [4.0], [0.0]])).r == pytest.approx(
        expected
    )
    assert expected > 0.5


def test_voxels_without_a_value_in_a_map_do_not_count(rng):
    a, b = rng.standard_normal((2, 90))
    with_gaps = np.append(a, [np.nan, 80.0]), np.append(b, [70.0, np.nan])
    assert agree(*with_gaps) == agree(a, b)
    assert agree(np.full(4, np.nan), np.ones(4)).r == 0


@pytest.mark.parametrize("constant", [0.0, -2.3, 1 / 3])
def test_constant_maps_agree_as_chance_does(rng, constant):
    a = rng.standard_normal(1000)
    flat = np.full(1000, constant)
    for agreement in (agree(a, flat), agree(flat, a)):
        assert agreement.r == 0
        assert agreement.dice == pytest.approx(0.025, abs=0.01)
    assert agree(flat, np.zeros(1000)).dice == pytest.approx(0.025)


def test_dice_counts_the_strongest_voxels_of_the_same_sign():
    a = np.zeros(40)
    b = np.zeros(40)
    a[:4] = [3, -3, 4, 5]
    b[:5] = [0.1, -0.2, -0.3, 0, 0.2]
    assert agree(a, b, share=0.1).dice == pytest.approx(2 / 4)


def test_voxels_that_tie_for_the_last_places_count_in_part():
    a = np.array([9.0, 8.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    b = np.array([7.0, 6.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert agree(a, b, share=0.3).dice == pytest.approx((1 + 1 + 1 / 3) / 3)
