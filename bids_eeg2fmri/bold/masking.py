"""Which voxels are brain."""

import warnings

import nibabel as nib
import numpy as np

from bids_eeg2fmri.errors import InputDataError


def brain_mask(mean: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Tell the brain from the background in a mean image, by its histogram (nilearn's ``compute_epi_mask``).

    Parameters
    ----------
    mean : array of shape (x, y, z)
        Values that are not finite count as outside.
    affine : array of shape (4, 4)

    Raises
    ------
    InputDataError
        If there is no brain to be found.
    """
    from nilearn.masking import MaskWarning, compute_epi_mask

    clean = np.nan_to_num(mean, posinf=0, neginf=0).astype(np.float32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MaskWarning)  # of an empty mask, which is an error below
            image = compute_epi_mask(nib.Nifti1Image(clean, affine), opening=1, ensure_finite=True)
        mask = (np.asarray(image.dataobj) > 0) & (clean > 0)
    except (ValueError, IndexError) as error:  # what nilearn makes of an image without a histogram
        raise InputDataError(
            f"expected a brain in the mean BOLD image, found none ({error}); look at the image"
        ) from error
    if np.count_nonzero(mask) < 20:
        raise InputDataError(
            f"expected a brain in the mean BOLD image, found {np.count_nonzero(mask)} voxels; look at it"
        )
    return mask
