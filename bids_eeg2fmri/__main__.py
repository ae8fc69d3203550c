"""Run as ``python -m bids_eeg2fmri``."""

import sys

from bids_eeg2fmri.cli import main

if __name__ == "__main__":
    sys.exit(main())
