"""Encode volumes of any shape by residual blocks: the published sizes, or sizes that are derived from the shape."""

import math
from dataclasses import dataclass

from keras import layers

from bids_eeg2fmri.models.layers.resnet import ResnetBlock

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Block:
    """Sizes of a residual block along the three axes of what it reads."""

    kernel_size: Triple
    strides: Triple
    pool: Triple

    def shape_after(self, shape: Triple) -> Triple:
        """Give the shape of what comes out."""
        x, y, z = (
            (n - kernel) // stride + 2 - pool
            for n, kernel, stride, pool in zip(shape, self.kernel_size, self.strides, self.pool, strict=True)
        )
        return x, y, z


# Shape that is read -> blocks, as they were published (found by a search).
PUBLISHED = {
    # 64 channels, 134 frequencies, 10 frames: to 19 x 19 x 9, 6 x 6 x 8
    (64, 134, 10): (Block((7, 37, 2), (3, 5, 1), (2, 2, 1)), Block((7, 7, 2), (2, 2, 1), (2, 2, 1))),
    # Volumes of 64 x 64 x 30 voxels: to 25 x 58 x 18, 19 x 54 x 12, 7 x 7 x 7
    (64, 64, 30): (
        Block((14, 6, 12), (2, 1, 1), (2, 2, 2)),
        Block((6, 4, 6), (1, 1, 1), (2, 2, 2)),
        Block((12, 47, 5), (1, 1, 1), (2, 2, 2)),
    ),
}
# A block makes an axis this many times shorter at most: kernels that step further would see little of what they step over.
STRONGEST_REDUCTION = 5.0


def choose_blocks(shape: Triple, target: Triple) -> tuple[Block, ...]:
    """Give the published blocks for the published shapes, and derived ones for all others.

    Parameters
    ----------
    shape : tuple of three ints
        Of what is read.
    target : tuple of three ints
        About the shape that is to be left; axes that are no longer than this stay as they are.
    """
    return PUBLISHED.get(shape) or derive_blocks(shape, target)


def derive_blocks(shape: Triple, target: Triple) -> tuple[Block, ...]:
    """Make each axis shorter by the same factor in each of as many blocks as it takes.

    Kernels are hardly longer than two strides, so a large volume costs little more than a small one.

    >>> derive_blocks((9, 64, 200), (7, 7, 7))[0]
    Block(kernel_size=(1, 2, 5), strides=(1, 2, 3), pool=(2, 2, 2))
    """
    longest = max(n / wanted for n, wanted in zip(shape, target, strict=True))
    n_blocks = max(1, math.ceil(math.log(longest) / math.log(STRONGEST_REDUCTION))) if longest > 1 else 1
    blocks: list[Block] = []
    for left in range(n_blocks, 0, -1):
        sizes = [_reduce(n, _next_length(n, wanted, left)) for n, wanted in zip(shape, target, strict=True)]
        kernels, strides, pools = zip(*sizes, strict=True)
        blocks.append(Block(kernels, strides, pools))
        shape = blocks[-1].shape_after(shape)
    return tuple(blocks)


def _next_length(n: int, wanted: int, n_blocks: int) -> int:
    return n if n <= wanted else max(wanted, round(n * (wanted / n) ** (1 / n_blocks)))


def _reduce(n: int, wanted: int) -> tuple[int, int, int]:
    """Give kernel size, stride and pool that bring an axis of n to about the wanted length."""
    if n <= wanted:
        return 1, 1, 1
    pool = 2
    convolved = wanted + pool - 1
    stride = max(1, round(n / convolved))
    if stride == 1:
        return n - convolved + 1, 1, pool
    return n - (n // stride - 1) * stride, stride, pool


def encode(x, blocks: tuple[Block, ...], *, filters: int, weight_decay: float, name: str):
    """Run a symbolic tensor through blocks: ``(batch, x, y, z, 1) -> (batch, features)``."""
    for number, block in enumerate(blocks, start=1):
        x = ResnetBlock(
            block.kernel_size,
            block.strides,
            block.pool,
            filters,
            weight_decay=weight_decay,
            name=f"{name}_{number}",
        )(x)
    return layers.Flatten(name=f"{name}_features")(x)
