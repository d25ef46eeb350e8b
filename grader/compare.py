"""How an observation is compared with the reference's. Pure functions of two plain values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grader.observation import Opaque, Tensor

# Different right formulas round differently: room for a few hundred roundings in each dtype.
_RTOL = {"float16": 1e-2, "bfloat16": 3e-2, "float32": 1e-4, "complex64": 1e-4}
_ATOL = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 1e-5, "complex64": 1e-5}


@dataclass(frozen=True)
class Difference:
    """Why an observation is not the reference's.

    fact:   what is wrong, with no value of the expected answer in it: "shape (5,) instead of (3, 5)".
    detail: how far off, and where first.
    values: the two values at that place.
    where:  which part of the observation, such as "result 2" or "case 'one example'".
    """

    fact: str
    detail: str = ""
    values: str = ""
    where: str = ""


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
                return _inside(f"{key}", found)
        extra = [key for key in observed if key not in expected]
        return Difference(f"{extra[0]!r} does not belong there") if extra else None

    def _lists(self, observed: Any, expected: list[Any]) -> Difference | None:
        if isinstance(observed, np.ndarray) and observed.ndim:
            observed = list(observed)
        if not isinstance(observed, list):
            return _wrong_kind(observed, expected)
        if len(observed) != len(expected):
            return Difference(f"{_count(len(observed))} instead of {len(expected)}")
        for index, (left, right) in enumerate(zip(observed, expected, strict=True)):
            found = self.difference(left, right)
            if found:
                return _inside(f"result {index + 1} of {len(expected)}", found)
        return None

    def _same(self, observed: Any, expected: Any) -> Difference | None:
        if type(observed) is not type(expected):
            return _wrong_kind(observed, expected)
        if observed == expected:
            return None
        if isinstance(expected, Opaque):
            return _wrong_kind(observed, expected)
        return Difference(
            "the answer differs", f"got {observed!r:.200}", f"{observed!r:.200} instead of {expected!r:.200}"
        )

    def _numbers(self, observed: Any, expected: Any) -> Difference | None:
        number = np.ndim(expected) == 0
        if not isinstance(observed, (bool, int, float, complex, np.ndarray)):
            return _wrong_kind(observed, expected)
        if number:
            # A number is a number: a Python float, a NumPy scalar, or a tensor without dimensions.
            if np.ndim(observed):
                return Difference(f"shape {np.shape(observed)} instead of a single number")
        else:
            if isinstance(observed, Tensor) != isinstance(expected, Tensor) or not isinstance(observed, np.ndarray):
                return _wrong_kind(observed, expected)
            if observed.shape != expected.shape:
                return Difference(f"shape {observed.shape} instead of {expected.shape}")
            left, right = _dtype(observed), _dtype(expected)
            if self.check_dtype and left != right and not (observed.dtype.kind in "iu" and expected.dtype.kind in "iu"):
                return Difference(f"{left} instead of {right}")
        try:
            return self.leaf(_wide(observed), _wide(expected), _dtype(expected))
        except (OverflowError, ValueError):
            return Difference("a number out of range")

    @abstractmethod
    def leaf(self, observed: np.ndarray, expected: np.ndarray, dtype: str) -> Difference | None:
        """Compare two arrays of one shape; `dtype` is the name of the expected dtype."""


@dataclass(frozen=True)
class Close(Structural):
    """Equal within |observed - expected| <= atol * max(1, max |expected|) + rtol * |expected|."""

    rtol: float | None = None
    atol: float | None = None
    check_dtype: bool = True

    def leaf(self, observed: np.ndarray, expected: np.ndarray, dtype: str) -> Difference | None:
        if expected.dtype.kind in "iub":
            rtol, atol = self.rtol or 0.0, self.atol or 0.0
        else:
            rtol = _RTOL.get(dtype, 1e-6) if self.rtol is None else self.rtol
            atol = _ATOL.get(dtype, 1e-9) if self.atol is None else self.atol
        with np.errstate(all="ignore"):
            finite = np.abs(expected[np.isfinite(expected)])
            scale = max(1.0, float(finite.max())) if finite.size else 1.0
            gap = np.abs(observed - expected)
            same = (observed == expected) | (np.isnan(observed) & np.isnan(expected))
            wrong = ~(same | (gap <= atol * scale + rtol * np.abs(expected)))
        return _values(observed, expected, gap, wrong)


@dataclass(frozen=True)
class UpToSign(Structural):
    """Equal, or equal after every sign of the array is flipped: eigenvectors have no sign."""

    close: Close = Close()

    def leaf(self, observed: np.ndarray, expected: np.ndarray, dtype: str) -> Difference | None:
        found = self.close.leaf(observed, expected, dtype)
        if found and self.close.leaf(-observed, expected, dtype):
            return found
        return None


@dataclass(frozen=True)
class SameDistribution(Structural):
    """Samples of one distribution: a two-sample Kolmogorov-Smirnov test does not tell them apart.

    A right answer with another stream of random numbers fails with probability `significance`.
    """

    significance: float = 1e-5

    def leaf(self, observed: np.ndarray, expected: np.ndarray, dtype: str) -> Difference | None:
        from scipy.stats import ks_2samp

        if not np.isfinite(observed).all():
            return Difference("some values are not finite")
        p_value = float(ks_2samp(observed.ravel(), expected.ravel()).pvalue)
        if p_value >= self.significance:
            return None
        return Difference(
            "the values are distributed differently",
            f"mean {observed.mean():.4g}, standard deviation {observed.std():.4g}",
            f"instead of mean {expected.mean():.4g}, standard deviation {expected.std():.4g}",
        )


@dataclass(frozen=True)
class SameSet(Comparison):
    """The same items, in any order. Items are compared with `item`."""

    item: Comparison = Close()

    def difference(self, observed: Any, expected: Any) -> Difference | None:
        if not isinstance(observed, (list, np.ndarray)) or (np.ndim(observed) == 0 and not isinstance(observed, list)):
            return _wrong_kind(observed, expected)
        if len(observed) != len(expected):
            return Difference(f"{_count(len(observed))} instead of {len(expected)}")
        left = list(expected)
        for index, one in enumerate(observed):
            for position, other in enumerate(left):
                if self.item.agree(one, other):
                    del left[position]
                    break
            else:
                return Difference("the items differ", f"item {index + 1} does not belong there", f"got {_short(one)}")
        return None


@dataclass(frozen=True)
class Bound(Comparison):
    """A number at least as large (or as small) as `value`, whatever the reference got."""

    value: float
    lower: bool

    def difference(self, observed: Any, expected: Any) -> Difference | None:
        if not isinstance(observed, (bool, int, float, np.ndarray)) or np.ndim(observed):
            return _wrong_kind(observed, expected)
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
        return str(value)
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


def _inside(place: str, found: Difference) -> Difference:
    return replace(found, where=f"{place}, {found.where}" if found.where else place)


def _count(number: int) -> str:
    return f"{number} item" if number == 1 else f"{number} items"


def _dtype(value: Any) -> str:
    if isinstance(value, Tensor):
        return value.torch_dtype
    return str(np.asarray(value).dtype)


def _wide(value: Any) -> np.ndarray:
    """As an array wide enough that a difference can't overflow or wrap round."""
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return array.astype(np.int64)
    if array.dtype.kind == "u" or array.dtype.kind == "f":
        return array.astype(np.float64)
    return array


def _values(observed: np.ndarray, expected: np.ndarray, gap: np.ndarray, wrong: np.ndarray) -> Difference | None:
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0]) if np.ndim(wrong) else ()
    got, want = observed[first], expected[first]
    place = f" at index {first if len(first) > 1 else first[0]}" if first else ""
    values = f"{_number(got)} instead of {_number(want)}{place}"
    largest = np.max(gap, where=np.isfinite(gap), initial=0.0)
    if not np.isfinite(got) and np.isfinite(want):
        return Difference(f"{_number(got)} where a finite number is expected", f"first{place}" if place else "", values)
    if not np.isfinite(gap[first]):
        return Difference("the values differ", f"got {_number(got)}{place}", values)
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
