"""What an architecture must know of the data."""

from dataclasses import dataclass


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
        Axis 2 of the input, power in dB.
    n_outputs : int
        Length of the target: the coefficients of a basis.
    """

    lags_s: tuple[float, ...]
    channels: tuple[str, ...]
    freqs_hz: tuple[float, ...]
    n_outputs: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return len(self.lags_s), len(self.channels), len(self.freqs_hz)
