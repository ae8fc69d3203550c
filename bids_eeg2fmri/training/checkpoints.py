"""Keep what training has reached, so that one that was interrupted goes on to the same result."""

import hashlib
import json
import os
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

# Writing takes long next to an epoch of a small network.
SECONDS_BETWEEN = 20.0


class Checkpoint:
    """One file of a work directory: plain values and arrays of one fit, and nothing that is run when it is read.

    Parameters
    ----------
    folder : Path
    facts : sequence
        All that determines the result: arrays, and what JSON can hold. A fit of other facts has another file.
    """

    def __init__(self, folder: Path, facts: list[Any]):
        digest = hashlib.sha256()
        for fact in facts:
            if isinstance(fact, np.ndarray):
                digest.update(f"{fact.dtype.str}{fact.shape}".encode())
                digest.update(np.ascontiguousarray(fact).data)
            else:
                digest.update(json.dumps(fact, sort_keys=True, default=str).encode())
        self.path = folder / f"fit-{digest.hexdigest()[:24]}.npz"
        self._written = time.monotonic()

    def read(self) -> tuple[dict[str, Any], list[np.ndarray]] | None:
        """Give what was written last; None if there is nothing, or what is there was cut off."""
        try:
            with self.path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                values = json.loads(str(file["values"]))
                return values, [file[f"array_{i}"] for i in range(len(file.files) - 1)]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    @property
    def is_due(self) -> bool:
        """Whether the last writing was long enough ago."""
        return time.monotonic() - self._written >= SECONDS_BETWEEN

    def write(self, values: dict[str, Any], arrays: list[np.ndarray]) -> None:
        """Replace what was written before; it is there whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part, name = tempfile.mkstemp(dir=self.path.parent, prefix=".", suffix=".npz")
        try:
            with os.fdopen(part, "wb") as file:
                named: dict[str, Any] = {f"array_{i}": array for i, array in enumerate(arrays)}
                np.savez(file, values=np.array(json.dumps(values)), **named)
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._written = time.monotonic()
