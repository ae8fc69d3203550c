"""Find the files that describe a data file, by BIDS' inheritance principle.

pybids and MNE-BIDS do this too, but not for datasets as they are: pybids' index stops at a byte order mark and takes a
tenth of a second per participant; MNE-BIDS takes a table of another run if the file has no ``run``.
"""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from bids_eeg2fmri.bids.reading.files import decode, warn_once


def read_sidecar(dataset: Path, file: Path) -> dict[str, Any]:
    """Read the metadata of a data file: its own JSON file and all that it inherits from.

    A file that is no JSON is left out with a warning: one participant's slip must not stop the others.

    Parameters
    ----------
    dataset : Path
        Its root.
    file : Path
        Data file within it, which need not exist.

    Returns
    -------
    dict
        Deeper files outrank higher ones; of several in one folder, the one with more entities.
    """
    metadata: dict[str, Any] = {}
    suffix = split_name(file.name)[1]
    for path in find_inherited(dataset, file, suffix=suffix, extension=".json"):
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            changed = 0
        metadata |= _read_json(path, changed)
    return metadata


def find_inherited(
    dataset: Path, file: Path, *, suffix: str, extension: str, besides: tuple[str, ...] = ()
) -> list[Path]:
    """List the files that apply to a data file, from the one that counts least to the one that counts most.

    They lie between the root and the folder of the file and have no entity that the file has not. For tables, which are
    not merged, the last of the list applies.

    Parameters
    ----------
    dataset, file : Path
    suffix : str
        Such as ``events``.
    extension : str
        ``.json``, ``.tsv`` or ``.tsv.gz``.
    besides : tuple of str
        Entities that those files have and data files have not, such as the ``space`` of electrodes.
    """
    entities = split_name(file.name)[0]
    applicable = []
    for folder in _folders(dataset, file.parent):
        try:
            changed = os.stat(folder).st_mtime_ns
        except OSError:
            continue
        candidates = _list_sidecars(folder, changed).get((suffix, extension), ())
        here = [c for c in candidates if all(entities.get(key) == label for key, label in c[0] if key not in besides)]
        applicable += [folder / name for _, name in sorted(here, key=lambda c: (len(c[0]), c[1]))]
    return applicable


def find_root(file: Path) -> Path:
    """Give the root of the dataset that a file of a participant lies in: what holds the folder ``sub-<label>``."""
    for parent in file.parents:
        if parent.name.startswith("sub-"):
            return parent.parent
    return file.parent


def split_name(name: str) -> tuple[dict[str, str], str, str]:
    """Split a file's name into entities, suffix and extension.

    Numbers are compared as numbers: ``run-1`` and ``run-01`` are one run.

    Examples
    --------
    >>> split_name("sub-01_task-rest_run-02_bold.nii.gz")
    ({'sub': '1', 'task': 'rest', 'run': '2'}, 'bold', '.nii.gz')
    """
    stem, dot, extension = name.partition(".")
    *parts, suffix = stem.split("_")
    entities = {}
    for part in parts:
        entity, _, label = part.partition("-")
        entities[entity] = str(int(label)) if label.isdecimal() else label
    return entities, suffix, dot + extension


def _folders(dataset: Path, folder: Path) -> list[Path]:
    """List the folders from the root of the dataset down to one."""
    try:
        parts = folder.relative_to(dataset).parts
    except ValueError:
        return [folder]
    return [dataset.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]


# The root of a large dataset has hundreds of entries and is looked at for each of its files: what is read is kept until
# the folder, or the file, changes.
@lru_cache(maxsize=1024)
def _list_sidecars(folder: Path, _changed: int) -> Mapping[tuple[str, str], list[tuple[tuple, str]]]:
    listed: dict[tuple[str, str], list[tuple[tuple, str]]] = {}
    for name in os.listdir(folder):
        # A name with a leading dot is a resource fork of macOS (``._*``) or hidden.
        if name.startswith(".") or not name.endswith((".json", ".tsv", ".tsv.gz")):
            continue
        entities, suffix, extension = split_name(name)
        listed.setdefault((suffix, extension), []).append((tuple(entities.items()), name))
    return listed


@lru_cache(maxsize=1024)
def _read_json(path: Path, _changed: int) -> Mapping[str, Any]:
    try:
        text, remark = decode(path.read_bytes())
        content = json.loads(text)
        found = "" if isinstance(content, dict) else f"a {type(content).__name__}"
    except (OSError, ValueError) as error:
        content, found = {}, str(error)
    if found:
        warn_once(f"{path}: expected a JSON object, found {found}; left out, mend it")
        return {}
    if remark:
        warn_once(f"{path}: expected UTF-8, found {remark}; read all the same")
    return content
