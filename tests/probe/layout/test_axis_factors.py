"""The algebra of axes: what a reshape takes apart, another one puts together."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.layout.axis_factors import fresh, letter_of, reshape, settle, size_of


def letters(axes):
    return "".join(map(letter_of, axes))


def image(letters="NCHW", sizes=(2, 6, 4, 8)):
    return [fresh(letter, size) for letter, size in zip(letters, sizes, strict=True)]


splits = st.lists(st.integers(2, 4), min_size=1, max_size=3)


@given(st.lists(splits, min_size=4, max_size=4), st.data())
def test_axes_that_are_split_moved_merged_and_moved_back_are_what_they_were(pieces, data):
    axes = image(sizes=[prod(each) for each in pieces])
    flat = [size for each in pieces for size in each]
    order = data.draw(st.permutations(range(len(flat))))
    split = reshape(axes, flat)
    moved = [split[i] for i in order]
    cut = data.draw(st.integers(1, len(flat)))
    merged = reshape(moved, [prod(map(size_of, moved[:cut])), *map(size_of, moved[cut:])])
    back = reshape(merged, list(map(size_of, moved)))
    restored = reshape([back[order.index(i)] for i in range(len(flat))], list(map(size_of, axes)))
    assert restored == axes


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 6, 32), "NCL"),
        ((2, 192), "NC"),
        ((2, 2, 3, 4, 8), "N??HW"),
        ((12, 4, 8), "?HW"),
        ((2, 6, 8, 4), "NC??"),
        ((2, 6, 4, 8, 1), "NCHW?"),
        ((2, 1, 6, 32), "N?CL"),
    ],
)
def test_what_is_split_or_merged_is_told_where_it_has_a_name(shape, expected):
    assert letters(reshape(image(), shape)) == expected


def test_a_split_that_does_not_fall_between_places_tells_nothing_of_them_and_all_of_the_others():
    assert letters(reshape(image(sizes=(2, 6, 4, 8)), (2, 4, 6, 8))) == "N??W"


def test_height_and_width_in_the_wrong_order_are_no_tokens():
    assert letters(reshape(image("NCWH"), (2, 6, 32))) == "NC?"


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, 5, 6), (1, 5, 6)), ((1, 5, 6), (1, 5, 2, 3)), ((1, 5, 6), (5, 2, 3)), ((1, 5, 6), (5, 6))],
)
def test_a_batch_of_one_is_found_again_though_its_size_tells_nothing(before, after):
    axes = image("NLC", before)
    changed = reshape(axes, after)
    assert letters(reshape(changed, before)) == "NLC"


def test_a_batch_of_one_between_two_axes_goes_to_the_one_that_is_split():
    heads = reshape(image("LNC", (5, 1, 6)), (5, 2, 3))
    assert letters(heads) == "L??"
    assert letters(reshape([heads[1], heads[0], heads[2]], (1, 2, 5, 3))) == "N?L?"


def test_patches_that_are_merged_into_channels_leave_a_smaller_image():
    n, h, h2, w, w2, c = reshape(image("NHWC", (2, 8, 6, 5)), (2, 4, 2, 3, 2, 5))
    assert letters(settle(reshape([n, h, w, w2, h2, c], (2, 4, 3, 20)))) == "NHWC"
    assert letters(settle(reshape([n, h, w, w2, h2, c], (2, 12, 20)))) == "NLC"


def test_windows_are_no_smaller_image():
    n, h, h2, w, w2, c = reshape(image("NHWC", (2, 8, 6, 5)), (2, 4, 2, 3, 2, 5))
    assert letters(settle(reshape([n, h, w, h2, w2, c], (24, 4, 5)))) == "??C"


def test_channels_that_become_pixels_leave_a_larger_image():
    n, c, r, s, h, w = reshape(image("NCHW", (2, 12, 4, 3)), (2, 3, 2, 2, 4, 3))
    assert letters(settle(reshape([n, c, h, r, w, s], (2, 3, 8, 6)))) == "NCHW"
    assert letters(settle(reshape([n, c, r, h, w, s], (2, 3, 8, 6)))) == "N???"
