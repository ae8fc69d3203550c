"""Numbers of participants taken together: what they say of these people, and of the people they were drawn from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bids_eeg2fmri.evaluation.inference import (
    bootstrap_interval,
    p_by_sign_flips,
    p_by_sign_flips_of_each,
    p_of_mean,
)
from bids_eeg2fmri.workflow.blind import SCHEDULE
from bids_eeg2fmri.workflow.scoring import RIDGE

# For each participant the baseline that explains most. It is chosen by what it is judged by, which favors it.
BEST_BLIND = "best baseline of each"
MEDIANS = (
    *("region_r_median", "share_significant", "amplitude"),
    *("spatial_r_median", "connectivity_r", "spectral_r", "pooled_r_no_global"),
)


def over_participants(judged: Mapping[str, Mapping[str, Any]], *, seed: int, alpha: float) -> dict[str, Any]:
    """Judge participants together.

    Two questions are asked, and their answers may differ. ``p``: do the predictions of these participants, taken together,
    agree better than predictions shifted in time? Each is compared with what chance gives in that participant, so that
    many volumes make up for few participants; it says nothing of anybody else. ``p_population`` and
    ``p_gain_population``: would that hold for the people they were drawn from? Signs are flipped over participants; n of
    them can't give less than 1 / 2**n.

    Parameters
    ----------
    judged : mapping of participant to results
        As :func:`bids_eeg2fmri.workflow.results.results_of` gives them, with ``chance``, or a summary that holds them.
    alpha : float
        From which p on a participant counts as no better than chance.

    Returns
    -------
    dict
        Means with 95 % intervals over participants: ``mean_r``, ``mean_skill``, and ``mean_gain``, skill beyond that of the
        best baseline of each, which is at least that of the mean image. ``mean_chance_r``: r of the models that are
        tested against chance, see ``learned_from``. ``others``: p against other kinds of chance. ``regions``: mean r, and
        p by sign flips, corrected for their number. ``by_participant``.
    """
    people = [_describe(who, results, alpha) for who, results in judged.items()]
    r, chance_r, gain = (np.array([p[key] for p in people]) for key in ("pooled_r", "chance_r", "gain"))
    nulls = [np.array(results["chance"]["null_pooled_r"]) for results in judged.values()]
    excess = chance_r - [null.mean() for null in nulls]
    known = [p["collapsed"] for p in people if p["collapsed"] is not None]
    return {
        "n": len(people),
        **_mean(r, "mean_r", seed),
        "p": p_of_mean(chance_r, nulls, seed=seed),
        "p_population": p_by_sign_flips(excess, seed=seed),
        "mean_skill": float(np.mean([p["pooled_skill"] for p in people])),
        **_mean(gain, "mean_gain", seed),
        "p_gain_population": p_by_sign_flips(gain, seed=seed),
        **_mean(chance_r, "mean_chance_r", seed),
        "learned_from": min(float(results["chance"].get("learned_from") or 1) for results in judged.values()),
        "n_better": sum(p["better"] for p in people),
        "n_collapsed": sum(known) if known else None,
        "others": _against_others(judged, seed),
        "regions": _regions(judged, seed),
        "by_participant": people,
    }


def compare_models(judged: Mapping[str, Mapping[str, Any]], *, seed: int) -> list[dict[str, Any]]:
    """Set every model beside the baselines over participants.

    Returns
    -------
    list of dict
        The participants' own model first, then the best baseline of each, then the others. ``model``, ``kind``,
        ``looks_at_eeg``, ``n``: participants who have it; means with 95 % intervals of ``pooled_r``, ``pooled_skill``, and
        ``gain``, skill of the participant's model minus that of this one; of the other columns of the table of scores the
        median over participants, NaN where nobody has it.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for results in judged.values():
        rows = _complete(results["scores"])
        first = rows[0]
        best = _best_blind(rows) | {"model": BEST_BLIND}
        for row in (first, best, *rows[1:]):
            gain = np.nan if row is first else first["pooled_skill"] - row["pooled_skill"]
            found.setdefault(row["model"], []).append(row | {"gain": gain})
    compared = []
    for name, rows in found.items():
        told: dict[str, Any] = {"model": name, "kind": rows[0]["kind"], "looks_at_eeg": rows[0]["looks_at_eeg"]}
        told["n"] = len(rows)
        for key in ("pooled_r", "pooled_skill", "gain"):
            told |= _mean(np.array([row[key] for row in rows]), key, seed)
        # The best baseline is another one in each participant: its map or spectrum is nobody's.
        others = {} if name == BEST_BLIND else {key: [_number(row, key) for row in rows] for key in MEDIANS}
        told |= {key: _median(others.get(key, [])) for key in MEDIANS}
        compared.append(told)
    # Participants may have been given different architectures.
    return sorted(compared, key=lambda row: row["kind"] != "model")


def average_task(judged: Mapping[str, Mapping[str, Any]], *, seed: int) -> list[dict[str, Any]]:
    """Average the agreement of task maps over participants, each the mean of its recordings.

    Returns
    -------
    list of dict
        Of each task, condition and model: ``n``, mean ``r`` with 95 % interval, mean ``dice``, and ``gain``, what the
        participant's own model is above this one in r, with its interval; for the schedule, ``p_population``: whether that
        holds for the people they were drawn from.
    """
    # (task, condition) -> model -> participant -> [(r, dice)]
    found: dict[tuple[str, str], dict[str, dict[str, list[tuple[float, float]]]]] = {}
    for who, results in judged.items():
        for row in results.get("task") or []:
            if np.isfinite(_number(row, "r")):
                by_model = found.setdefault((task_of(str(row.get("recording") or "")), str(row["condition"])), {})
                agreement = (_number(row, "r"), _number(row, "dice"))
                by_model.setdefault(str(row["model"]), {}).setdefault(who, []).append(agreement)
    averaged = []
    for (task, condition), by_model in found.items():
        means = {
            model: {who: np.mean(rows, axis=0) for who, rows in people.items()} for model, people in by_model.items()
        }
        first = next(iter(means))
        for model, people in means.items():
            r, dice = np.array(list(people.values())).T
            both = [who for who in people if who in means[first]] if model != first else []
            gain = np.array([means[first][who][0] - people[who][0] for who in both])
            averaged.append(
                {"task": task, "condition": condition, "model": model, "n": len(r)}
                | _mean(r, "r", seed)
                | {"dice": float(dice.mean())}
                | _mean(gain, "gain", seed)
                | {"p_population": p_by_sign_flips(gain, seed=seed) if model == SCHEDULE and len(gain) else None}
            )
    return averaged


def task_of(recording: str) -> str:
    """Give the task in the name of a recording, empty if there is none."""
    return next((part[5:] for part in recording.split("_") if part.startswith("task-")), "")


def _describe(who: str, results: Mapping[str, Any], alpha: float) -> dict[str, Any]:
    rows, chance, verdict = _complete(results["scores"]), results["chance"], results.get("verdict") or {}
    first, best = rows[0], _best_blind(rows)
    gain = first["pooled_skill"] - best["pooled_skill"]
    low, high = np.percentile(chance["null_pooled_r"], [2.5, 97.5])
    return {
        "participant_id": who,
        "pooled_r": first["pooled_r"],
        "pooled_skill": first["pooled_skill"],
        "best_baseline": best["model"],
        "gain": gain,
        "best_region_r": _number(first, "best_region_r"),
        "ridge_r": next((row["pooled_r"] for row in rows if row["model"] == RIDGE), np.nan),
        "chance_r": float(chance["pooled_r"]),
        "p": float(chance["p"]),
        "null_low": float(low),
        "null_high": float(high),
        "others": [{"kind": other["kind"], "p": other["p"]} for other in chance.get("others") or []],
        "better": bool(chance["p"] < alpha and gain > 0),
        "collapsed": verdict.get("collapsed"),
        "skills": {row["model"]: row["pooled_skill"] for row in rows} | {BEST_BLIND: best["pooled_skill"]},
    }


def _complete(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add the kind of each model, where the summary of an older version lacks it."""
    kinds = ["model", *("linear" if row["looks_at_eeg"] else "baseline" for row in rows[1:])]
    return [{"kind": kind} | dict(row) for kind, row in zip(kinds, rows, strict=True)]


def _best_blind(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the baseline that explains most; the mean image explains nothing, and nothing worse has to be beaten."""
    nothing = {"model": "mean image", "kind": "baseline", "looks_at_eeg": False, "pooled_r": 0.0, "pooled_skill": 0.0}
    blind = [dict(row) for row in rows if row["kind"] == "baseline" and row["pooled_skill"] > 0]
    return max(blind, key=lambda row: row["pooled_skill"], default=nothing)


def _against_others(judged: Mapping[str, Mapping[str, Any]], seed: int) -> list[dict[str, Any]]:
    found: dict[str, list[tuple[float, np.ndarray]]] = {}
    for results in judged.values():
        for other in results["chance"].get("others") or []:
            if other.get("null_pooled_r"):
                null = np.array(other["null_pooled_r"], dtype=float)
                found.setdefault(str(other["kind"]), []).append((float(results["chance"]["pooled_r"]), null))
    return [
        {
            "kind": kind,
            "n": len(pairs),
            "p": p_of_mean(np.array([r for r, _ in pairs]), [null for _, null in pairs], seed=seed),
        }
        for kind, pairs in found.items()
    ]


def _regions(judged: Mapping[str, Mapping[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Average regions that all participants have, the highest first."""
    tables = [{region["name"]: _number(region, "r") for region in results["regions"]} for results in judged.values()]
    names = [name for name in tables[0] if all(np.isfinite(table.get(name, np.nan)) for table in tables)]
    if not names:
        return []
    r = np.array([[table[name] for name in names] for table in tables])
    p = p_by_sign_flips_of_each(r, seed=seed)
    rows = [
        {"name": name, "r": float(mean), "p": float(value)}
        for name, mean, value in zip(names, r.mean(0), p, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["r"])


def _mean(values: np.ndarray, key: str, seed: int) -> dict[str, float]:
    """Give the mean over participants with its 95 % interval; NaN where it is known of nobody."""
    values = values[np.isfinite(values)]
    low, high = bootstrap_interval(values, seed=seed)
    return {key: float(values.mean()) if len(values) else np.nan, f"{key}_low": low, f"{key}_high": high}


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else np.nan


def _number(row: Mapping[str, Any], key: str) -> float:
    value = row.get(key)
    return np.nan if value is None else float(value)
