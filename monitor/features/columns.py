"""Named arrays that share their last axis and grow together; and sums that do not depend on the order of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SLACK: Final = 16
"""A table grows by a sixteenth at least: few copies, little waste."""


@dataclass(frozen=True, slots=True)
class Column:
    """One array of a table: its leading axes, dtype, and what a new entry holds."""

    lead: tuple[int, ...]
    dtype: str
    fill: float = 0


class Columns:
    """A table whose columns are arrays (*lead, n): rings come first, so that one moment of all entries lies together.

    With `has_template`, entry 0 belongs to nobody and new entries start as copies of it: what was said of all keys
    also holds for a key that appears later."""

    def __init__(self, spec: Mapping[str, Column], *, has_template: bool) -> None:
        self._spec = spec
        self._has_template = has_template
        self.n = 1 if has_template else 0
        self._arrays: dict[str, Array] = {
            name: np.full((*column.lead, 64), column.fill, dtype=column.dtype) for name, column in spec.items()
        }

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name][..., : self.n]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spec)

    def grow_to(self, n: int) -> None:
        """Adds entries until there are `n`; never shrinks."""
        if n <= self.n:
            return
        for name, column in self._spec.items():
            array = self._arrays[name]
            if array.shape[-1] < n:
                grown = np.empty((*column.lead, n + max(64, n // SLACK)), dtype=column.dtype)
                grown[..., : self.n] = array[..., : self.n]
                self._arrays[name] = array = grown
            array[..., self.n : n] = array[..., :1] if self._has_template else column.fill
        self.n = n

    def keep(self, positions: npt.NDArray[np.intp]) -> None:
        """Keeps only these entries, in this order."""
        for name in self._spec:
            self._arrays[name] = np.ascontiguousarray(self[name][..., positions])
        self.n = len(positions)

    def put(self, arrays: Mapping[str, Array]) -> None:
        """Replaces the whole content. Raises ValueError where shapes or dtypes are not those of this table."""
        lengths = set()
        for name, column in self._spec.items():
            array = arrays[name]
            if array.shape[:-1] != column.lead or array.dtype != np.dtype(column.dtype):
                raise ValueError(f"column {name!r} is {array.dtype}{array.shape}")
            lengths.add(array.shape[-1])
        if len(lengths) != 1:
            raise ValueError("columns differ in length")
        self._arrays = dict(arrays)
        self.n = lengths.pop()

    @property
    def n_bytes(self) -> int:
        """Memory of all columns, slack included."""
        return sum(array.nbytes for array in self._arrays.values())


def total_by(codes: Array, numbers: Array, n: int) -> Floats:
    """Sum of `numbers` by code in [0, n), as float64: exact for integers below 2**53."""
    return np.bincount(codes, weights=numbers.astype(np.float64, copy=False), minlength=n).astype(
        np.float64, copy=False
    )


def distinct(numbers: Array) -> list[int]:
    """The few distinct integers of a long array, ascending."""
    return [int(number) for number in np.unique(numbers)]
