"""The regions of a run: those of the user's atlas, or cubes."""

from pathlib import Path

from bids_eeg2fmri.bids.reading import read_atlas
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.bold.regions import Regions, label_regions, tile_regions
from bids_eeg2fmri.config import RegionSettings
from bids_eeg2fmri.errors import InputDataError


def regions_of(grid: Grid, settings: RegionSettings) -> Regions:
    """Divide the voxels of a grid as the settings have it.

    Raises
    ------
    Eeg2FmriError
        If the atlas can't be read, or does not lie on the brain.
    """
    if settings.atlas is None:
        return tile_regions(grid)
    atlas = read_atlas(Path(settings.atlas))
    try:
        return label_regions(grid, atlas.labels, atlas.affine, atlas.names)
    except InputDataError as error:
        raise InputDataError(f"{settings.atlas}: {error}") from None
