"""The group level: participants side by side, transfer between them, classification. Reads derivatives only."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.participants import known_participants
from bids_eeg2fmri.bids.recordings import shorten
from bids_eeg2fmri.classification.features import bold_features, eeg_features
from bids_eeg2fmri.classification.validation import FEWEST_PER_GROUP, classify
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError, NothingSelectedError
from bids_eeg2fmri.evaluation.baselines import band_weights
from bids_eeg2fmri.workflow.group_verdict import judge_group
from bids_eeg2fmri.workflow.mean_map import average_maps
from bids_eeg2fmri.workflow.over_participants import average_task, compare_models, over_participants
from bids_eeg2fmri.workflow.progress import Progress
from bids_eeg2fmri.workflow.results import results_of
from bids_eeg2fmri.workflow.scoring import RIDGE
from bids_eeg2fmri.workflow.shared_stimulus import share_stimulus
from bids_eeg2fmri.workflow.transfer import Sample, Transfer, read_sample, transfer
from bids_eeg2fmri.workflow.verdict import judge

# NIfTI's codes of spaces that people have in common: Talairach, MNI152.
STANDARD_CODES = (3, 4)

logger = logging.getLogger(__name__)

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
    work_dir: Path | None = None,
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
    not_asked_for = [label for label in found if labels and label not in labels]
    summaries = [s for s, label in zip(summaries, found, strict=True) if label not in not_asked_for]
    column = _group_column(summaries, group_column)

    _refuse_other_settings(summaries, settings)
    derivatives.remove_group()
    participants = _participants_table(summaries, column)
    own, not_judged = _with_own_model(summaries)
    report("reading samples")
    samples, left_out = _comparable_samples(derivatives, summaries)
    with_bold = [s.participant for s in samples if s.grid is not None]
    report.expect(len(with_bold) + len(set(with_bold)) + 3)  # read, transfer to each; train on all, classify, page
    result: dict[str, Any] = {
        "provenance": dict(provenance),
        "settings": settings.as_dict(),
        "settings_hash": settings.hash,
        "participants": participants.replace({np.nan: None}).to_dict("records"),
        "missing": _missing(derivatives, summaries, not_asked_for),
        "left_out": left_out,
        "not_judged": not_judged,
        "within": {"reason": "no participant has scores that can be tested against chance"},
        "task": average_task(own, seed=seed),
        "shared_stimulus": share_stimulus(derivatives, summaries),
        "group_column": column,
    }
    tables = {"participants": participants}
    models = {}
    if own:
        models["within"] = compare_models(own, seed=seed)
        result["within"] = over_participants(own, seed=seed, alpha=settings.evaluation.alpha)
        result["within"] |= _write_mean_map(derivatives, list(own.values()))
        tables["within"] = _long_table(own)
    try:
        of_group = work_dir / "group" if work_dir is not None else None
        transferred = transfer(derivatives, samples, settings, seed=seed, report=report, work_dir=of_group)
    except Eeg2FmriError as error:
        result["transfer"] = {"reason": str(error)}
        result["classification"] = {"reason": "there is no transfer between participants to classify by"}
    else:
        others = _judge_transfer(transferred, settings)
        tables["transfer"] = _long_table(
            {who: {"scores": scores.table.to_dict("records")} for who, scores in transferred.scores.items()}
        )
        if others:
            models["transfer"] = compare_models(others, seed=seed)
            result["transfer"] = over_participants(others, seed=seed, alpha=settings.evaluation.alpha)
        else:
            result["transfer"] = {"reason": "the runs are too short to tell chance"}
        keys = ("mean_r", "mean_r_low", "mean_r_high", "p")
        transferred.synthesizer.card["scores"] = {k: v for k, v in result["transfer"].items() if k in keys}
        transferred.synthesizer.save(derivatives.model_folder("group"))
        result["transfer"]["bundle"] = "models/group"
        grid = transferred.grid
        result["transfer"]["space"] = grid.space or ("standard" if grid.space_code in STANDARD_CODES else "native")
        image = transferred.grid.image(transferred.mean_r.astype(np.float32))
        result["transfer"]["map"] = derivatives.write_group_map("transfer_r", image).as_posix()
        report("classifying")
        result["classification"], more = _classification(transferred, samples, participants, column, seed)
        tables |= more
    result["models"] = [{"trained": trained} | row for trained, rows in models.items() for row in rows]
    if result["models"]:
        tables["models"] = pd.DataFrame(result["models"])
    if result["task"]:
        tables["task"] = pd.DataFrame(result["task"])
    if "stimuli" in result["shared_stimulus"]:
        tables["shared_stimulus"] = pd.DataFrame(
            [
                {"task": stimulus["task"], "participants": len(stimulus["participants"])} | region
                for stimulus in result["shared_stimulus"]["stimuli"]
                for region in stimulus["regions"]
            ]
        )
    if work_dir is not None:
        shutil.rmtree(work_dir / "group", ignore_errors=True)
    result["verdict"] = judge_group(result, alpha=settings.evaluation.alpha)
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
    mine = json.loads(json.dumps(settings.as_dict()))  # as summaries have them
    for s in summaries:
        theirs = s["settings"]
        if "training" in s and any(theirs.get(stage) != mine[stage] for stage in ("montage", "spectrum", "window")):
            raise InputDataError(
                f"{s['participant_id']}: was processed with other settings for [montage], [spectrum] or [window]; give the group "
                "level the same --config-file"
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


def _with_own_model(
    summaries: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Mapping[str, Any]], list[dict[str, str]]]:
    """Find who was judged by a model of their own; say why the others were not."""
    own: dict[str, Mapping[str, Any]] = {}
    others = []
    for s in summaries:
        if "training" in s and "chance" in s:
            own[s["participant_id"]] = s
            continue
        if "training" in s:
            reason = (s.get("verdict") or {}).get("headline", "not tested against chance")
        elif "model" in s:
            reason = f"a saved model was applied ({s['model'].get('bundle')})"
        else:
            reason = "no BOLD to learn from"
        others.append({"name": s["participant_id"], "reason": reason})
    return own, others


def _write_mean_map(derivatives: Derivatives, summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write the mean map of r of participants' own models; tell where it is and what it can be drawn on."""
    mean = average_maps(derivatives, summaries)
    if mean is None:
        return {}
    models = {s["participant_id"]: (s.get("model") or {}).get("bundle") for s in summaries}
    return {
        "map": derivatives.write_group_map("within_r", mean.r).as_posix(),
        "map_count": derivatives.write_group_map("within_n", mean.count).as_posix(),
        "map_participants": list(mean.participants),
        "map_left_out": mean.left_out,
        "map_bundle": models[mean.participants[0]],
    }


def _long_table(judged: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Put the scores of all participants below each other."""
    rows = [{"participant_id": who} | dict(row) for who, results in judged.items() for row in results["scores"]]
    return pd.DataFrame(rows)


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

    def keep(
        candidates: list[Sample], kind: str, same: Callable[[Sample, Sample], bool], remedy: str = ""
    ) -> list[Sample]:
        if not candidates:
            return candidates
        model = max(candidates, key=lambda s: sum(same(s, other) for other in candidates))
        left_out.extend(
            {"name": s.name, "reason": f"{kind} differ from those of most recordings{remedy}"}
            for s in candidates
            if not same(s, model)
        )
        return [s for s in candidates if same(s, model)]

    samples = keep(samples, "frequencies", lambda a, b: np.array_equal(a.spectrum.freqs_hz, b.spectrum.freqs_hz))
    on_grid = keep(
        [s for s in samples if s.grid is not None],
        "voxel grid or position",
        lambda a, b: a.grid is not None and b.grid is not None and a.grid.same_as(b.grid),
        "; to bring everybody to one space, run the participant level again with --output-spaces MNI152NLin2009aAsym, or on what "
        "fMRIPrep made",
    )
    samples = [s for s in samples if s.grid is None or s in on_grid]
    # A recording of another montage would leave hardly a channel in common.
    samples = keep(
        samples,
        "channels",
        lambda a, b: len(set(a.spectrum.channels) ^ set(b.spectrum.channels)) <= 8,
        "; to bring all recordings to the same ones, name these in [montage] of the settings and run the participant level again",
    )
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
    return replace(
        sample,
        spectrum=sample.spectrum.of(channels),
        level_db=sample.level_db[order],
        positions=sample.positions[order],
    )


def _judge_transfer(transferred: Transfer, settings: Settings) -> dict[str, Mapping[str, Any]]:
    """Give what models of others reach, as a participant's summary does; those alone who can be tested against chance."""
    regions, alpha = transferred.regions, settings.evaluation.alpha
    judged = {
        who: results_of(scores, regions, judge(scores, regions, alpha=alpha))
        for who, scores in transferred.scores.items()
    }
    return {who: results for who, results in judged.items() if "chance" in results}


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


def _missing(
    derivatives: Derivatives, summaries: Sequence[Mapping[str, Any]], not_asked_for: Sequence[str]
) -> list[dict[str, str]]:
    """List who should be here and is not, and recordings that failed."""
    missing = [
        {"name": r["name"], "reason": r["remark"]}
        for s in summaries
        for r in s["recordings"]
        if r["status"] in ("failed", "not used")
    ]
    missing += derivatives.read_failures()
    if not_asked_for:
        names = shorten([f"sub-{label}" for label in not_asked_for])
        return [*missing, {"name": names, "reason": "processed, but not among those of --participant-label"}]
    # The raw data need not be there any more; where they are, they tell who was never processed.
    try:
        known = known_participants(derivatives.source)
    except Eeg2FmriError as error:
        logger.warning("%s", error)
        known = []
    told = {entry["name"] for entry in missing} | {s["participant_id"] for s in summaries}
    for label in known:
        if f"sub-{label}" not in told:
            there = (derivatives.source / f"sub-{label}").is_dir()
            reason = (
                "not processed yet; run the participant level"
                if there
                else "in participants.tsv, but without a folder in the dataset"
            )
            missing.append({"name": f"sub-{label}", "reason": reason})
    return missing
