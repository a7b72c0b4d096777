"""Stand-in for an integer of NumPy, such as data frames hand out; the tests need no NumPy."""

from __future__ import annotations


class NumPyInteger:
    """
    An integer that is no ``int``.

    :param value: the integer
    """

    def __init__(self, value: int) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"np.int64({self._value})"

    def __index__(self) -> int:
        return self._value
