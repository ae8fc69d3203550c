"""Command line: arguments in, exit code out. Imports nothing heavy before the arguments are known to be right."""

import argparse
import contextlib
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from bids_eeg2fmri import __version__
from bids_eeg2fmri.errors import Eeg2FmriError, MissingFilesError, UsageError
from bids_eeg2fmri.workflow.progress import TOLD, printable, tell

logger = logging.getLogger(__name__)

LEVELS = ("participant", "group")
UNKNOWN_LEVEL = 17
USAGE = 64
STOPPED = 130

# An architecture of another package.
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
# What may stand beside an option that makes something anew and nothing else.
_ALWAYS = {"bids_dir", "output_dir", "analysis_level", "verbose", "n_cpus", "notrack", "skip_bids_validation"}
_BESIDE = {
    "reports_only": {"participant_label"},
    "boilerplate_only": {"config_file", "model", "random_seed", "assume_start_together", "output_spaces"},
}

_EPILOG = """\
exit codes: 0 done; 1 some participants failed, the others are done; 16 not a BIDS dataset; 17 unknown level;
18 the filters select nothing; 64 usage; 65 input data incorrect; 66 files missing; 70 software error;
73 output cannot be created; 130 stopped by Ctrl-C. Documentation: README.md of the project.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}\nTry `{self.prog} --help`.\n")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = _Parser(
        prog="bids_eeg2fmri",
        description="Synthesize fMRI (BOLD) from EEG, after learning from simultaneous EEG-fMRI. A BIDS App.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", type=Path, help="folder of the BIDS dataset; never written to")
    parser.add_argument("output_dir", type=Path, help="folder of the derivatives")
    parser.add_argument(
        "analysis_level",
        metavar="{participant,group}",
        help="participant: align, train or apply a model, synthesize, score. group: transfer between participants, "
        "classify, report; reads only what the participant level wrote",
    )
    parser.add_argument("--version", action="version", version=f"bids_eeg2fmri {__version__}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="-v: a line per stage; -v -v: everything")

    select = parser.add_argument_group("selection (labels with or without sub-, ses-, ...; or a file, one per line)")
    for entity in ("participant", "session", "task", "run"):
        select.add_argument(f"--{entity}-label", nargs="+", default=[], metavar="LABEL")
    select.add_argument(
        "--bids-filter-file",
        type=Path,
        metavar="JSON",
        help='e.g. {"eeg": {"acquisition": "clean"}, "bold": {"run": "1"}}',
    )
    select.add_argument(
        "--assume-start-together",
        action="store_true",
        help="where neither volume markers nor the gradient artefact nor scans.tsv help, let the first volume start with the "
        "EEG file",
    )
    select.add_argument("--list-participants", action="store_true", help="print the labels that are selected, and stop")
    select.add_argument(
        "--skip-bids-validation", action="store_true", help="do not ask for a proper dataset_description.json"
    )

    other = parser.add_argument_group("what other pipelines made of the dataset")
    other.add_argument(
        "-d",
        "--derivatives",
        nargs="+",
        default=[],
        metavar="NAME=PATH",
        help="preprocessed BOLD as fMRIPrep writes it, cleaned EEG; they are used in place of what was recorded. fMRIPrep's in "
        "bids_dir/derivatives are found without it",
    )
    other.add_argument(
        "--output-spaces",
        nargs="+",
        default=[],
        metavar="SPACE",
        help="the one space to work in: native, T1w or a template such as MNI152NLin2009cAsym[:res-2], as the derivatives have "
        "it; recorded BOLD is normalized to MNI152NLin2009aAsym",
    )

    method = parser.add_argument_group("method")
    method.add_argument("--config-file", type=Path, metavar="TOML", help="settings; see docs/settings.md")
    method.add_argument(
        "--model", metavar="NAME|BUNDLE", help="architecture to train, or folder of a saved model to apply"
    )
    method.add_argument(
        "--fine-tune",
        action="store_true",
        help="with --model BUNDLE: tune the saved model to each participant, whose volumes are held out in turn",
    )
    method.add_argument("--random-seed", type=int, default=0, metavar="N", help="same seed, same result; default 0")
    method.add_argument(
        "--group-column", metavar="COLUMN", help="of participants.tsv, to classify by; default: group or diagnosis"
    )

    resources = parser.add_argument_group("resources")
    resources.add_argument("--n-cpus", type=int, metavar="N", help="threads; default: what this process may use")
    resources.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    resources.add_argument(
        "-w",
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="keep here how far training came: a run that was stopped goes on when it is given again; emptied when done",
    )

    running = parser.add_argument_group("running")
    running.add_argument(
        "--dry-run", action="store_true", help="print what would be paired, aligned and written, and stop"
    )
    running.add_argument("--stop-on-first-crash", action="store_true", help="do not go on after a failed participant")
    running.add_argument(
        "--reports-only",
        action="store_true",
        help="make the pages and the methods text anew from what earlier runs wrote; nothing is computed",
    )
    running.add_argument(
        "--boilerplate-only",
        action="store_true",
        help="write the methods of these settings in words for a paper, logs/CITATION.md and .bib, and stop",
    )
    running.add_argument(
        "--notrack", action="store_true", help="there is no telemetry; accepted for the sake of scripts"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the app; return the exit code."""
    arguments = [_hyphens(a) for a in (sys.argv[1:] if argv is None else argv)]
    options = build_parser().parse_args(arguments)
    if options.analysis_level not in LEVELS:
        print(
            f"bids_eeg2fmri: unknown level {options.analysis_level!r}; expected participant or group", file=sys.stderr
        )
        return UNKNOWN_LEVEL
    with _logging(options.verbose) as logs:
        try:
            code = _run(options, shlex.join(["bids_eeg2fmri", *arguments]), logs)
        except KeyboardInterrupt:
            tell("bids_eeg2fmri: stopped by Ctrl-C", logging.ERROR)
            code = STOPPED
        except Eeg2FmriError as error:
            logger.debug("stopped", exc_info=True)
            tell(f"bids_eeg2fmri: {error}", logging.ERROR)
            code = error.exit_code
        except Exception as error:
            logger.debug("stopped", exc_info=True)
            tell(f"bids_eeg2fmri: software error: {error!r}; run again with -v -v and report it", logging.ERROR)
            code = Eeg2FmriError.exit_code
        logger.info("exit code %d", code, extra={TOLD: True})
        if code and logs.file is not None:
            print(f"log: {logs.file}", file=sys.stderr)
    return code


def _run(options: argparse.Namespace, command: str, logs: "_Logs") -> int:
    from bids_eeg2fmri.bids.recordings import check_dataset, list_participants

    n_cpus = options.n_cpus if options.n_cpus is not None else available_cpus()
    if n_cpus < 1:
        raise UsageError(f"--n-cpus: expected at least 1, found {n_cpus}")
    # Before numpy is imported: its threads are counted then.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(n_cpus)
    if not 0 <= options.random_seed < 2**32:
        raise UsageError(f"--random-seed: expected a number from 0 to {2**32 - 1}, found {options.random_seed}")
    _refuse_useless(options)

    def open_log(path: Path) -> None:
        logs.open(path)
        logger.info("%s", command, extra={TOLD: True})

    if options.reports_only:
        return _remake_reports(options, open_log)
    check_dataset(options.bids_dir, validate=not options.skip_bids_validation)

    filters = _filters(options)
    if options.analysis_level == "participant":
        subjects = list_participants(options.bids_dir, _labels(options.participant_label, "sub-"))
        if options.list_participants:
            print("\n".join(subjects))
            return 0
    from bids_eeg2fmri.config import load_settings
    from bids_eeg2fmri.models.registry import refuse_unknown
    from bids_eeg2fmri.workflow import executor

    bundle, overrides = _model(options.model)
    if options.output_spaces:
        overrides["bold"] = {"space": _space(options.output_spaces)}
    if options.assume_start_together:
        overrides["alignment"] = {"assume_start_together": True}
    settings = load_settings(options.config_file, overrides)
    refuse_unknown(settings.training.architecture)
    if options.analysis_level == "participant" and options.dry_run:
        return executor.print_plan(
            options.bids_dir,
            subjects,
            settings,
            filters,
            named=_named(options.derivatives),
            with_model=bundle is not None,
        )
    job = executor.Job(
        dataset=options.bids_dir,
        output=options.output_dir,
        settings=settings,
        seed=options.random_seed,
        n_cpus=n_cpus,
        device=options.device,
        filters=filters,
        named=_named(options.derivatives),
        bundle=bundle,
        work_dir=_work_dir(options),
        fine_tune=options.fine_tune,
        command=command,
        open_log=open_log,
    )
    if options.boilerplate_only:
        return executor.write_boilerplate(job, options.analysis_level)
    if options.analysis_level == "group":
        return executor.run_group(
            job, labels=_labels(options.participant_label, "sub-"), group_column=options.group_column
        )
    return executor.run_participants(job, subjects, stop_on_first_crash=options.stop_on_first_crash)


def _work_dir(options: argparse.Namespace) -> Path | None:
    if options.work_dir is not None and options.work_dir.resolve().is_relative_to(options.bids_dir.resolve()):
        raise UsageError(
            f"--work-dir {options.work_dir}: lies inside the dataset, which is never written to; choose another one"
        )
    return options.work_dir


def _refuse_useless(options: argparse.Namespace) -> None:
    """Refuse options that the level has no use for: nothing is accepted and ignored."""
    participant_only = (
        *("session_label", "task_label", "run_label", "bids_filter_file", "list_participants", "dry_run"),
        *("stop_on_first_crash", "assume_start_together", "derivatives", "output_spaces", "fine_tune"),
    )
    useless = participant_only if options.analysis_level == "group" else ("group_column",)
    for name in useless:
        if getattr(options, name):
            other = "participant" if options.analysis_level == "group" else "group"
            raise UsageError(f"{_flag(name)}: is for the {other} level; leave it out")
    if options.analysis_level == "group" and options.model and Path(options.model).is_dir():
        raise UsageError("--model: the group level trains; a saved model is applied at the participant level")
    for only, beside in _BESIDE.items():
        if getattr(options, only):
            unset = vars(build_parser().parse_args(["", "", ""]))
            for name, value in vars(options).items():
                if value != unset[name] and name not in {only, *_ALWAYS, *beside}:
                    raise UsageError(f"{_flag(name)}: is of no use with {_flag(only)}; leave one of them out")
    if options.fine_tune and not (options.model and Path(options.model).is_dir()):
        raise UsageError("--fine-tune: tunes a saved model; name its folder with --model")
    if options.reports_only and options.participant_label and options.analysis_level == "group":
        raise UsageError(
            "--participant-label: the page of the group is of those that the group level was run on; leave it out"
        )
    if options.boilerplate_only and options.model and Path(options.model).is_dir():
        raise UsageError("--model: the run that applies a saved model writes its methods; leave --boilerplate-only out")


def _remake_reports(options: argparse.Namespace, open_log: Callable[[Path], None]) -> int:
    from bids_eeg2fmri.bids.derivatives import Derivatives
    from bids_eeg2fmri.workflow.remaking import remake_group, remake_participants

    derivatives = Derivatives(options.output_dir, options.bids_dir)
    if options.analysis_level == "group":
        return remake_group(derivatives, open_log)
    return remake_participants(derivatives, _labels(options.participant_label, "sub-"), open_log)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def available_cpus() -> int:
    """Count the processors that this process may use: affinity, container quota, SLURM; never the machine's number."""
    counts = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    if os.environ.get("SLURM_CPUS_PER_TASK", "").isdigit():
        counts.append(int(os.environ["SLURM_CPUS_PER_TASK"]))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            counts.append(max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no such controller here
    return max(1, min(counts))


def _filters(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Filters by suffix: ``{"eeg": {"task": ["rest"]}, "bold": {...}}``."""
    by_option = {
        entity: _labels(getattr(options, f"{entity}_label"), prefix)
        for entity, prefix in (("session", "ses-"), ("task", "task-"), ("run", "run-"))
    }
    chosen: dict[str, Any] = {entity: labels for entity, labels in by_option.items() if labels}
    filters = {"eeg": dict(chosen), "bold": dict(chosen)}
    path = options.bids_filter_file
    if path is None:
        return filters
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise MissingFilesError(f"{path}: no readable file with filters; check --bids-filter-file") from error
    except ValueError as error:
        raise UsageError(f"{path}: expected JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(
            f'{path}: expected an object such as {{"eeg": {{"task": "rest"}}}}, found {type(content).__name__}'
        )
    for suffix, entities in content.items():
        if suffix not in filters:
            continue  # one file may serve several apps
        if not isinstance(entities, dict):
            raise UsageError(f"{path}: {suffix}: expected an object of entities, found {entities!r}")
        for entity, wanted in entities.items():
            if entity not in ("datatype", "suffix", "extension") and wanted != "*":
                filters[suffix][entity] = None if wanted is None else [str(w) for w in _list(wanted)]
    return filters


def _named(values: Sequence[str]) -> dict[str, Path]:
    """``fmriprep=/data/fmriprep``; a path alone has the name of its folder."""
    named: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals:
            name, path = Path(value).resolve().name, value
        if not path or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise UsageError(
                f"--derivatives {value}: expected NAME=PATH with a name of letters and digits, such as fmriprep=/data/fmriprep"
            )
        if name in named or name == "raw":
            raise UsageError(
                f"--derivatives {value}: expected a name for each folder, found {name!r} taken; choose another"
            )
        named[name] = Path(path)
    return named


def _space(values: Sequence[str]) -> str:
    """The other names that fMRIPrep has for the spaces of a participant."""
    if len(values) > 1:
        raise UsageError(
            f"--output-spaces: expected one space, found {' '.join(values)}; run once for each, into a folder of its own"
        )
    return {"anat": "T1w", "func": "native", "bold": "native", "boldref": "native", "run": "native"}.get(
        values[0], values[0]
    )


def _list(value: object) -> list:
    return value if isinstance(value, list) else [value]


def _labels(values: Sequence[str], prefix: str) -> list[str]:
    labels: list[str] = []
    for value in values:
        path = Path(value)
        if (os.sep in value or path.suffix) and path.is_file():
            labels += [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        elif os.sep in value:
            raise MissingFilesError(f"{value}: expected a label or a file with one label per line, found no such file")
        else:
            labels.append(value)
    return [label.removeprefix(prefix) for label in labels]


def _model(model: str | None) -> tuple[Path | None, dict[str, dict[str, Any]]]:
    """A folder is a bundle, a name or a dotted path an architecture."""
    if model is None:
        return None, {}
    from bids_eeg2fmri.models.registry import list_architectures

    if model in list_architectures() or (_DOTTED.fullmatch(model) and not Path(model).exists()):
        return None, {"training": {"architecture": model}}
    if Path(model).is_dir():
        return Path(model), {}
    raise UsageError(
        f"--model {model}: expected the folder of a saved model or one of {', '.join(list_architectures())}, found neither"
    )


def _hyphens(argument: str) -> str:
    """``--participant_label`` is ``--participant-label``."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


class _Logs:
    """Where our loggers write: as much as -v says on stderr, everything in the file of the run once it has one."""

    def __init__(self, verbose: int):
        self.file: Path | None = None
        terminal = _Terminal({0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG))
        terminal.setFormatter(_Line("%(asctime)s %(name)s: %(message)s"))
        terminal.addFilter(lambda record: not hasattr(record, TOLD))
        self.handlers: list[logging.Handler] = [terminal]
        logging.getLogger().addHandler(terminal)

    def open(self, path: Path) -> None:
        handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(_Line("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
        logging.getLogger().addHandler(handler)
        self.file = path
        self.handlers.append(handler)

    def close(self) -> None:
        for handler in self.handlers:
            logging.getLogger().removeHandler(handler)
            with contextlib.suppress(OSError):  # a full disk, which the output has met as well
                handler.close()


class _Terminal(logging.Handler):
    """Write to what is stderr at that moment: while there are bars, that is above them."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record)).rstrip("\n")


class _LogFile(logging.FileHandler):
    """A log that can't be written any more is not worth stopping the work, nor a traceback per line."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on."""


@contextlib.contextmanager
def _logging(verbose: int) -> Iterator[_Logs]:
    """Configure logging for one run."""
    ours = logging.getLogger("bids_eeg2fmri")
    logs, level = _Logs(verbose), ours.level
    ours.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    try:
        yield logs
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        logs.close()
