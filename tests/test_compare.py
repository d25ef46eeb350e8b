"""Comparisons: what counts as the reference's answer, and what is said of an answer that is not."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from grader import at_least, at_most, close, exact, same_distribution, same_set, up_to_sign
from grader.compare import Difference, describe
from grader.observation import Opaque, decode, encode, plain

MATRIX = np.arange(15.0).reshape(3, 5)


def seen(value):
    """A value as the grader sees it after its way from the sandbox."""
    return decode(encode(plain(value)))


def difference(observed, expected, how=None) -> Difference | None:
    return (how or close()).difference(seen(observed), seen(expected))


def agree(observed, expected, how=None) -> bool:
    return difference(observed, expected, how) is None


def told(observed, expected, how=None) -> str:
    """The sentence that a student reads where feedback may tell differences."""
    found = difference(observed, expected, how)
    assert found is not None
    return (f"{found.where}: " if found.where else "") + (found.detail or found.fact)


def floats(dtype="float64", bound=1e6, **shape):
    shape = {"min_dims": 0, "max_side": 4, **shape}
    width = np.dtype(dtype).itemsize * 8
    numbers = st.floats(-bound, bound, width=width, allow_subnormal=False)
    return arrays.arrays(dtype, arrays.array_shapes(**shape), elements=numbers)


leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.sampled_from("bool int8 uint64 int64 float16 float32 float64 complex64 complex128".split()).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_side=3))
    ),
    floats("float32", max_dims=2).map(torch.tensor),
    st.just(object()),
)
anything = st.recursive(
    leaf, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3)
)
KINDS = {
    "close": close(),
    "close whatever the dtype": close(dtype=False),
    "exact": exact(),
    "up to sign": up_to_sign(),
    "same set": same_set(),
}


# What agrees


@pytest.mark.parametrize("how", [close(), exact(), up_to_sign()], ids=["close", "exact", "up to sign"])
@given(value=anything)
@settings(deadline=None)
def test_everything_agrees_with_itself(how, value):
    assert agree(value, value, how)


@given(st.lists(anything, max_size=4), st.randoms())
@settings(deadline=None)
def test_a_list_is_the_same_set_as_its_items_in_any_order(items, random):
    shuffled = random.sample(items, len(items))
    assert agree(shuffled, items, same_set(exact()))


@given(floats())
@settings(deadline=None)
def test_what_is_off_by_less_than_the_tolerance_agrees(expected):
    off = 0.9 * (1e-9 * max(1.0, np.abs(expected).max()) + 1e-6 * np.abs(expected))
    assert agree(expected + off, expected)
    assert agree(expected - off, expected)


@given(floats(), st.data())
@settings(deadline=None)
def test_one_number_that_is_off_by_more_than_the_tolerance_is_seen(expected, data):
    index = tuple(data.draw(st.integers(0, size - 1)) for size in expected.shape)
    observed = expected.copy()
    observed[index] += 1.1 * (1e-9 * max(1.0, np.abs(expected).max()) + 1e-6 * np.abs(expected[index])) + 1e-12
    assert not agree(observed, expected)
    assert not agree(observed, expected, exact())


@given(arrays.arrays("float64", (3,), elements=st.floats(1, 1e6)), st.floats(-1e-5, 1e-5), st.integers(0, 40))
@settings(deadline=None)
def test_a_larger_scale_changes_no_verdict_once_the_numbers_pass_one(expected, noise, power):
    observed = expected * (1 + noise)
    assert agree(observed, expected) == agree(observed * 2.0**power, expected * 2.0**power)


@given(floats("float32"))
@settings(deadline=None)
def test_the_tolerance_follows_the_expected_dtype(expected):
    off = expected * (1 + np.float32(5e-5))
    assert agree(off, expected)
    assert agree(torch.tensor(off), torch.tensor(expected))
    wide = expected.astype(float)
    assert agree(wide * (1 + 5e-5), wide) == (np.abs(expected).max() * 5e-5 < 1e-9)


def test_bfloat16_is_compared_with_the_tolerance_of_bfloat16():
    expected = torch.tensor([1.0, 2.0], dtype=torch.bfloat16)
    assert agree(expected * 1.02, expected)
    assert not agree(expected * 1.1, expected)
    assert not agree(expected.float() * 1.02, expected.float())


@given(arrays.arrays("int64", (3,)), arrays.arrays("int64", (3,)))
@settings(deadline=None)
def test_integers_agree_only_if_they_are_equal(left, right):
    assert agree(left, right) == np.array_equal(left, right)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [(-(2**63), 0), (2**63 + 1, 2**63), (2**62 + 1, 2**62), (2**80 + 1, 2**80), (0, 2**80), (2**80, 0), (2**80, 0.0)],
)
def test_integers_near_the_limits_of_a_type_do_not_wrap_round(observed, expected):
    assert not agree(observed, expected)
    if max(abs(observed), abs(expected)) < 2**63:
        assert not agree(np.array([observed]), np.array([expected]))


def test_the_width_of_an_integer_does_not_matter():
    assert agree(np.arange(3, dtype=np.int32), np.arange(3))
    assert agree(np.arange(3, dtype=np.uint8), np.arange(3))


@pytest.mark.parametrize("number", [2.0, np.float32(2), np.array(2.0), torch.tensor(2.0), 2, np.int64(2), True + 1])
def test_a_single_number_may_be_of_any_kind(number):
    assert agree(number, 2.0)
    assert agree(number, torch.tensor(2.0))


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None)
def test_no_finite_number_agrees_with_an_infinite_one(number):
    for infinite in (np.inf, -np.inf):
        assert not agree(number, infinite)
        assert not agree(infinite, number)
        assert not agree(infinite, -infinite)
        assert not agree(np.array([1.0, number]), np.array([1.0, infinite]))


def test_a_tuple_is_as_good_as_a_list():
    assert agree((1, 2.0, "three"), [1, 2.0, "three"])


def test_an_array_is_as_good_as_a_list_of_its_rows():
    assert agree(np.array([1.5, 2.5]), [1.5, 2.5])
    assert agree(MATRIX, list(MATRIX))


def test_the_order_of_keys_does_not_matter():
    assert agree({"b": 2, "a": 1}, {"a": 1, "b": 2})


# Every kind of comparison


def test_exact_means_exact():
    assert not agree(0.1 + 0.2, 0.3, exact())
    assert agree(0.1 + 0.2, 0.3, close())


@given(floats(min_dims=1))
@settings(deadline=None)
def test_a_sign_may_be_flipped_as_a_whole(expected):
    assert agree(-expected, expected, up_to_sign())


def test_a_sign_may_not_be_flipped_in_part():
    assert not agree(np.array([1.0, -2.0]), np.array([1.0, 2.0]), up_to_sign())


def test_the_sign_of_integers_may_be_flipped_too():
    assert agree(np.array([1, -2]), np.array([-1, 2]), up_to_sign())
    assert agree(np.array([1, 2], dtype=np.uint8), np.array([1, 2], dtype=np.uint8), up_to_sign())


@pytest.mark.parametrize(
    ("how", "good", "bad", "message"),
    [
        (at_least(0.9), [0.9, 1, np.float32(0.95), torch.tensor(0.95)], 0.5, "0.5: at least 0.9 is needed"),
        (at_most(10), [10, -3, 9.99, np.int8(3)], 11, "11: at most 10 is needed"),
    ],
    ids=["at least", "at most"],
)
def test_a_bound_asks_for_no_more_than_the_bound(how, good, bad, message):
    for number in good:
        assert agree(number, 123.0, how)
    assert told(bad, 123.0, how) == message


@pytest.mark.parametrize("how", [at_least(1), at_most(1)], ids=["at least", "at most"])
@pytest.mark.parametrize(
    "observed",
    [None, "5", [5], np.array([5.0]), 1 + 1j, np.array(1j), float("nan"), object()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_reaches_no_bound(how, observed):
    assert not agree(observed, 5.0, how)


def test_a_number_beyond_all_floats_is_no_crash_for_a_bound():
    assert not agree(10**400, 5.0, at_most(1))
    assert not agree(-(10**400), 5.0, at_least(1))


def test_a_set_has_each_item_as_often_as_the_reference():
    assert agree([1, 2, 2], [2, 1, 2], same_set())
    assert told([1, 1, 2], [1, 2, 2], same_set()) == "the items differ: item 2 does not belong there"
    assert told([1, 2], [1, 2, 3], same_set()) == "2 items instead of 3"
    assert told(7, [7], same_set()) == "a number instead of a list or tuple"


def test_the_rows_of_an_array_may_be_a_set():
    assert agree(MATRIX[::-1], MATRIX, same_set())
    assert not agree(MATRIX.T[:3], MATRIX, same_set())


def test_samples_of_one_distribution_agree_and_others_do_not():
    rng = np.random.default_rng(0)
    expected = rng.normal(size=4000)
    assert agree(rng.normal(size=4000), expected, same_distribution())
    assert agree(-expected, expected, same_distribution())
    assert told(rng.normal(size=4000) * 2, expected, same_distribution()).startswith(
        "the values are distributed differently: mean "
    )
    assert told(rng.uniform(size=4000), expected, same_distribution()).startswith("the values are distributed diff")
    assert told(expected + np.inf, expected, same_distribution()) == "some values are not finite"
    assert told(expected[:5], expected, same_distribution()) == "shape (5,) instead of (4000,)"


# What is said of an answer that does not agree


@pytest.mark.parametrize(
    ("observed", "expected", "message"),
    [
        (np.zeros(5), MATRIX, "shape (5,) instead of (3, 5)"),
        (MATRIX.T, MATRIX, "shape (5, 3) instead of (3, 5)"),
        (np.zeros(1), 0.0, "shape (1,) instead of a single number"),
        (MATRIX, MATRIX.astype(np.float32), "float64 instead of float32"),
        (MATRIX.astype(int), MATRIX, "int64 instead of float64"),
        (MATRIX > 1, MATRIX, "bool instead of float64"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16), "float32 instead of bfloat16"),
        (MATRIX.tolist(), MATRIX, "a list or tuple instead of a NumPy array"),
        (torch.zeros(3, 5), MATRIX, "a torch tensor instead of a NumPy array"),
        (MATRIX, torch.zeros(3, 5), "a NumPy array instead of a torch tensor"),
        (1.0, MATRIX, "a number instead of a NumPy array"),
        (None, MATRIX, "None instead of a NumPy array: is a return missing?"),
        (None, 1.0, "None instead of a number: is a return missing?"),
        (1.0, None, "a number instead of None"),
        (print, 1.0, "a builtin_function_or_method instead of a number"),
        (object(), 1.0, "an object instead of a number"),
        ((i for i in range(3)), [0, 1, 2], "a generator instead of a list or tuple"),
        (np.array([None]), np.zeros(1), "a NumPy array of dtype object instead of a NumPy array"),
        ("1", 1, "a string instead of a number"),
        (1, "1", "a number instead of a string"),
        ("yes", True, "a string instead of True or False"),
        (True, "yes", "True or False instead of a string"),
        ("left", "right", "the answer differs: got 'left'"),
        ({"a": 1}, 1, "a dict instead of a number"),
        ([1], {"a": 1}, "a list or tuple instead of a dict"),
        ({"a": 1}, {"a": 1, "b": 2}, "'b' is missing"),
        ({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}, "'c' does not belong there"),
        ([1, 2], [1], "2 items instead of 1"),
        ([1], [1, 2], "1 item instead of 2"),
        ([], [1, 2], "0 items instead of 2"),
        (1.31, 1.0, "differs by up to 0.31"),
        (3, 5, "differs by up to 2"),
        (True, False, "differs by up to 1"),
        (
            np.array([[0, 0, 0.31], [0, 0, 0]]),
            np.zeros((2, 3)),
            "differs by up to 0.31; first at index (0, 2) (1 of 6 values)",
        ),
        (np.array([1.0, 2.0]), np.array([1.5, 4.0]), "differs by up to 2; first at index 0"),
        (np.array([7, 8]), np.array([7, 9]), "differs by up to 1; first at index 1 (1 of 2 values)"),
        (np.array([True, True]), np.array([True, False]), "differs by up to 1; first at index 1 (1 of 2 values)"),
        (np.nan, 1.0, "nan where a finite number is expected"),
        (np.array([1, np.nan]), np.ones(2), "nan where a finite number is expected: first at index 1"),
        (np.array([[1, np.inf]]), np.ones((1, 2)), "inf where a finite number is expected: first at index (0, 1)"),
        (np.array([1, 2.0]), np.array([1, np.nan]), "the values differ: got 2 at index 1"),
        (np.array([np.inf]), np.array([-np.inf]), "the values differ: got inf at index 0"),
        (1 + 2j, 1 + 1j, "differs by up to 1"),
        (10**400, 1.0, "a number out of range"),
        ([1, [2, np.zeros(2)]], [1, [2, np.zeros(3)]], "result 2 of 2, result 2 of 2: shape (2,) instead of (3,)"),
        ({"small case": [1.5]}, {"small case": [2.5]}, "small case, result 1 of 1: differs by up to 1"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong_with_it(observed, expected, message):
    assert told(observed, expected) == message


def test_the_dtype_may_be_free():
    assert agree(MATRIX, MATRIX.astype(np.float32), close(dtype=False))
    assert agree(MATRIX.astype(int), MATRIX, exact(dtype=False))


def test_the_first_difference_is_the_one_that_is_told():
    assert told([1, 5, 9], [1, 2, 3]) == "result 2 of 3: differs by up to 3"


def test_a_value_of_which_only_the_type_is_known_is_described_by_it():
    assert describe(Opaque("Linear")) == "a Linear"
    assert describe(Opaque("object")) == "an object"


# Whatever comes in


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS.keys())
@given(observed=anything, expected=anything)
@settings(deadline=None)
def test_no_answer_breaks_a_comparison(how, observed, expected):
    if isinstance(how, type(same_set())):
        expected = [expected]  # what an author compares as a set is one
    difference(observed, expected, how)


@pytest.mark.parametrize("how", [at_least(0.5), at_most(0.5)], ids=["at least", "at most"])
@given(observed=anything)
@settings(deadline=None)
def test_no_answer_breaks_a_bound(how, observed):
    difference(observed, 1.0, how)


@given(observed=anything, expected=anything)
@settings(deadline=None)
def test_agreeing_is_mutual_for_exact_comparisons(observed, expected):
    assume(not isinstance(observed, list) and not isinstance(expected, list))
    how = exact(dtype=False)
    assume(np.ndim(seen(observed)) == np.ndim(seen(expected)))
    assert agree(observed, expected, how) == agree(expected, observed, how)
