"""Run participants one after the other: one's failure is nobody else's, and the exit code does not lie."""

import contextlib
import datetime
import logging
import platform
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_eeg2fmri import __version__
from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.index import Filters, index_dataset
from bids_eeg2fmri.bids.pairing import refuse_idle_pairs
from bids_eeg2fmri.bids.pipelines import find_pipelines
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.errors import Eeg2FmriError, MissingFilesError, NothingSelectedError, OutputError
from bids_eeg2fmri.workflow.progress import Dashboard, tell
from bids_eeg2fmri.workflow.remaking import SOME_FAILED, of_dataset, write_methods

logger = logging.getLogger(__name__)

SOFTWARE_ERROR = 70


@dataclass(frozen=True)
class Job:
    """What the command line asked for.

    Attributes
    ----------
    named : mapping
        Name to folder of the derivatives that the user points to.
    work_dir : Path or None
        Where an interrupted training finds how far it came.
    fine_tune : bool
        Whether the bundle is tuned to each participant.
    open_log : callable
        Is given the file to log to once there is an output to write it to.
    """

    dataset: Path
    output: Path
    settings: Settings
    seed: int
    n_cpus: int
    device: str
    filters: Filters
    named: Mapping[str, Path]
    bundle: Path | None
    work_dir: Path | None
    fine_tune: bool
    command: str
    open_log: Callable[[Path], None]


def run_participants(job: Job, subjects: Sequence[str], *, stop_on_first_crash: bool) -> int:
    """Process participants; print what became of them; return the exit code."""
    if (job.bundle is None or job.fine_tune) and not any(job.dataset.glob("sub-*/**/func/*_bold.nii*")):
        raise MissingFilesError(
            f"{job.dataset}: expected BOLD (func/*_bold.nii.gz) to learn from, found none; apply a saved model with "
            "--model BUNDLE"
        )
    refuse_idle_pairs(job.dataset, job.settings.pair_templates)
    pipelines = [p for p in find_pipelines(job.dataset, job.named) if p.root.resolve() != job.output.resolve()]
    derivatives = Derivatives(job.output, job.dataset, {pipeline.name: pipeline.root for pipeline in pipelines})
    derivatives.create()
    job.open_log(derivatives.create_log("participant"))
    from bids_eeg2fmri.training.engine import start_engine

    engine = start_engine(seed=job.seed, n_cpus=job.n_cpus, device=job.device)
    # What needs Keras is imported after it was started quietly.
    from bids_eeg2fmri.reports.participant import participant_report
    from bids_eeg2fmri.workflow.account import Task
    from bids_eeg2fmri.workflow.participant import process_participant

    origin = provenance(job, engine)
    task = Task(
        job.dataset,
        derivatives,
        job.settings,
        job.seed,
        job.filters,
        job.bundle,
        origin,
        pipelines,
        job.work_dir,
        job.fine_tune,
    )
    done: list[str] = []
    failures: dict[str, list[tuple[str, int]]] = {}
    nothing_selected: dict[str, NothingSelectedError] = {}
    with Dashboard(len(subjects)) as dashboard:
        for subject in subjects:
            progress = dashboard.begin(f"sub-{subject}")
            faults: list[tuple[str, int]] = []
            try:
                failed_recordings = process_participant(task, subject, progress)
                progress("report")
                summary = derivatives.read_summary(subject)
                derivatives.write_report(f"sub-{subject}", participant_report(derivatives, summary))
                done.append(subject)
                faults = [(f"{name}: {error}", error.exit_code) for name, error in failed_recordings]
            except NothingSelectedError as error:
                nothing_selected[subject] = error
                progress.finish("left out, the filters select nothing")
                continue
            except Eeg2FmriError as error:
                faults = [(str(error), error.exit_code)]
                logger.debug("sub-%s", subject, exc_info=True)
            except Exception as error:
                faults = [(f"software error: {error!r}; run again with -v -v and report it", SOFTWARE_ERROR)]
                logger.debug("sub-%s", subject, exc_info=True)
            except KeyboardInterrupt:
                if subject not in derivatives.list_done():  # what an earlier run wrote may still stand
                    with contextlib.suppress(OutputError):
                        derivatives.write_failure(subject, "stopped (Ctrl-C) before it was finished")
                raise
            if subject not in done:
                with contextlib.suppress(OutputError):  # a full disk has been told already
                    derivatives.remove_participant(subject)
                    derivatives.write_failure(subject, "; ".join(message for message, _ in faults))
            headline = (
                "failed"
                if subject not in done
                else derivatives.read_summary(subject).get("verdict", {}).get("headline")
            )
            progress.finish(headline or "EEG only, prepared for the group level")
            if faults:
                failures[subject] = faults
                if stop_on_first_crash:
                    break

    if nothing_selected and len(nothing_selected) == len(subjects):
        raise next(iter(nothing_selected.values()))
    for subject in done:
        print(job.output / f"sub-{subject}.html")
    for subject, faults in failures.items():
        for message, _ in faults:
            state = "partly failed" if subject in done else "failed"
            tell(f"sub-{subject} {state}: {message}", logging.ERROR)
    if done:
        write_methods(derivatives, of_dataset([derivatives.read_summary(subject) for subject in done]))
    if not failures:
        return 0
    codes = {code for faults in failures.values() for _, code in faults}
    return codes.pop() if not done and len(codes) == 1 else SOME_FAILED


def run_group(job: Job, *, labels: Sequence[str], group_column: str | None) -> int:
    """Run the group level on what participants wrote; return the exit code."""
    derivatives = Derivatives(job.output, job.dataset)
    derivatives.read_summaries()  # before anything slow: is there something to read?
    job.open_log(derivatives.create_log("group"))
    from bids_eeg2fmri.training.engine import start_engine

    engine = start_engine(seed=job.seed, n_cpus=job.n_cpus, device=job.device)
    from bids_eeg2fmri.reports.group import group_report
    from bids_eeg2fmri.workflow.group import process_group

    origin = provenance(job, engine)
    with Dashboard() as dashboard:
        progress = dashboard.begin("group")
        summary = process_group(
            derivatives,
            job.settings,
            seed=job.seed,
            labels=labels,
            group_column=group_column,
            provenance=origin,
            report=progress,
            work_dir=job.work_dir,
        )
        progress("report")
        # As it was written, so that --reports-only makes the same page.
        path = derivatives.write_report("group", group_report(derivatives, derivatives.read_group_summary()))
        progress.finish(summary["verdict"]["headline"])
    write_methods(derivatives, summary)
    print(path)
    return 0


def write_boilerplate(job: Job, level: str) -> int:
    """Write how these settings do it, in words for a paper, and nothing else; print where."""
    derivatives = Derivatives(job.output, job.dataset)
    derivatives.create()
    job.open_log(derivatives.create_log(level))
    about = {
        "settings": job.settings.as_dict(),
        "settings_hash": job.settings.hash,
        "provenance": provenance(job, None),
    }
    for path in write_methods(derivatives, about):
        print(path)
    return 0


def print_plan(
    dataset: Path,
    subjects: Sequence[str],
    settings: Settings,
    filters: Filters,
    *,
    named: Mapping[str, Path],
    with_model: bool,
) -> int:
    """Print which files belong together and why, where the first volume is, and what would be written.

    Headers and markers are read, no signals.
    """
    from bids_eeg2fmri.workflow.plan import plan_participant

    refuse_idle_pairs(dataset, settings.pair_templates)
    pipelines = find_pipelines(dataset, named)
    files = index_dataset(dataset, subjects)
    rows = [("recording", "decision", "reason", "alignment", "would write")]
    errors = []
    faults: list[tuple[str, Eeg2FmriError]] = []
    for subject in subjects:
        try:
            plan = plan_participant(
                dataset, subject, settings, filters, files=files[subject], pipelines=pipelines, read_signals=False
            )
        except NothingSelectedError as error:
            errors.append(error)
            continue
        except Eeg2FmriError as error:
            faults.append((subject, error))
            continue
        for planned in plan:
            r = planned.recording
            synthesized = planned.error is None and (r.paired or (r.eeg is not None and with_model))
            alignment = "n/a"
            if planned.alignment is not None:
                alignment = "; ".join([planned.alignment.evidence, *planned.alignment.notes])
            elif planned.error is not None:
                alignment = f"failed: {planned.error}"
            output = f"{r.name}_desc-synth_bold.nii.gz" if synthesized else "n/a"
            made = (
                [f"BOLD as {r.preprocessed.pipeline.name} made it: {r.preprocessed.path.name}"]
                if r.preprocessed
                else []
            )
            rows.append((r.name, r.status, "; ".join([r.reason, *made]), alignment, output))
    if len(errors) == len(subjects):
        raise errors[0]
    if len(faults) == len(subjects):
        raise faults[0][1]
    for row in rows:
        print("\t".join(" ".join(cell.split()) for cell in row))
    counts = Counter(decision for _, decision, *_ in rows[1:])
    unaligned = sum(alignment.startswith("failed") for *_, alignment, _ in rows[1:])
    told = [f"{count} {decision}" for decision, count in counts.most_common()]
    if unaligned:
        told.append(f"{unaligned} of the pairs not aligned")
    n = len(rows) - 1
    print(f"{n} recording{'' if n == 1 else 's'}: {', '.join(told) or 'none'}", file=sys.stderr)
    for subject, fault in faults:
        print(f"sub-{subject} failed: {fault}", file=sys.stderr)
    return SOME_FAILED if faults else 0


def provenance(job: Job, engine: str | None) -> dict[str, Any]:
    """What a reader needs to repeat a result; the log tells it too."""
    return describe_run(job.command, seed=job.seed, engine=engine)


def describe_run(command: str, *, seed: int, engine: str | None) -> dict[str, Any]:
    """See :func:`provenance`."""
    from importlib.metadata import version

    packages = (
        "keras",
        "tensorflow",
        "mne",
        "mne-bids",
        "pybids",
        "nibabel",
        "nilearn",
        "dipy",
        "numpy",
        "scipy",
        "pandas",
    )
    versions = {"bids_eeg2fmri": __version__, "python": platform.python_version()}
    versions |= {package: version(package) for package in packages}
    told = [
        *(f"{package} {number}" for package, number in versions.items()),
        *([f"engine: {engine}"] if engine else []),
    ]
    logger.info("%s", ", ".join(told))
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "engine": engine,
        "random_seed": seed,
        "versions": versions,
    }
