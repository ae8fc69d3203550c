"""What tests say of a plan, and how they compare it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def statuses(plan: Iterable[Any]) -> dict[str, str]:
    """Tell each planned recording as ``EEG file + BOLD file`` and what was decided on it."""
    return {
        " + ".join(path.name for path in (planned.recording.eeg, planned.recording.bold) if path): (
            planned.recording.status
        )
        for planned in plan
    }


def assert_order_and_words(plan: list[Any]) -> None:
    """Whatever was decided, it is in order, has a reason, and a number or a problem where a pair is concerned."""
    names = [planned.recording.name for planned in plan]
    assert names == sorted(names)
    for planned in plan:
        recording = planned.recording
        assert recording.reason
        assert (recording.status == "paired") == (recording.eeg is not None and recording.bold is not None)
        if recording.status == "paired":
            assert (planned.alignment is None) == (planned.problem is not None), recording.name
        else:
            assert planned.alignment is None


def assert_onsets(planned: Any, onsets_s: np.ndarray, *, within_s: float = 0.0025) -> None:
    """Every volume lies where it was put; markers are rounded to samples, so not to the last digit."""
    assert planned.problem is None
    assert planned.alignment.onsets_s.shape == onsets_s.shape
    np.testing.assert_allclose(planned.alignment.onsets_s, onsets_s, rtol=0, atol=within_s)
    assert planned.alignment.evidence


def assert_refused(planned: Any, *numbers: object) -> None:
    """A pair whose volumes can't be placed says so, with the numbers."""
    assert planned.recording.status == "paired"
    assert planned.alignment is None
    assert planned.problem
    for number in numbers:
        assert re.search(rf"(?<![\d.]){re.escape(str(number))}(?![\d])", planned.problem), planned.problem


def by_bold(plan: Iterable[Any]) -> Mapping[str, Any]:
    """Find the planned recordings by the name of their BOLD file, without its extension and suffix."""
    return {planned.recording.bold.name.partition("_bold.")[0]: planned for planned in plan if planned.recording.bold}
