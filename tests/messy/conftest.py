"""Datasets as they are in the wild: see ``shared/recordings-in-the-wild.md``, one folder above the repository."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Test modules are imported by their paths and don't know their folder; the helpers beside them are shared this way.
sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("wild_plans")


class Wild:
    """A dataset of one participant, ``sub-01``, that grows file by file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        (path / "dataset_description.json").write_text('{"Name": "wild", "BIDSVersion": "1.8.0"}')

    def find(self, datatype: str, name: str) -> Path:
        session = [part for part in name.split("_") if part.startswith("ses-")]
        return self.path.joinpath("sub-01", *session, datatype, f"sub-01_{name}")

    def bold(self, name: str, n_volumes: int, *, tr_s: float = 2.0, extension: str = ".nii.gz", **sidecar: Any) -> None:
        """Write a series and its sidecar, e.g. ``wild.bold("task-rest_run-1", 40)``."""
        from wild_files import write_bold

        path = self.find("func", f"{name}_bold{extension}")
        write_bold(path, n_volumes, tr_s=tr_s)
        content = {"RepetitionTime": tr_s, "TaskName": name.partition("task-")[2].partition("_")[0], **sidecar}
        path.with_name(f"sub-01_{name}_bold.json").write_text(json.dumps(content))

    def eeg(self, name: str, marks: Sequence = (), *, duration_s: float, extension: str = ".vhdr", **more: Any) -> None:
        """Write EEG without any sidecar."""
        from wild_files import write_eeg

        write_eeg(self.find("eeg", f"{name}_eeg{extension}"), marks, duration_s=duration_s, **more)

    def eeg_table(self, name: str, columns: Mapping[str, Sequence], *, bom: bool = False) -> None:
        """Write a table beside the EEG, e.g. ``task-rest_events.tsv``."""
        from wild_files import write_tsv

        write_tsv(self.find("eeg", name), columns, bom=bom)

    def table(self, name: str, columns: Mapping[str, Sequence], *, bom: bool = False) -> None:
        """Write a table at the root, or scans.tsv of the participant."""
        from wild_files import write_tsv

        write_tsv(self.path / name, columns, bom=bom)


@pytest.fixture
def wild(tmp_path) -> Wild:
    return Wild(tmp_path / "wild")


@pytest.fixture
def plan(wild) -> Callable[[], list]:
    """Plan the participant of ``wild``."""
    from bids_eeg2fmri.workflow.plan import plan_participant

    return lambda: plan_participant(wild.path, "01")


@pytest.fixture
def plan_one(plan) -> Callable[[], Any]:
    """Plan the participant of ``wild``, of whom one recording is expected."""

    def only() -> Any:
        [planned] = plan()
        return planned

    return only


class Planner:
    """A filled skeleton, and the plans of its participants, each made once."""

    def __init__(self, filled: Any) -> None:
        self.path: Path = filled.path
        self.onsets_s: Mapping[str, Any] = filled.onsets_s
        self.plan = cache(self._plan)

    def _plan(self, subject: str) -> list:
        from bids_eeg2fmri.workflow.plan import plan_participant

        return plan_participant(self.path, subject)


@pytest.fixture(scope="module")
def fill(tmp_path_factory) -> Iterator[Callable[..., Planner]]:
    """Fill a skeleton; all are gone after the module, for they are large."""
    from wild_skeletons import FILLERS, SKELETONS

    if not SKELETONS.is_dir():
        pytest.skip(f"needs the skeletons in {SKELETONS}")
    folder = tmp_path_factory.mktemp("skeletons")

    def make(name: str, **variant: Any) -> Planner:
        return Planner(FILLERS[name](folder / f"{len(list(folder.iterdir()))}_{name}", **variant))

    yield make
    shutil.rmtree(folder)
