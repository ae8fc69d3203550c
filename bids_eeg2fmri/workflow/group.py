"""The group level: participants side by side, transfer between them, classification. Reads derivatives only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.classification.features import bold_features, eeg_features
from bids_eeg2fmri.classification.validation import FEWEST_PER_GROUP, classify
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError, NothingSelectedError
from bids_eeg2fmri.evaluation.baselines import band_weights
from bids_eeg2fmri.evaluation.inference import bootstrap_interval, p_of_mean
from bids_eeg2fmri.workflow.progress import Progress
from bids_eeg2fmri.workflow.scoring import BLIND, RIDGE, Scores
from bids_eeg2fmri.workflow.transfer import Sample, Transfer, read_sample, transfer
from bids_eeg2fmri.workflow.verdict import say_p

GROUP_COLUMNS = ("group", "diagnosis")


def process_group(
    derivatives: Derivatives,
    settings: Settings,
    *,
    seed: int,
    labels: Sequence[str],
    group_column: str | None,
    provenance: Mapping[str, Any],
    report: Progress,
) -> dict[str, Any]:
    """Run the group level and write everything but the HTML report.

    Returns
    -------
    dict
        What ``group_summary.json`` holds.

    Raises
    ------
    NothingSelectedError
        If a label or the column does not exist; the message lists what does.
    MissingFilesError
        If the participant level has written nothing.
    """
    summaries = derivatives.read_summaries()
    found = [s["participant_id"].removeprefix("sub-") for s in summaries]
    unknown = [label for label in labels if label not in found]
    if unknown:
        raise NothingSelectedError(
            f"--participant-label {' '.join(unknown)}: not processed yet; there are {', '.join(found)}"
        )
    if labels:
        summaries = [s for s, label in zip(summaries, found, strict=True) if label in labels]
    column = _group_column(summaries, group_column)

    _refuse_other_settings(summaries, settings)
    participants = _participants_table(summaries, column)
    within = _within(summaries, settings, seed)
    report("reading samples")
    samples, left_out = _comparable_samples(derivatives, summaries)
    with_bold = [s.participant for s in samples if s.grid is not None]
    report.expect(len(with_bold) + len(set(with_bold)) + 3)  # read, transfer to each; train on all, classify, page
    result: dict[str, Any] = {
        "provenance": dict(provenance),
        "settings": settings.as_dict(),
        "settings_hash": settings.hash,
        "participants": participants.replace({np.nan: None}).to_dict("records"),
        "missing": _missing(derivatives, summaries),
        "left_out": left_out,
        "within": within,
        "group_column": column,
    }
    tables = {"participants": participants}
    try:
        transferred = transfer(derivatives, samples, settings, seed=seed, report=report)
    except Eeg2FmriError as error:
        result["transfer"] = {"reason": str(error)}
        result["classification"] = {"reason": "there is no transfer between participants to classify by"}
    else:
        result["transfer"], tables["transfer"] = _describe_transfer(transferred, settings, seed)
        keys = ("mean_r", "mean_r_low", "mean_r_high", "p")
        transferred.synthesizer.card["scores"] = {k: v for k, v in result["transfer"].items() if k in keys}
        transferred.synthesizer.save(derivatives.model_folder("group"))
        result["transfer"]["bundle"] = "models/group"
        image = transferred.grid.image(transferred.mean_r.astype(np.float32))
        result["transfer"]["map"] = derivatives.write_group_map("transfer_r", image).as_posix()
        report("classifying")
        result["classification"], more = _classification(transferred, samples, participants, column, seed)
        tables |= more
    result["verdict"] = _verdict(result, settings.evaluation.alpha)
    derivatives.update_participants()
    derivatives.write_group(result, tables)
    return result


def _group_column(summaries: Sequence[Mapping[str, Any]], wanted: str | None) -> str | None:
    columns = sorted({key for s in summaries for key in s["covariates"]})
    if wanted is not None and wanted not in columns:
        raise NothingSelectedError(
            f"--group-column {wanted}: no such column in participants.tsv; there is {', '.join(columns) or 'none'}"
        )
    return wanted or next((c for c in GROUP_COLUMNS if c in columns), None)


def _refuse_other_settings(summaries: Sequence[Mapping[str, Any]], settings: Settings) -> None:
    """Spectra are made at the participant level; other settings for them here would be accepted and ignored."""
    mine = settings.as_dict()
    for s in summaries:
        theirs = s["settings"]
        if "training" in s and any(theirs[stage] != mine[stage] for stage in ("spectrum", "window")):
            raise InputDataError(
                f"{s['participant_id']}: was processed with other settings for [spectrum] or [window]; give the group level "
                "the same --config-file"
            )


def _participants_table(summaries: Sequence[Mapping[str, Any]], column: str | None) -> pd.DataFrame:
    rows = []
    for s in summaries:
        first = s["scores"][0] if "scores" in s else {}
        rows.append(
            {
                "participant_id": s["participant_id"],
                "group": s["covariates"].get(column) if column else None,
                "recordings": sum(r["status"] == "synthesized" for r in s["recordings"]),
                "failed": sum(r["status"] == "failed" for r in s["recordings"]),
                "model": first.get("model"),
                "pooled_r": first.get("pooled_r", np.nan),
                "skill": first.get("pooled_skill", np.nan),
                "ridge_r": next((m["pooled_r"] for m in s.get("scores", []) if m["model"] == RIDGE), np.nan),
                "best_region_r": first.get("best_region_r", np.nan),
                "p": s.get("chance", {}).get("p", np.nan),
                "verdict": s.get("verdict", {}).get("headline", "EEG only"),
            }
        )
    return pd.DataFrame(rows)


def _within(summaries: Sequence[Mapping[str, Any]], settings: Settings, seed: int) -> dict[str, Any]:
    """Judge the participants' own models together."""
    scored = [s for s in summaries if "chance" in s and "training" in s]
    if not scored:
        return {"reason": "no participant has scores that can be tested against chance"}
    nulls = [np.array(s["chance"]["null_pooled_r"]) for s in scored]
    return _over_participants(
        [s["chance"]["pooled_r"] for s in scored],
        [s["scores"][0]["pooled_skill"] for s in scored],
        [max(0.0, *(m["pooled_skill"] for m in s["scores"] if not m["looks_at_eeg"])) for s in scored],
        nulls,
        seed,
    ) | {
        "n_better": sum(
            bool(s["verdict"]["better_than_chance"] and s["verdict"]["better_than_baselines"]) for s in scored
        )
    }


def _over_participants(r, skill, blind_skill, nulls, seed: int) -> dict[str, Any]:
    low, high = bootstrap_interval(np.array(r), seed=seed)
    gain = np.array(skill) - np.array(blind_skill)
    gain_low, gain_high = bootstrap_interval(gain, seed=seed)
    return {
        "n": len(r),
        "mean_r": float(np.mean(r)),
        "mean_r_low": low,
        "mean_r_high": high,
        "mean_skill": float(np.mean(skill)),
        "mean_gain": float(gain.mean()),
        "mean_gain_low": gain_low,
        "mean_gain_high": gain_high,
        "p": p_of_mean(np.array(r), nulls, seed=seed),
    }


def _comparable_samples(
    derivatives: Derivatives, summaries: Sequence[Mapping[str, Any]]
) -> tuple[list[Sample], list[dict[str, str]]]:
    """Read all samples; leave out, with the reason, what can't stand beside the others."""
    samples = [
        read_sample(derivatives, s["participant_id"], r["name"], r["files"]["samples"], r["files"].get("events"))
        for s in summaries
        for r in s["recordings"]
        if "samples" in r["files"]
    ]
    left_out: list[dict[str, str]] = []

    def keep(candidates: list[Sample], kind: str, same: Callable[[Sample, Sample], bool]) -> list[Sample]:
        if not candidates:
            return candidates
        model = max(candidates, key=lambda s: sum(same(s, other) for other in candidates))
        left_out.extend(
            {"name": s.name, "reason": f"{kind} differ from those of most recordings"}
            for s in candidates
            if not same(s, model)
        )
        return [s for s in candidates if same(s, model)]

    samples = keep(samples, "frequencies", lambda a, b: np.array_equal(a.spectrum.freqs_hz, b.spectrum.freqs_hz))
    on_grid = keep(
        [s for s in samples if s.grid is not None],
        "voxel grid or position",
        lambda a, b: a.grid is not None and b.grid is not None and a.grid.same_as(b.grid),
    )
    samples = [s for s in samples if s.grid is None or s in on_grid]
    # A recording of another montage would leave hardly a channel in common.
    samples = keep(samples, "channels", lambda a, b: len(set(a.spectrum.channels) ^ set(b.spectrum.channels)) <= 8)
    if not samples:
        return [], left_out
    common = [c for c in samples[0].spectrum.channels if all(c in s.spectrum.channels for s in samples)]
    most = max(len(s.spectrum.channels) for s in samples)
    if len(common) < most / 2:
        raise InputDataError(
            f"expected at least half of {most} channels in every recording, found {len(common)} that are good in all of "
            "them; leave recordings with many bad channels out with --participant-label"
        )
    return [_with_channels(s, common) for s in samples], left_out


def _with_channels(sample: Sample, channels: list[str]) -> Sample:
    order = [sample.spectrum.channels.index(c) for c in channels]
    spectrum = replace(sample.spectrum, power=sample.spectrum.power[:, order], channels=tuple(channels))
    return replace(sample, spectrum=spectrum, level_db=sample.level_db[order], positions=sample.positions[order])


def _describe_transfer(transferred: Transfer, settings: Settings, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    name = settings.training.architecture
    rows = [
        {"participant_id": who} | row
        for who, scores in transferred.scores.items()
        for row in scores.table.to_dict("records")
    ]
    chances = {who: s.chance for who, s in transferred.scores.items() if s.chance is not None}
    if not chances:
        return {"reason": "the runs are too short to tell chance"}, pd.DataFrame(rows)
    described = _over_participants(
        [c.pooled_r for c in chances.values()],
        [transferred.scores[who].voxels[name].pooled_skill for who in chances],
        [max(0.0, *_blind_skills(transferred.scores[who])) for who in chances],
        [c.null_pooled_r for c in chances.values()],
        seed,
    )
    described["by_participant"] = [
        {
            "participant_id": who,
            "pooled_r": c.pooled_r,
            "p": c.p,
            "ridge_r": transferred.scores[who].voxels[RIDGE].pooled_r,
            "best_region_r": float(transferred.scores[who].regions[name].r.max()),
            "null_low": float(np.percentile(c.null_pooled_r, 2.5)),
            "null_high": float(np.percentile(c.null_pooled_r, 97.5)),
        }
        for who, c in chances.items()
    ]
    return described, pd.DataFrame(rows)


def _blind_skills(scores: Scores) -> list[float]:
    return [scores.voxels[name].pooled_skill for name in BLIND if name in scores.voxels]


def _classification(
    transferred: Transfer, samples: Sequence[Sample], participants: pd.DataFrame, column: str | None, seed: int
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    if column is None:
        return {"reason": "participants.tsv has no column group or diagnosis; name one with --group-column"}, {}
    table = participants.set_index("participant_id").group.dropna()
    who = [p for p in transferred.courses if p in table.index]
    groups = table[who].astype(str).to_numpy()
    counts = pd.Series(groups).value_counts()
    if len(counts) != 2:
        return {"reason": f"column {column} has {len(counts)} values among the participants; two are needed"}, {}
    if counts.min() < FEWEST_PER_GROUP:
        told = ", ".join(f"{n} {name}" for name, n in counts.items())
        return {"reason": f"at least {FEWEST_PER_GROUP} participants of each group are needed; there are {told}"}, {}
    bands = band_weights(samples[0].spectrum.freqs_hz)
    own = {p: [s.spectrum.power + s.level_db for s in samples if s.participant == p] for p in who}
    features = {
        "synthesized BOLD": np.stack([bold_features(transferred.courses[p]) for p in who]),
        "EEG power": np.stack([eeg_features(own[p], bands) for p in who]),
    }
    result = classify(features, groups, who, seed=seed)
    described = {
        "column": column,
        "groups": {str(name): int(n) for name, n in counts.items()},
        "table": result.table.to_dict("records"),
    }
    return described, {"classification": result.table, "probabilities": result.probability}


def _missing(derivatives: Derivatives, summaries: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """List who should be here and is not, and recordings that failed."""
    missing = [
        {"name": r["name"], "reason": r["remark"]}
        for s in summaries
        for r in s["recordings"]
        if r["status"] in ("failed", "not used")
    ]
    return missing + derivatives.read_failures()


def _verdict(result: Mapping[str, Any], alpha: float) -> dict[str, Any]:
    sentences = []
    better = {}
    for key, what in (
        ("within", "Trained on each participant's own recordings"),
        ("transfer", "Transferred between participants"),
    ):
        part = result[key]
        if "mean_r" not in part:
            sentences.append(f"{what}: no verdict ({part['reason']}).")
            continue
        # With one participant there is no interval, and nothing to compare with 0.
        low = part["mean_gain_low"]
        better[key] = bool(part["p"] < alpha and part["mean_gain"] > 0 and not low <= 0)
        interval = f"95 % interval {part['mean_r_low']:.2f} to {part['mean_r_high']:.2f}; " if part["n"] > 1 else ""
        sentences.append(
            f"{what}: {'better' if better[key] else 'no better'} than chance and than baselines that ignore the EEG; "
            f"mean r = {part['mean_r']:.2f} over {part['n']} participants ({interval}{say_p(part['p'])} against shifts in "
            f"time), skill beyond the best such baseline "
            f"{100 * part['mean_gain']:+.1f} %."
        )
    if not better:
        headline = "No verdict: nobody was scored"
    elif any(better.values()):
        where = " and ".join(
            name
            for key, name in (("within", "within participants"), ("transfer", "between participants"))
            if better.get(key)
        )
        headline = f"Better than chance {where}"
    else:
        headline = "No better than chance"
    return {
        "headline": headline,
        "better_than_chance": any(better.values()) if better else None,
        "sentences": sentences,
    }
