"""Observations: what a check may return, and that it arrives as it was, whatever it was and whoever sent it."""

import contextlib
import math

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from grader.observation import ObservationError, Opaque, Tensor, decode, encode, plain

NUMPY_DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()
)
TORCH_DTYPES = [torch.bool, torch.uint8, torch.int16, torch.int64, torch.float16, torch.float32, torch.float64]
TORCH_DTYPES += [torch.complex64, torch.complex128, torch.bfloat16]


def arrived(value):
    """What the grader sees of a value that a student's function returned."""
    return decode(encode(plain(value)))


def same(left, right) -> bool:
    """Equal in kind and to the last bit, NaN included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


any_array = st.sampled_from(NUMPY_DTYPES).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_side=4))
)
leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    any_array,
)
plain_data = st.recursive(
    leaf, lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text() | st.integers(), part, max_size=4)
)


# What is plain data arrives as it was


@given(plain_data)
@settings(deadline=None)
def test_plain_data_arrives_as_it_was(value):
    assert same(arrived(value), value)


@given(plain_data)
@settings(deadline=None)
def test_what_arrived_once_arrives_again(value):
    once = arrived(value)
    assert same(arrived(once), once)


@given(st.integers(-(2**4000), 2**4000))
@settings(deadline=None)
def test_integers_of_any_size_arrive(number):
    assert arrived(number) == number


@given(any_array)
@settings(deadline=None)
def test_an_array_in_the_other_byte_order_arrives_with_its_values(array):
    other = array.astype(array.dtype.newbyteorder())
    assert same(arrived(other), array)


@given(arrays.arrays("float64", (4, 6)))
@settings(deadline=None)
def test_an_array_with_strange_strides_arrives_with_its_values(array):
    view = array.T[::-2, ::3]
    assert same(arrived(view), np.ascontiguousarray(view))


@pytest.mark.parametrize("dtype", TORCH_DTYPES, ids=str)
def test_a_tensor_arrives_with_its_values_and_torchs_name_of_its_dtype(dtype):
    tensor = torch.tensor([[1, 0, 3], [4, 5, 6]]).to(dtype)
    result = arrived(tensor)
    assert isinstance(result, Tensor)
    assert f"torch.{result.torch_dtype}" == str(dtype)
    wide = tensor.float() if dtype is torch.bfloat16 else tensor
    assert np.array_equal(result, wide.numpy())


@given(arrays.arrays("float32", arrays.array_shapes(min_dims=0, min_side=0, max_side=4)))
@settings(deadline=None)
def test_a_tensor_of_any_shape_arrives_nan_and_infinity_included(array):
    result = arrived(torch.tensor(array))
    assert result.shape == array.shape
    assert np.array_equal(result, array, equal_nan=True)


def test_a_tensor_that_needs_a_gradient_arrives():
    tensor = torch.arange(3.0, requires_grad=True)
    assert arrived(tensor * 2).tolist() == [0, 2, 4]


def test_views_of_tensors_arrive_with_their_values():
    tensor = torch.arange(6.0).reshape(2, 3)
    assert arrived(tensor.T[::2]).tolist() == [[0, 3], [2, 5]]
    assert arrived(tensor[:1].expand(2, 3)).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert arrived(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]
    assert arrived(torch._efficientzerotensor((2,))).tolist() == [0, 0]


def test_a_parameter_is_a_tensor():
    result = arrived(torch.nn.Parameter(torch.ones(2)))
    assert isinstance(result, Tensor)
    assert result.tolist() == [1, 1]


def test_a_tensor_stays_one_when_it_is_sliced_or_computed_with():
    result = arrived(torch.ones(3, dtype=torch.bfloat16))
    assert result[1:].torch_dtype == "bfloat16"


# What is nearly plain becomes plain


class Real(float):
    pass


class Integer(int):
    pass


class Words(str):
    def __len__(self):
        raise RuntimeError("hostile")


class Many(list):
    pass


class Row(np.ndarray):
    def __array_finalize__(self, other):
        pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Real(0.5), 0.5),
        (Integer(7), 7),
        (Words("yes"), "yes"),
        (Many([1]), [1]),
        (np.float32(0.5), np.array(0.5, "float32")),
        (np.int8(-3), np.array(-3, "int8")),
        (np.bool_(True), np.array(True)),
        (np.str_("word"), "word"),
        ({1: "one", "two": 2}, {1: "one", "two": 2}),
        ({np.int64(1): 2}, {1: 2}),
        ({(1, 2): 3, None: 4, 0.5: 5}, {"(1, 2)": 3, "None": 4, "0.5": 5}),
        (np.arange(3).view(Row), np.arange(3)),
        (np.ma.masked_array([1, 2], mask=[False, True]), np.array([1, 2])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_nearly_plain_becomes_plain(value, expected):
    assert same(arrived(value), expected)


# What is no plain data is known by the name of its type only


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (object(), "object"),
        (len, "builtin_function_or_method"),
        ((i for i in range(3)), "generator"),
        (b"bytes", "bytes"),
        ({1, 2}, "set"),
        (range(3), "range"),
        (np.array([1, None]), "NumPy array of dtype object"),
        (np.array(["a"]), "NumPy array of dtype str32"),
        (np.zeros(2, dtype=[("a", int)]), "NumPy array of dtype void64"),
        (np.zeros(2, dtype="datetime64[s]"), "NumPy array of dtype datetime64[s]"),
        (np.zeros(2, dtype=np.longdouble), f"NumPy array of dtype {np.dtype(np.longdouble).name}"),
        (torch.zeros(2, dtype=torch.float8_e5m2), "torch tensor of dtype float8_e5m2"),
        (torch.nn.Linear(1, 1), "Linear"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_arrives_as_the_name_of_its_type(value, name):
    assert arrived(value) == Opaque(name)


def test_a_generator_is_not_run():
    def endless():
        raise AssertionError("it was run")
        yield

    assert arrived(endless()) == Opaque("generator")


class Hostile:
    """Answers every question about itself with an exception."""

    def _fail(self, *_: object) -> None:
        raise RuntimeError("hostile")

    __array__ = __eq__ = __len__ = __iter__ = __reduce__ = __str__ = __repr__ = __bool__ = __float__ = _fail
    __hash__ = None


def test_an_object_is_not_asked_about_itself():
    assert arrived([Hostile()]) == [Opaque("Hostile")]


class HostileArray(np.ndarray):
    def __array__(self, *_: object, **__: object):
        raise RuntimeError("hostile")

    __array_ufunc__ = tobytes = astype = copy = __eq__ = __len__ = __reduce__ = __array__
    __hash__ = None


def test_a_hostile_array_is_copied_without_asking_it():
    assert same(arrived(np.arange(3.0).view(HostileArray)), np.arange(3.0))


class HostileTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *_: object, **__: object):
        raise ObservationError("hostile")


def test_a_hostile_tensor_gets_no_further_than_its_own_process():
    tensor = torch.ones(2).as_subclass(HostileTensor)
    with pytest.raises(ObservationError):
        plain(tensor)


# What is too much gets a message


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def cyclic_list():
    value = []
    value.append(value)
    return value


def cyclic_dict():
    value = {}
    value["itself"] = value
    return value


def branching():
    """Small in memory, and ten to the twentieth items when written out."""
    value = [0] * 10
    for _ in range(20):
        value = [value] * 10
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nested(30), "what was returned is nested more than 24 levels deep"),
        (nested(100_000), "what was returned is nested more than 24 levels deep"),
        (cyclic_list(), "what was returned is nested more than 24 levels deep"),
        (cyclic_dict(), "what was returned is nested more than 24 levels deep"),
        (dict.fromkeys(range(10**6)), "a dict of 1,000,000 items was returned: at most 200,000"),
        ([0] * 200_001, "a list of 200,001 items was returned: at most 200,000"),
        (branching(), "more than 200,000 items were returned"),
        ("a" * 100_001, "a string of 100,001 characters was returned: at most 100,000"),
        (np.broadcast_to(0.0, (10**6, 10**6)), "an array of 7629395 MiB was returned: at most 64 MiB"),
        (torch.zeros(1).expand(10**6, 10**6), "an array of 3814697 MiB was returned: at most 64 MiB"),
        ([np.zeros(2**23 - 1)] * 3, "more than 64 MiB were returned"),
        (1 << 5000, "an integer of more than 4,096 bits was returned"),
        ("\ud800", "a string that is not Unicode was returned"),
        ({"\ud800": 1}, "a string that is not Unicode was returned"),
        ({1 << 5000: 1}, "an integer of more than 4,096 bits was returned"),
        (
            torch.eye(2).to_sparse(),
            "a tensor of layout torch.sparse_coo on device cpu was returned: return an ordinary CPU tensor",
        ),
        (
            torch.zeros(2, device="meta"),
            "a tensor of layout torch.strided on device meta was returned: return an ordinary CPU tensor",
        ),
    ],
    ids=[
        "deep",
        "very deep",
        "list in itself",
        "dict in itself",
        "large dict",
        "long list",
        "branching",
        "long string",
        "broadcast array",
        "expanded tensor",
        "several arrays",
        "integer",
        "half a character",
        "half a character as key",
        "integer as key",
        "sparse",
        "meta",
    ],
)
def test_what_is_too_much_or_too_strange_gets_a_message(value, message):
    with pytest.raises(ObservationError) as error:
        encode(plain(value))
    assert str(error.value) == message


# What arrives may be anything: an observation, or ObservationError


@given(st.binary())
@settings(deadline=None)
def test_hostile_bytes_are_an_observation_or_none(data):
    with contextlib.suppress(ObservationError):
        decode(data)


packed = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda part: (
        st.lists(part, max_size=4)
        | st.dictionaries(st.text() | st.integers(0, 9), part, max_size=3)
        | st.builds(lambda code, value: msgpack.ExtType(code, msgpack.packb(value)), st.integers(0, 6), part)
    ),
)


@given(packed)
@settings(deadline=None)
def test_well_formed_but_hostile_messages_are_an_observation_or_none(value):
    with contextlib.suppress(ObservationError):
        decode(msgpack.packb(value))


sizes = st.lists(st.integers(-2, 2**63 - 1) | st.floats() | st.booleans() | st.none(), max_size=70)


@given(
    st.none() | st.text() | st.integers(0, 9),
    st.sampled_from([*NUMPY_DTYPES, "O", "V8", "", "U4", 7]),
    sizes,
    st.binary(),
)
@settings(deadline=None)
def test_a_forged_array_is_an_array_of_numbers_or_none(torch_dtype, dtype, shape, raw):
    data = msgpack.packb(msgpack.ExtType(1, msgpack.packb([torch_dtype, dtype, shape, raw])))
    try:
        array = decode(data)
    except ObservationError:
        return
    assert array.dtype.kind in "biufc"
    assert array.nbytes <= len(raw)


def test_an_array_of_objects_can_not_be_forged():
    data = msgpack.packb(msgpack.ExtType(1, msgpack.packb([None, "object", [1], b"\0" * 8])))
    with pytest.raises(ObservationError, match="unknown dtype"):
        decode(data)


@given(plain_data, st.data())
@settings(deadline=None)
def test_a_cut_or_changed_observation_never_fails_in_another_way(value, data):
    sent = encode(plain(value))
    at = data.draw(st.integers(0, len(sent) - 1))
    changed = sent[:at] + data.draw(st.binary(max_size=2)) + sent[at + 1 :]
    with contextlib.suppress(ObservationError):
        decode(changed)
