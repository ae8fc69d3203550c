"""The errors that a user can act on, each with the exit code of the command line.

Every message says what was expected, what was found, where, and what to do.
"""


class Eeg2FmriError(Exception):
    """Base of all; by itself, a failure of the software."""

    exit_code = 70


class BidsValidationError(Eeg2FmriError):
    """The folder is not a BIDS dataset."""

    exit_code = 16


class NothingSelectedError(Eeg2FmriError):
    """The filters select nothing; the message lists what exists."""

    exit_code = 18


class UsageError(Eeg2FmriError):
    """The options contradict each other or the machine."""

    exit_code = 64


class InputDataError(Eeg2FmriError):
    """A file holds what can't be right."""

    exit_code = 65


class AlignmentError(InputDataError):
    """The volumes can't be placed on the EEG's clock."""


class ModelError(InputDataError):
    """A model or bundle can't be used with these data."""


class MissingFilesError(Eeg2FmriError):
    """A file that is needed does not exist."""

    exit_code = 66


class OutputError(Eeg2FmriError):
    """The output can't be created."""

    exit_code = 73
