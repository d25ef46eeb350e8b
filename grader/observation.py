"""Observations as plain data, and the bytes they travel as. Nothing executable crosses."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import msgpack
import numpy as np

from grader.wire import must_not_swell

# msgpack extension types.
_ARRAY, _COMPLEX, _INTEGER, _OPAQUE = 1, 2, 3, 4

_DTYPES = frozenset(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()
)
# NumPy works a dtype's name out anew each time it is asked.
_NAMES = {np.dtype(name): name for name in _DTYPES}
_AS_THEY_ARE = frozenset((type(None), bool, int, float, complex))
_DEPTH = 24
_SMALL = 1000
_ITEMS = 200_000
_TEXT = 100_000
_BYTES = 64 * 2**20
_LONG_KEYS = 1000


class ObservationError(ValueError):
    """What was returned can't be carried as plain data, or what arrived is no observation."""


class Tensor(np.ndarray):
    """The values of a torch tensor, in a process that need not import torch.

    `torch_dtype` is torch's own name of the dtype: bfloat16 travels as float32.
    """

    torch_dtype: str

    def __array_finalize__(self, parent: Any) -> None:
        self.torch_dtype = getattr(parent, "torch_dtype", str(self.dtype))


@dataclass(frozen=True)
class Opaque:
    """A value that is no plain data: only the name of its type is known."""

    type_name: str


def dtype_name(array: np.ndarray) -> str:
    return _NAMES.get(array.dtype) or str(array.dtype)


def plain(value: Any) -> Any:
    """Copy `value` as plain data: None, bool, int, float, complex, str, list, dict, ndarray, torch tensor, Opaque.

    Tuples become lists, subclasses their plain kind. Runs in the sandbox, on whatever the student returned.
    Raises ObservationError if it is too deep, too large, or sparse.
    """
    return _Copy().of(value, 0)


class _Copy:
    """One copy, and the room that is left for it: what is met twice counts twice, as it is written out twice."""

    def __init__(self) -> None:
        self._items = _ITEMS
        self._bytes = _BYTES

    def of(self, value: Any, depth: int) -> Any:
        if depth > _DEPTH:
            raise ObservationError(f"what was returned is nested more than {_DEPTH} levels deep")
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if kind is np.ndarray and value.dtype in _NAMES:  # the way of nearly all arrays
            self._take_bytes(value.nbytes)
            return value.copy()
        if issubclass(kind, np.generic):
            number = np.asarray(value)  # without dimensions: a number that keeps its dtype, and so its tolerance
            if number.dtype in _NAMES:
                return number
            return self._text(str.__str__(value)) if isinstance(value, str) else Opaque(kind.__name__)
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, np.ndarray):
            array = np.ndarray.view(value, np.ndarray)
            native = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")
            if native not in _NAMES:
                return Opaque(f"NumPy array of dtype {array.dtype.name}")
            self._take_bytes(array.nbytes)
            return np.array(array, dtype=native)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            return self._tensor(torch, value)
        if isinstance(value, dict):
            self._take_items("dict", dict.__len__(value))
            return {self._key(key): self.of(item, depth + 1) for key, item in dict.items(value)}
        if isinstance(value, (list, tuple)):
            base: Any = list if isinstance(value, list) else tuple
            self._take_items(base.__name__, base.__len__(value))
            return [self.of(item, depth + 1) for item in base.__iter__(value)]
        if isinstance(value, (int, float, complex)):
            base = next(base for base in (int, float, complex) if isinstance(value, base))
            return base(value)
        return Opaque(kind.__name__)

    def _text(self, text: str) -> str:
        if len(text) > _TEXT:
            raise ObservationError(f"a string of {len(text):,} characters was returned: at most {_TEXT:,}")
        try:
            self._take_bytes(len(text.encode()))
        except UnicodeEncodeError:
            raise ObservationError("a string that is not Unicode was returned") from None
        return text

    def _key(self, key: Any) -> str | int:
        if isinstance(key, (int, np.integer)):
            return int(key)
        return self._text(str.__str__(key) if isinstance(key, str) else repr(key))

    def _tensor(self, torch: Any, value: Any) -> Any:
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise ObservationError(
                f"a tensor of layout {value.layout} on device {value.device} was returned: "
                "return an ordinary CPU tensor"
            )
        self._take_bytes(value.numel() * value.element_size())
        tensor = value.detach()
        if type(tensor) is not torch.Tensor:
            tensor = tensor.as_subclass(torch.Tensor)
        tensor = tensor.resolve_conj().resolve_neg()
        if tensor._is_zerotensor():  # a derivative that torch knows to be zero has no values yet
            tensor = tensor.clone()
        name = _name(tensor.dtype)
        if name == "bfloat16":
            tensor = tensor.float()
        elif name not in _DTYPES:
            return Opaque(f"torch tensor of dtype {name}")
        result = np.array(tensor.numpy()).view(Tensor)
        result.torch_dtype = name
        return result

    def _take_bytes(self, size: int) -> None:
        if size > _BYTES:
            raise ObservationError(f"an array of {size / 2**20:.0f} MiB was returned: at most {_BYTES // 2**20} MiB")
        self._bytes -= size
        if self._bytes < 0:
            raise ObservationError(f"more than {_BYTES // 2**20} MiB were returned")

    def _take_items(self, kind: str, size: int) -> None:
        if size > _ITEMS:
            raise ObservationError(f"a {kind} of {size:,} items was returned: at most {_ITEMS:,}")
        self._items -= size
        if self._items < 0:
            raise ObservationError(f"more than {_ITEMS:,} items were returned")


def encode(value: Any) -> bytes:
    """Plain data (what `plain` gives) as bytes."""
    return msgpack.packb(value, default=_pack, strict_types=True)


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        torch_dtype = value.torch_dtype if isinstance(value, Tensor) else None
        if value.nbytes <= _SMALL:
            return msgpack.ExtType(_ARRAY, _head(torch_dtype, value.dtype, value.shape, value.nbytes) + value.tobytes())
        header = [torch_dtype, _NAMES[value.dtype], list(value.shape), value.tobytes()]
        return msgpack.ExtType(_ARRAY, msgpack.packb(header))
    if isinstance(value, complex):
        return msgpack.ExtType(_COMPLEX, msgpack.packb([value.real, value.imag]))
    if isinstance(value, int):  # beyond 64 bits
        if value.bit_length() > 4096:
            raise ObservationError("an integer of more than 4,096 bits was returned")
        return msgpack.ExtType(_INTEGER, hex(value).encode())
    if isinstance(value, Opaque):
        return msgpack.ExtType(_OPAQUE, value.type_name.encode(errors="replace")[:200])
    raise ObservationError(f"{type(value).__name__} is no plain data")


@lru_cache(maxsize=1000)
def _head(torch_dtype: str | None, dtype: np.dtype, shape: tuple[int, ...], size: int) -> bytes:
    """What travels before the bytes of a small array: thousands of numbers have the same."""
    message = msgpack.packb([torch_dtype, _NAMES[dtype], list(shape), bytes(size)])
    return bytes(message[: len(message) - size])


@cache
def _name(torch_dtype: Any) -> str:
    return str(torch_dtype).removeprefix("torch.")


def decode(data: bytes) -> Any:
    """Bytes from the sandbox as plain data. Hostile bytes raise ObservationError, and nothing else happens."""
    try:
        must_not_swell(data)
        return msgpack.unpackb(data, ext_hook=_unpack, object_pairs_hook=_dict, strict_map_key=False)
    except ObservationError:
        raise
    except Exception as error:
        raise ObservationError(f"not an observation: {type(error).__name__}: {error}") from None


def _dict(pairs: list[tuple[Any, Any]]) -> dict[str | int, Any]:
    """A dict by texts and integers. Long integers can be chosen to collide: many of them would take forever."""
    if not all(type(key) in (str, int) for key, _ in pairs):
        raise ObservationError("a dict with keys that are neither text nor integers arrived")
    if sum(type(key) is int and key.bit_length() > 64 for key, _ in pairs) > _LONG_KEYS:
        raise ObservationError(f"a dict with more than {_LONG_KEYS:,} keys of more than 64 bits arrived")
    return dict(pairs)


def _unpack(code: int, data: bytes) -> Any:
    if code == _ARRAY:
        must_not_swell(data, 100)
        torch_dtype, dtype, shape, raw = msgpack.unpackb(data)
        if dtype not in _DTYPES or not all(type(size) is int and size >= 0 for size in shape):
            raise ObservationError("an array with an unknown dtype or shape arrived")
        array = np.frombuffer(raw, dtype=dtype).reshape(shape).copy()
        if torch_dtype is None:
            return array
        tensor = array.view(Tensor)
        tensor.torch_dtype = str(torch_dtype)[:20]
        return tensor
    if code == _COMPLEX:
        real, imaginary = msgpack.unpackb(data)
        return complex(real, imaginary)
    if code == _INTEGER and len(data) < 2000:
        return int(data.decode("ascii"), 16)
    if code == _OPAQUE:
        return Opaque(data.decode(errors="replace"))
    raise ObservationError(f"unknown extension {code}")
