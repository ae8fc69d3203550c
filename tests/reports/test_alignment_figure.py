from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bids_eeg2fmri.reports.alignment import describe_clock, draw_alignment

TR_S = 2.1


def entry(
    n_volumes: int = 30,
    *,
    start_s: float = 5.3,
    duration_s: float = 75.0,
    missing: Sequence[int] = (),
    others_s: Sequence[float] = (),
    **changes: Any,
) -> dict[str, Any]:
    """Give the entry of a recording as the participant level writes it, markers late by 0 and 0.4 ms in turn."""
    onset_s = start_s + TR_S * np.arange(n_volumes)
    residual_ms: list[float | None] = np.where(np.arange(n_volumes) % 2, 0.4, 0.0).tolist()
    for volume in {*missing, *np.flatnonzero((onset_s < 0) | (onset_s >= duration_s)).tolist()}:
        residual_ms[volume] = None
    alignment = {"onset_s": onset_s.tolist(), "residual_ms": residual_ms, "others_s": list(others_s)}
    alignment |= {"eeg_duration_s": duration_s, "code": "Response/R128", "drift_ppm": 12.4, "jitter_ms": 0.2}
    return {"tr_s": TR_S, "first_volume_s": start_s, "alignment": alignment | changes}


def alt(of: dict[str, Any]) -> str:
    picture = draw_alignment(of)
    assert picture is not None
    return picture.alt


def test_the_figure_tells_its_numbers_in_words():
    text = alt(entry())
    assert "EEG file: 0 to 75.0 s; 30 volumes with a marker; the first volume starts at 5.300 s" in text
    assert "the last ends at 68.3 s" in text
    assert "12.4 parts per million longer than the BOLD file says: 0.8 ms by the last volume" in text
    assert "by 0.20 ms (standard deviation), at most by 0.40 ms" in text


def test_volumes_without_a_marker_are_counted_and_named():
    text = alt(entry(missing=(4, 9, 10)))
    assert "27 volumes with a marker; 3 volumes without a marker: placed by the clock model" in text
    assert "counted from 0: 4, 9 to 10" in text


@pytest.mark.parametrize(
    ("start_s", "duration_s", "told"), [(-10.0, 75.0, "5 at the start and 0"), (5.3, 60.0, "0 at the start and 3")]
)
def test_volumes_outside_the_eeg_are_not_taken_for_missing_markers(start_s, duration_s, told):
    text = alt(entry(start_s=start_s, duration_s=duration_s))
    assert f"without EEG: {told} at the end" in text
    assert "without a marker" not in text


def test_markers_of_no_volume_are_told_by_where_they_are():
    text = alt(entry(others_s=(1.1, 3.2, 20.8, 68.4)))
    assert "4 other markers of the same code" in text
    assert "other markers: 2 before the first volume, 1 during the series, 1 after it" in text


def test_without_any_marker_there_is_a_timeline_and_nothing_is_said_of_jitter():
    bare = entry(residual_ms=[None] * 30, jitter_ms=None, drift_ppm=0.0, code="")
    picture, whole = draw_alignment(bare), draw_alignment(entry())
    assert picture is not None
    assert whole is not None
    assert "30 volumes placed without markers" in picture.alt
    assert "No volume has a marker, so nothing tells jitter and drift." in picture.alt
    assert "nothing that the placement could be compared with" in picture.caption
    assert picture.height_px < 0.6 * whole.height_px


def test_onsets_by_the_gradient_artefact_are_not_called_markers():
    picture = draw_alignment(entry(code="gradient artefact of stretch 1", residual_ms=[0.0] * 30))
    assert picture is not None
    assert "30 volumes seen by the gradient artefact" in picture.alt
    assert "marker" not in picture.alt
    assert "no volume markers" in picture.caption


@pytest.mark.parametrize("n_volumes", [1, 30, 1000])
def test_any_number_of_volumes_makes_a_picture_of_moderate_size(n_volumes):
    picture = draw_alignment(entry(n_volumes, duration_s=2200.0, missing=range(7, n_volumes, 9), others_s=(2150.0,)))
    assert picture is not None
    assert picture.width_px < 520
    assert picture.height_px < 520
    assert len(picture.uri) < 400_000


def test_a_summary_of_an_older_run_places_its_residuals_by_the_repetition_time():
    old = entry()
    for key in ("onset_s", "others_s", "eeg_duration_s", "code"):
        del old["alignment"][key]
    text = alt(old)
    assert text.startswith(
        "Timeline. 30 volumes with a marker; the first volume starts at 5.300 s, the last ends at 68.3 s"
    )


@pytest.mark.parametrize("alignment", [None, {}, {"evidence": "R128"}, {"residual_ms": [0.1, None]}])
def test_without_onsets_there_is_no_picture(alignment):
    of = {"tr_s": TR_S, "first_volume_s": None, "alignment": alignment}
    assert draw_alignment(of) is None
    assert describe_clock(of) == []
