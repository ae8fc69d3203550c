"""Judge anybody's predicted BOLD: ``python -m bids_eeg2fmri.evaluation PREDICTED MEASURED [options]``.

The rooms of this package take numbers; files are read, and baselines fitted, by ``bids_eeg2fmri.workflow``, which is imported
once the arguments are known to be right. No other module here knows of it.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bids_eeg2fmri.errors import Eeg2FmriError, UsageError

_PROG = "python -m bids_eeg2fmri.evaluation"
INTERRUPTED = 130
_DESCRIPTION = """\
Judge a predicted BOLD series against the measured one: is it better than chance, and better than what needs no EEG?

It is assumed that one model predicted the series and that it has not seen the measured volumes: not in training, not in
its choice of settings. Nobody can tell that from the files. Baselines are fitted on the measured run, each block of it
predicted from the others.
"""
_EPILOG = """\
Several runs of one participant: PREDICTED MEASURED PREDICTED MEASURED ..., and --events, --eeg, --confounds and --blocks once
for each of them, in the same order. docs/evaluation.md of the project tells what is computed and how to read it.

exit codes: 0 judged, whatever the verdict; 64 usage; 65 input data incorrect; 66 files missing; 70 software error;
73 output cannot be created; 130 stopped by Ctrl-C.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(UsageError.exit_code, f"{self.prog}: {message}\nTry `{self.prog} --help`.\n")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = _Parser(
        prog=_PROG,
        usage="%(prog)s PREDICTED MEASURED [PREDICTED MEASURED ...] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="PREDICTED MEASURED",
        help="4-D NIfTI of the same volumes on one voxel grid; the measured one as preprocessed intensities",
    )
    known = parser.add_argument_group("what else is known of the runs")
    known.add_argument(
        "--mask", type=Path, metavar="NIFTI", help="voxels to judge; default: the brain in the measured mean image"
    )
    for name, metavar, words in (
        ("events", "TSV", "of the task, onset in s from the first volume: schedule only, agreement of task maps"),
        ("eeg", "FILE", "with volume markers: lagged band-power ridge"),
        ("confounds", "TSV", "of fMRIPrep: nuisance only; default: motion is estimated from the image"),
        (
            "blocks",
            "TSV",
            "a row per volume, column fold: which of several models predicted it, n/a: none did; such as the "
            "desc-synth_timeseries.tsv of bids_eeg2fmri",
        ),
    ):
        known.add_argument(f"--{name}", type=Path, action="append", default=[], metavar=metavar, help=words)
    known.add_argument("--tr", type=float, metavar="S", help="repetition time; default: by sidecar or header")
    known.add_argument(
        "--unit",
        choices=("intensity", "percent", "other"),
        help="of the prediction: intensities, percent signal change, or others (z-scores), whose size can't be judged; default: "
        "intensity if it looks like one, else other",
    )
    known.add_argument(
        "--resample", action="store_true", help="interpolate a prediction on another voxel grid at the measured voxels"
    )
    known.add_argument(
        "--assume-start-together",
        action="store_true",
        help="where the EEG has no usable volume markers, let the first volume start with the EEG file",
    )
    method = parser.add_argument_group("method")
    method.add_argument("--config-file", type=Path, metavar="TOML", help="settings; see docs/settings.md")
    method.add_argument("--drift-period", type=float, metavar="S", help="slower changes are left out; default 128")
    method.add_argument("--alpha", type=float, metavar="P", help="threshold of better than chance; default 0.05")
    method.add_argument("--random-seed", type=int, default=0, metavar="N", help="same seed, same result; default 0")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="also write scores.tsv, summary.json, r.nii.gz and report.html"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Judge predictions; return the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    options = build_parser().parse_intermixed_args(arguments)
    try:
        _refuse_contradictions(options)
        from bids_eeg2fmri.workflow.judging import run

        run(options, shlex.join([*_PROG.split(), *arguments]))
    except Eeg2FmriError as error:
        print(f"{_PROG}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{_PROG}: stopped by Ctrl-C", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        print(f"{_PROG}: software error: {error!r}; please report it", file=sys.stderr)
        return Eeg2FmriError.exit_code
    return 0


def _refuse_contradictions(options: argparse.Namespace) -> None:
    n_images = len(options.images)
    if n_images % 2:
        raise UsageError(f"expected PREDICTED MEASURED, two files for each run, found {n_images}")
    for name in ("events", "eeg", "confounds", "blocks"):
        n = len(getattr(options, name))
        if n not in (0, n_images // 2):
            raise UsageError(f"--{name}: expected one for each of {n_images // 2} runs, found {n}")
    for name, value in (("tr", options.tr), ("drift-period", options.drift_period)):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"--{name}: expected a time in s above 0, found {value:g}")
    if not 0 <= options.random_seed < 2**32:
        raise UsageError(f"--random-seed: expected a number from 0 to {2**32 - 1}, found {options.random_seed}")


if __name__ == "__main__":
    sys.exit(main())
