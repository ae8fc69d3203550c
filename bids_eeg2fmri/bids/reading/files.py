"""Files as datasets hold them: absent, links and pointers without their content, text in any encoding."""

import codecs
import logging
from functools import cache
from pathlib import Path

from bids_eeg2fmri.errors import MissingFilesError

logger = logging.getLogger(__name__)

# git-annex keeps its pointers below this size.
LARGEST_POINTER = 32768
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def find_fault(path: Path) -> tuple[str, str] | None:
    """Say what is there instead of a file and what to do about it; None where its content is there.

    A clone by DataLad has broken links instead of the data, or, where annexed files are unlocked, small text files that
    name them.

    Examples
    --------
    >>> find_fault(Path("no-such-file.nii.gz"))
    ('none', 'complete the dataset')
    """
    try:
        size = path.stat().st_size
    except OSError:
        if path.is_symlink():
            return "a broken link", "run datalad get"
        return "none", "complete the dataset"
    if not path.is_file():
        return "a folder", "complete the dataset"
    if 0 < size < LARGEST_POINTER:
        with path.open("rb") as file:
            start = file.read(200)
        # The second is what a link becomes on a file system that has none.
        if start.startswith(b"/annex/objects/") or (start.startswith(b"../") and b".git/annex/objects/" in start):
            return "a git-annex pointer without the content", "run datalad get"
        if start.startswith(b"version https://git-lfs."):
            return "a git-lfs pointer without the content", "run git lfs pull"
    return None


def refuse_missing(path: Path) -> None:
    """Raise MissingFilesError unless the content of the file is there."""
    fault = find_fault(path)
    if fault is not None:
        found, remedy = fault
        raise MissingFilesError(f"{path}: expected a file, found {found}; {remedy}")


@cache
def warn_once(message: str) -> None:
    """Log a warning the first time: a file is looked at when a run is planned, and again when it is read."""
    logger.warning("%s", message)


def decode(content: bytes) -> tuple[str, str]:
    r"""Decode text as spreadsheets and editors have left it.

    Returns
    -------
    text : str
        Without a byte order mark.
    remark : str
        What is not as BIDS has it; empty for plain UTF-8.

    Examples
    --------
    >>> decode(b"5 \xb5V")
    ('5 µV', 'text that is not UTF-8, read as Windows-1252')
    """
    if content.startswith(UTF16):
        return content.decode("utf-16", errors="replace"), "UTF-16"
    try:
        text = content.decode("utf-8-sig")
        return text, "a byte order mark" if content.startswith(codecs.BOM_UTF8) else ""
    except UnicodeDecodeError:
        # Like Latin-1 for letters, and with the quotation marks of Windows; five bytes have no meaning in it.
        return content.decode("cp1252", errors="replace"), "text that is not UTF-8, read as Windows-1252"
