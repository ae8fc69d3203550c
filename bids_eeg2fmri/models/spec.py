"""What an architecture must know of the data."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class SampleSpec:
    """Shapes and axes of one sample.

    Attributes
    ----------
    lags_s : tuple of float
        Axis 0 of the input: how long before the volume each frame ends.
    channels : tuple of str
        Axis 1 of the input.
    freqs_hz : tuple of float
        Axis 2 of the input where an architecture looks at power, in dB.
    n_outputs : int
        Length of the target: the coefficients of a basis, or the voxels of ``mask``.
    positions_m : tuple of (x, y, z) or None
        Of each channel, head coordinates in m (right, front, up); None where it is not known. Empty tells of no channel.
    sfreq : float
        In Hz, of the EEG where an architecture looks at the signal: axis 2 of the input is then the last step of each frame.
    mask : array of shape (x, y, z), optional
        Where the targets are voxels: which ones, in the order of ``image[mask]``.
    """

    lags_s: tuple[float, ...]
    channels: tuple[str, ...]
    freqs_hz: tuple[float, ...]
    n_outputs: int
    positions_m: tuple[tuple[float, float, float] | None, ...] = ()
    sfreq: float = 0.0
    mask: "np.ndarray | None" = field(default=None, compare=False, repr=False)

    @property
    def step_s(self) -> float:
        """From one frame to the next; also the part of the signal that a frame holds."""
        return self.lags_s[1] - self.lags_s[0] if len(self.lags_s) > 1 else 1.0

    @property
    def power_shape(self) -> tuple[int, int, int]:
        """Shape of a sample of power: (lags, channels, frequencies)."""
        return len(self.lags_s), len(self.channels), len(self.freqs_hz)

    @property
    def signal_shape(self) -> tuple[int, int, int]:
        """Shape of a sample of the signal: (lags, channels, times); times run forward within a step, steps run back."""
        return len(self.lags_s), len(self.channels), round(self.step_s * self.sfreq)
