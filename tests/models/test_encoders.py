import math

import pytest

from bids_eeg2fmri.models.encoders import PUBLISHED, choose_blocks, derive_blocks


def shapes_after(blocks, shape):
    shapes = []
    for block in blocks:
        shape = block.shape_after(shape)
        shapes.append(shape)
    return shapes


def test_the_published_blocks_leave_the_published_shapes():
    eeg, image = (64, 134, 10), (64, 64, 30)
    assert shapes_after(choose_blocks(eeg, (6, 6, 8)), eeg) == [(19, 19, 9), (6, 6, 8)]
    assert shapes_after(choose_blocks(image, (7, 7, 7)), image) == [(25, 58, 18), (19, 54, 12), (7, 7, 7)]


@pytest.mark.parametrize(
    ("shape", "target"),
    [
        ((5, 7, 6), (6, 6, 8)),
        ((1, 9, 3), (6, 6, 8)),
        ((41, 30, 8), (6, 6, 8)),
        ((132, 60, 9), (6, 6, 8)),
        ((128, 200, 20), (6, 6, 8)),
        ((9, 8, 7), (7, 7, 7)),
        ((64, 64, 31), (7, 7, 7)),
        ((91, 109, 91), (7, 7, 7)),
        ((256, 255, 176), (7, 7, 7)),
    ],
)
def test_blocks_for_any_shape_leave_about_what_is_wanted(shape, target):
    blocks = choose_blocks(shape, target)
    last = shapes_after(blocks, shape)[-1]
    for n, wanted, left in zip(shape, target, last, strict=True):
        assert left == n if n <= wanted else wanted - 1 <= left <= 2 * wanted
    assert len(blocks) <= 3
    for block in blocks:
        assert all(size < 2 * step or step == 1 for size, step in zip(block.kernel_size, block.strides, strict=True))
        assert math.prod(block.kernel_size) < 3000


def test_nothing_is_stepped_over():
    for shape in ((128, 200, 20), (91, 109, 91)):
        for block in derive_blocks(shape, (7, 7, 7)):
            assert all(size >= step for size, step in zip(block.kernel_size, block.strides, strict=True))


def test_each_channel_number_has_blocks_without_a_table():
    """The original had strides patched by hand for 41 and 132 channels."""
    assert set(PUBLISHED) == {(64, 134, 10), (64, 64, 30)}
    for n_channels in range(1, 140):
        shape = (n_channels, 30, 9)
        assert min(shapes_after(choose_blocks(shape, (6, 6, 8)), shape)[-1]) > 0
