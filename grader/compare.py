"""How an observation is compared with the reference's. Pure functions of two plain values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grader.observation import Opaque, Tensor, dtype_name

# Different right formulas round differently: room for a few hundred roundings in each dtype.
_RTOL = {"float16": 1e-2, "bfloat16": 3e-2, "float32": 1e-4, "complex64": 1e-4}
_ATOL = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 1e-5, "complex64": 1e-5}

# So many values are shown as a whole.
_FEW = 6


@dataclass(frozen=True)
class Difference:
    """Why an observation is not the reference's.

    fact:   what is wrong, and nothing about the expected answer but its kind: "the shape is wrong".
    detail: the same with shapes, dtypes, lengths, how far off, and where first: "shape (5,) instead of (3, 5)".
    values: the two values at that place.
    where:  which part of the observation, such as "result 2 of 3" or "one example".
    path:   the keys and indices that lead there.
    """

    fact: str
    detail: str = ""
    values: str = ""
    where: str = ""
    path: tuple[str | int, ...] = ()


class Comparison(ABC):
    """Decides whether `observed` is as good as `expected`."""

    @abstractmethod
    def difference(self, observed: Any, expected: Any) -> Difference | None:
        """None if they agree, else the first difference. Never raises on a hostile `observed`."""

    def agree(self, observed: Any, expected: Any) -> bool:
        return self.difference(observed, expected) is None


class Structural(Comparison):
    """Walks lists and dicts side by side; a subclass compares the arrays at the leaves."""

    check_dtype = True

    def difference(self, observed: Any, expected: Any) -> Difference | None:
        if isinstance(expected, dict):
            return self._dicts(observed, expected)
        if isinstance(expected, list):
            return self._lists(observed, expected)
        if expected is None or isinstance(expected, (str, Opaque)):
            return self._same(observed, expected)
        return self._numbers(observed, expected)

    def _dicts(self, observed: Any, expected: dict[Any, Any]) -> Difference | None:
        if not isinstance(observed, dict):
            return _wrong_kind(observed, expected)
        for key, value in expected.items():
            if key not in observed:
                return Difference(f"{key!r} is missing")
            found = self.difference(observed[key], value)
            if found:
                return _inside(f"{key}", found, key)
        extra = [key for key in observed if key not in expected]
        return Difference(f"{extra[0]!r} does not belong there") if extra else None

    def _lists(self, observed: Any, expected: list[Any]) -> Difference | None:
        if isinstance(observed, np.ndarray) and observed.ndim:
            observed = list(observed) if observed.ndim > 1 else observed.tolist()
        if not isinstance(observed, list):
            return _wrong_kind(observed, expected)
        if len(observed) != len(expected):
            return _wrong_length(observed, expected)
        for index, (left, right) in enumerate(zip(observed, expected, strict=True)):
            found = self.difference(left, right)
            if found:
                return _inside(f"result {index + 1} of {len(expected)}", found, index)
        return None

    def _same(self, observed: Any, expected: Any) -> Difference | None:
        if type(observed) is not type(expected):
            return _wrong_kind(observed, expected)
        if observed == expected:
            return None
        if isinstance(expected, Opaque):
            return _wrong_kind(observed, expected)
        got = f"{observed!r:.200}"
        return Difference(
            "the answer differs", f"the answer differs: got {got}", f"you gave {got}, expected {expected!r:.200}"
        )

    def _numbers(self, observed: Any, expected: Any) -> Difference | None:
        number = np.ndim(expected) == 0
        if not isinstance(observed, (bool, int, float, complex, np.ndarray)):
            return _wrong_kind(observed, expected)
        if number:
            # A number is a number: a Python float, a NumPy scalar, or a tensor without dimensions.
            if np.ndim(observed):
                return Difference("the shape is wrong", f"shape {np.shape(observed)} instead of a single number")
        else:
            if isinstance(observed, Tensor) != isinstance(expected, Tensor) or not isinstance(observed, np.ndarray):
                return _wrong_kind(observed, expected)
            if observed.shape != expected.shape:
                return Difference("the shape is wrong", f"shape {observed.shape} instead of {expected.shape}")
            left, right = _dtype(observed), _dtype(expected)
            if self.check_dtype and left != right and not (observed.dtype.kind in "iu" and expected.dtype.kind in "iu"):
                return Difference("the dtype is wrong", f"{left} instead of {right}")
        if np.asarray(observed).dtype.kind == "O" or np.asarray(expected).dtype.kind == "O":
            # An integer beyond 64 bits.
            return None if observed == expected else Difference("a number out of range")
        dtypes = _dtype(observed), _dtype(expected)
        return self.leaf(np.asarray(observed), np.asarray(expected), dtypes)

    @abstractmethod
    def leaf(self, observed: np.ndarray, expected: np.ndarray, dtypes: tuple[str, str]) -> Difference | None:
        """Compare two numeric arrays of one shape; `dtypes` are their dtypes as NumPy or torch names them."""


@dataclass(frozen=True)
class Close(Structural):
    """Equal within |observed - expected| <= atol * max(1, max |expected|) + rtol * |expected|."""

    rtol: float | None = None
    atol: float | None = None
    check_dtype: bool = True

    def leaf(self, observed: np.ndarray, expected: np.ndarray, dtypes: tuple[str, str]) -> Difference | None:
        return _values(observed, expected, *self._gaps(observed, expected, dtypes))

    def wrong(self, observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Which values are off, in two arrays of one shape."""
        return self._gaps(np.asarray(observed), np.asarray(expected), (_dtype(observed), _dtype(expected)))[1]

    def _gaps(
        self, observed: np.ndarray, expected: np.ndarray, dtypes: tuple[str, str]
    ) -> tuple[np.ndarray, np.ndarray]:
        rtol, atol = self._tolerance(expected, dtypes)
        left, right = _float(observed), _float(expected)
        with np.errstate(all="ignore"):
            # Equality of the numbers as they are: integers of 64 bits do not fit into a float.
            same = (observed == expected) | (np.isnan(left) & np.isnan(right))
            sizes = np.where(np.isfinite(right), np.abs(right), 0.0)
            scale = max(1.0, float(np.max(sizes, initial=0.0)))
            gap = np.abs(left - right)
            near = np.isfinite(gap) & (gap <= atol * scale + rtol * sizes) & (rtol + atol > 0)
        return gap, np.asarray(~(same | near))

    def _tolerance(self, expected: np.ndarray, dtypes: tuple[str, str]) -> tuple[float, float]:
        if expected.dtype.kind in "iub":
            return self.rtol or 0.0, self.atol or 0.0
        # A single number may come in another dtype than the reference's: the coarser one decides.
        rtol = max(_RTOL.get(dtype, 1e-6) for dtype in dtypes) if self.rtol is None else self.rtol
        atol = max(_ATOL.get(dtype, 1e-9) for dtype in dtypes) if self.atol is None else self.atol
        return rtol, atol


@dataclass(frozen=True)
class UpToSign(Structural):
    """Equal, or equal after every sign of the array is flipped: eigenvectors have no sign."""

    close: Close = Close()

    def leaf(self, observed: np.ndarray, expected: np.ndarray, dtypes: tuple[str, str]) -> Difference | None:
        found = self.close.leaf(observed, expected, dtypes)
        if found and self.close.leaf(-_float(observed), expected, dtypes):
            return found
        return None


@dataclass(frozen=True)
class SameDistribution(Structural):
    """Samples of one distribution: a two-sample Kolmogorov-Smirnov test does not tell them apart.

    A right answer with another stream of random numbers fails with probability `significance`.
    """

    significance: float = 1e-5

    def leaf(self, observed: np.ndarray, expected: np.ndarray, dtypes: tuple[str, str]) -> Difference | None:
        from scipy.stats import ks_2samp

        if not expected.size:
            return None  # nothing was drawn, on both sides
        if not np.isfinite(observed).all():
            return Difference("some values are not finite")
        p_value = float(ks_2samp(observed.ravel(), expected.ravel()).pvalue)
        if p_value >= self.significance:
            return None
        return Difference(
            "the values are distributed differently",
            "the values are distributed differently: "
            f"mean {observed.mean():.4g}, standard deviation {observed.std():.4g}",
            f"instead of mean {expected.mean():.4g}, standard deviation {expected.std():.4g}",
        )


@dataclass(frozen=True)
class SameSet(Comparison):
    """The same items, in any order. Items are compared with `item`."""

    item: Comparison = Close()

    def difference(self, observed: Any, expected: Any) -> Difference | None:
        if not isinstance(observed, list) and not (isinstance(observed, np.ndarray) and observed.ndim):
            return _wrong_kind(observed, expected)
        if len(observed) != len(expected):
            return _wrong_length(observed, expected)
        left = list(expected)
        for index, one in enumerate(observed):
            for position, other in enumerate(left):
                if self.item.agree(one, other):
                    del left[position]
                    break
            else:
                told = f"the items differ: item {index + 1} does not belong there"
                return Difference("the items differ", told, f"got {_short(one)}")
        return None


@dataclass(frozen=True)
class Bound(Comparison):
    """A number at least as large (or as small) as `value`, whatever the reference got."""

    value: float
    lower: bool

    def difference(self, observed: Any, expected: Any) -> Difference | None:
        if not isinstance(observed, (int, float, np.ndarray)) or np.ndim(observed):
            return _wrong_kind(observed, expected)
        if np.asarray(observed).dtype.kind not in "biuf":
            return Difference("a number out of range")
        number = float(observed)
        if number >= self.value if self.lower else number <= self.value:
            return None
        word = "at least" if self.lower else "at most"
        return Difference(f"{number:.4g}: {word} {self.value:g} is needed")


def close(*, rtol: float | None = None, atol: float | None = None, dtype: bool = True) -> Comparison:
    """Equal within a tolerance that depends on the expected dtype; integers and booleans exactly.

    dtype: an array must have the reference's dtype too (integers of any width are alike).
    """
    return Close(rtol, atol, dtype)


def exact(*, dtype: bool = True) -> Comparison:
    """Equal to the last bit."""
    return Close(0.0, 0.0, dtype)


def up_to_sign(*, rtol: float | None = None, atol: float | None = None) -> Comparison:
    """Equal, or equal after a change of sign of the whole array."""
    return UpToSign(Close(rtol, atol))


def same_set(item: Comparison | None = None) -> Comparison:
    """The same items in any order: of a list, or the rows of an array."""
    return SameSet(item or Close())


def same_distribution(significance: float = 1e-5) -> Comparison:
    """Arrays of random numbers from the same distribution."""
    return SameDistribution(significance)


def at_least(value: float) -> Comparison:
    """A number that reaches `value`."""
    return Bound(value, lower=True)


def at_most(value: float) -> Comparison:
    """A number that does not exceed `value`."""
    return Bound(value, lower=False)


def describe(value: Any) -> str:
    """What kind of thing `value` is, for a sentence."""
    if value is None:
        return "None"
    if isinstance(value, Opaque):
        article = "an" if value.type_name[:1].lower() in "aeiou" else "a"
        return f"{article} {value.type_name}"
    if isinstance(value, Tensor):
        return "a torch tensor" if value.ndim else "a number"
    if isinstance(value, np.ndarray):
        return "a NumPy array" if value.ndim else "a number"
    if isinstance(value, bool):
        return "True or False"
    names: list[tuple[type | tuple[type, ...], str]] = [
        ((int, float, complex), "a number"),
        (str, "a string"),
        (list, "a list or tuple"),
        (dict, "a dict"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), f"a {type(value).__name__}")


def _wrong_kind(observed: Any, expected: Any) -> Difference:
    fact = f"{describe(observed)} instead of {describe(expected)}"
    if observed is None:
        fact += ": is a return missing?"
    return Difference(fact)


def _inside(place: str, found: Difference, key: str | int) -> Difference:
    return replace(found, where=f"{place}, {found.where}" if found.where else place, path=(key, *found.path))


def _wrong_length(observed: Any, expected: Any) -> Difference:
    count = f"{len(observed)} item" + ("s" if len(observed) != 1 else "")
    return Difference("the number of items is wrong", f"{count} instead of {len(expected)}")


def _dtype(value: Any) -> str:
    if isinstance(value, Tensor):
        return value.torch_dtype
    return dtype_name(np.asarray(value))


def _float(array: np.ndarray) -> np.ndarray:
    """In a type whose differences don't wrap round."""
    return np.asarray(array, dtype=np.complex128 if array.dtype.kind == "c" else np.float64)


def _values(observed: np.ndarray, expected: np.ndarray, gap: np.ndarray, wrong: np.ndarray) -> Difference | None:
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0]) if np.ndim(wrong) else ()
    got, want = observed[first], expected[first]
    place = f" at index {first if len(first) > 1 else first[0]}" if first else ""
    values = f"you gave {_number(got)}, expected {_number(want)}{place}"
    if 1 < observed.size <= _FEW:
        values = f"you gave {_short(observed)}, expected {_short(expected)}"
    largest = np.max(gap, where=np.isfinite(gap), initial=0.0)
    if not np.isfinite(got) and np.isfinite(want):
        fact = f"{_number(got)} where a finite number is expected"
        return Difference(fact, f"{fact}: first{place}" if place else "", values)
    if not np.isfinite(gap[first]):
        return Difference("the values differ", f"the values differ: got {_number(got)}{place}", values)
    detail = f"differs by up to {_number(largest)}"
    if place:
        detail += f"; first{place}"
        if wrong.sum() < wrong.size:
            detail += f" ({int(wrong.sum()):,} of {wrong.size:,} values)"
    return Difference("the values differ" if place else "the value differs", detail, values)


def _number(value: Any) -> str:
    if isinstance(value, (complex, np.complexfloating)):
        return f"{complex(value):.4g}"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _short(value: Any) -> str:
    text = np.array2string(value, precision=4, threshold=12) if isinstance(value, np.ndarray) else repr(value)
    return " ".join(text.split())[:160]
