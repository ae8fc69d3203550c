"""Convert from the command line: ``python -m bids_eeg2fmri.convert {noddi,oddball} SRC DST``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bids_eeg2fmri.errors import Eeg2FmriError, UsageError

_PROG = "python -m bids_eeg2fmri.convert"
INTERRUPTED = 130
_DOWNLOADS = {
    "noddi": "EEG, fMRI and NODDI at rest (https://osf.io/94c5t/): EEG*/ID/export/*.vhdr, fMRI/ID/*_cross.nii.gz",
    "oddball": "auditory and visual oddball (ds000116 as OpenfMRI had it): sub001/EEG/task001_run001/EEG_noGA.mat, "
    "sub001/BOLD/task001_run001/bold.nii.gz",
}
_EPILOG = """\
exit codes: 0 done; 1 some participants failed, the others are done; 64 usage; 65 input data incorrect; 66 files missing;
70 software error; 73 output cannot be created. More: docs/benchmark-data.md of the project.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(UsageError.exit_code, f"{self.prog}: {message}\nTry `{self.prog} --help`.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Convert a download; return the exit code."""
    parser = _Parser(
        prog=_PROG,
        description="Turn a download of simultaneous EEG and fMRI into a BIDS dataset.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    downloads = parser.add_subparsers(dest="download", required=True, metavar="{noddi,oddball}")
    for name, layout in _DOWNLOADS.items():
        one = downloads.add_parser(name, help=layout, description=layout, allow_abbrev=False)
        one.add_argument("source", type=Path, metavar="SRC", help="folder of the download; never written to")
        one.add_argument("destination", type=Path, metavar="DST", help="new or empty folder for the BIDS dataset")
    options = parser.parse_args(argv)
    try:
        from bids_eeg2fmri.convert.participants import convert

        if options.download == "noddi":
            from bids_eeg2fmri.convert.noddi import NODDI as download
        else:
            from bids_eeg2fmri.convert.oddball import ODDBALL as download
        return convert(options.source, options.destination, download)
    except Eeg2FmriError as error:
        print(f"{_PROG}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{_PROG}: interrupted; the participants in {options.destination} are whole", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        print(f"{_PROG}: software error: {error!r}; please report it", file=sys.stderr)
        return Eeg2FmriError.exit_code


if __name__ == "__main__":
    sys.exit(main())
