"""
Privacy by choice: which columns of a resource leave the task, and which of them only as hashes.

::

    columns, hashed, salt   ─ checked ─→  _Choice   ─→  Privacy.table    the columns of CSV, Parquet and SQL
                                                    ─→  Privacy.apply    record → record, for each record
                                                    ─→  Privacy.fingerprint

A column is named as in the API. A dotted name reaches into an object (``customer.email``), and into each object of a
list (``agents.email``). The whole choice comes down to the columns at the ends of these paths, the leaves: a leaf is
kept, left out or hashed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.plurals import quoted
from airflow_provider_helpcrunch.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_helpcrunch.schema import Record

KEY_COLUMNS = frozenset({"id", "chat"})
"""Columns that stay as they are wherever a table has them: records are found again and joined by them."""

FINGERPRINT_LENGTH = 16

_HASH = re.compile("[0-9a-f]{64}")

Rule: TypeAlias = Callable[[Any], Any]
"""What happens to the value of a field."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """
    A checked choice of columns; :meth:`of` creates it.

    :param table: the columns that are left. Columns without any part left are gone; hashed ones are ``string``
    :param fingerprint: 16 hexadecimal digits that are the same as long as the choice and, if there are hashes, the salt
        are. The order of names does not matter. The salt cannot be read from it
    """

    table: Table
    fingerprint: str
    _choice: _Choice = field(repr=False)
    _fields: _Fields | None = field(repr=False, compare=False)

    @classmethod
    def of(
        cls,
        table: Table,
        columns: Sequence[str] | None = None,
        hashed: Sequence[str] | None = None,
        salt: str | None = None,
    ) -> Privacy:
        """
        Check a choice. Messages call the arguments ``columns``, ``hash`` and ``hash_salt``, as the operators do.

        :param table: the resource and all its columns
        :param columns: the names of the columns to keep, or the names of those to leave out, each with a ``-`` before
            it. ``id`` and ``chat`` are always kept, and ``statusRaw`` and ``ratingRaw`` are left out with ``status``
            and ``rating``. Default: all columns
        :param hashed: the names of columns whose values are replaced by hashes, and so are ``statusRaw`` and
            ``ratingRaw``; see :meth:`apply`. Default: none
        :param salt: the key of the hashes, a text that only those know who may know the values. It is in no message
        :return: the choice
        :raises HelpCrunchConfigurationError: the choice makes no sense; the message says why
        """
        choice = _checked(table, columns, hashed)
        key = _key(salt, choice)
        if not choice.names and not choice.hashed:
            return cls(table, _fingerprint(choice, key), choice, None)
        left = _left(table.columns, "", choice)
        fields = _Fields.of(table.columns, "", choice, key)
        return cls(Table(table.name, left), _fingerprint(choice, key), choice, fields)

    def apply(self, record: Record) -> Record:
        """
        Return a record with only what was chosen.

        A hash is the HMAC-SHA256 of the value as text, in hexadecimal digits, with the salt as its key. Equal texts
        have equal hashes in all runs and resources, so records can be joined by them. Nothing is normalised:
        ``A@b.example`` and ``a@b.example`` differ. A number is the text of its digits, so 7 and ``"7"`` are equal; a
        truth value is ``true`` or ``false``; an object or a list is its JSON with sorted keys. ``None`` stays ``None``.

        With a list of columns to keep, fields that the table does not know are left out. With a list of columns to
        leave out, they are kept.

        :param record: the record; it is not changed
        :return: a new record; the given one if all columns are kept as they are
        :raises HelpCrunchResponseError: a field holds a text or a number where the table has an object, so its parts
            cannot be left out or hashed
        """
        return record if self._fields is None else self._fields.of_object(record)

    def shows(self, name: str) -> bool:
        """
        Return whether the values of a column are left as they are.

        :param name: a column without columns inside it, such as ``role`` or ``customer.email``
        """
        return self._choice.keeps(name) and name not in self._choice.hashed


def is_hash(value: Any) -> bool:
    """
    Say whether a value looks like a hash that :meth:`Privacy.apply` makes: a text of 64 hexadecimal digits.

    :param value: any value
    """
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


class _Choice(NamedTuple):
    """
    What the user chose, checked.

    :param keeping: whether ``names`` are the columns to keep; otherwise those to leave out
    :param names: the columns to keep or to leave out, and all that is inside of them
    :param hashed: the leaves to hash
    """

    keeping: bool
    names: frozenset[str]
    hashed: frozenset[str]

    def keeps(self, leaf: str) -> bool:
        """Return whether a leaf is kept, as it is or as a hash."""
        return any(name in self.names for name in _upwards(leaf)) is self.keeping

    def touches(self, name: str) -> bool:
        """Return whether anything happens to a column or to what is inside of it."""
        if self.keeping:
            return True
        return any(name in _upwards(chosen) for chosen in self.names | self.hashed)


@dataclass(frozen=True, slots=True)
class _Fields:
    """
    What happens to the fields of an object.

    :param path: the name of the column that holds the object, for messages
    :param rules: what happens to the value of each field; ``None`` leaves the field out
    :param others: what happens to fields that the table does not know
    """

    path: str
    rules: Mapping[str, Rule | None]
    others: Rule | None

    @classmethod
    def of(cls, columns: Iterable[Column], path: str, choice: _Choice, key: bytes) -> _Fields:
        """Return the rules for an object with these columns."""
        rules: dict[str, Rule | None] = {}
        for column in columns:
            name = f"{path}.{column.name}".removeprefix(".")
            if not _left((column,), path, choice):
                rules[column.name] = None
            elif not choice.touches(name):
                rules[column.name] = _same
            elif column.fields:
                rules[column.name] = cls.of(column.fields, name, choice, key)
            else:
                rules[column.name] = _hasher(key) if name in choice.hashed else _same
        return cls(path, rules, None if choice.keeping else _same)

    def __call__(self, value: Any) -> Any:
        """Return an object or a list of objects with only what was chosen; an empty value is returned as it is."""
        if isinstance(value, dict):
            return self.of_object(value)
        if isinstance(value, list):
            return [self(item) for item in value]
        if value:
            msg = (
                f"HelpCrunch sent a value of type {type(value).__name__} in {self.path}, where an object is expected, "
                f"so its parts cannot be left out or hashed. Leave out {self.path} as a whole with columns."
            )
            raise HelpCrunchResponseError(msg)
        return value

    def of_object(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object with only what was chosen."""
        rules, others = self.rules, self.others
        return {
            name: rule(item) for name, item in value.items() if (rule := rules.get(name, others)) is not None
        }


def _same(value: Any) -> Any:
    return value


def _hasher(key: bytes) -> Rule:
    def hashed(value: Any) -> str | None:
        if value is None:
            return None
        # Half of a surrogate pair can be in a text too, and has to be hashed to something.
        text = _as_text(value).encode("utf-8", "surrogatepass")
        return hmac.digest(key, text, "sha256").hex()

    return hashed


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _left(columns: Iterable[Column], path: str, choice: _Choice) -> tuple[Column, ...]:
    """Return the columns that are left of some, with what is left inside of them."""
    left: list[Column] = []
    for column in columns:
        name = f"{path}.{column.name}".removeprefix(".")
        if column.fields:
            if fields := _left(column.fields, name, choice):
                left.append(replace(column, fields=fields))
        elif choice.keeps(name):
            left.append(Column(column.name, "string") if name in choice.hashed else column)
    return tuple(left)


def _upwards(name: str) -> Iterator[str]:
    """Yield a dotted name and the names of all columns that it is inside of."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _known(columns: Iterable[Column], path: str = "") -> dict[str, Column]:
    """Return all columns by their dotted names, each before those inside of it."""
    known: dict[str, Column] = {}
    for column in columns:
        name = f"{path}.{column.name}".removeprefix(".")
        known |= {name: column, **_known(column.fields, name)}
    return known


def _checked(table: Table, columns: Sequence[str] | None, hashed: Sequence[str] | None) -> _Choice:
    chosen = _names("columns", columns)
    left_out = [name for name in chosen if name.startswith("-")]
    if left_out and len(left_out) < len(chosen):
        kept = next(name for name in chosen if not name.startswith("-"))
        msg = (
            f"columns names {kept} to keep and {left_out[0]} to leave out: name only columns to keep, or only columns "
            "to leave out."
        )
        raise HelpCrunchConfigurationError(msg)
    names = [name.removeprefix("-").strip() for name in chosen]
    known = _known(table.columns)
    _refuse_unknown("columns", names, table, known)
    _refuse_overlap("columns", names)
    for name in names if left_out else ():
        _refuse_key("columns leaves out", name)
    keys = KEY_COLUMNS.intersection(known) if names and not left_out else frozenset()
    if left_out:
        keys = _originals(names, known)
    choice = _Choice(bool(names) and not left_out, frozenset(names) | keys, frozenset())
    return choice._replace(hashed=_checked_hashed(table, known, _names("hash", hashed), choice))


def _checked_hashed(
    table: Table, known: Mapping[str, Column], names: list[str], choice: _Choice
) -> frozenset[str]:
    _refuse_unknown("hash", names, table, known)
    _refuse_overlap("hash", names)
    for name in names:
        _refuse_key("hash names", name)
        if inside := known[name].fields:
            msg = (
                f"hash names {name}, which has columns inside it: name those to hash, out of "
                f"{', '.join(f'{name}.{column.name}' for column in inside)}."
            )
            raise HelpCrunchConfigurationError(msg)
        if not choice.keeps(name):
            msg = f"hash names {name}, which columns leaves out: take it out of hash, or keep it."
            raise HelpCrunchConfigurationError(msg)
    kept = {name for name in _originals(names, known) if choice.keeps(name)}
    return frozenset(names) | kept


def _originals(names: Iterable[str], known: Iterable[str]) -> frozenset[str]:
    """Return the columns with the same values in HelpCrunch's own spelling, such as ``statusRaw`` of ``status``."""
    return frozenset(f"{name}Raw" for name in names).intersection(known)


def _names(argument: str, value: Any) -> list[str]:
    """Return the names in an argument; the empty list if it was left out."""
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        msg = f"{argument} must be a list of column names, not {type(value).__name__}."
        raise HelpCrunchConfigurationError(msg)
    names = list(value)
    if not all(isinstance(name, str) and name.strip() for name in names):
        msg = f"{argument} must be a list of column names, and one of its entries is not a name."
        raise HelpCrunchConfigurationError(msg)
    if not names:
        msg = f"{argument} is an empty list: name at least one column, or leave {argument} out."
        raise HelpCrunchConfigurationError(msg)
    return [name.strip() for name in names]


def _refuse_unknown(argument: str, names: Iterable[str], table: Table, known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            msg = (
                f"{argument} names {quoted(name)}, which is no column of {table.name}; its columns are "
                f"{', '.join(known)}."
            )
            raise HelpCrunchConfigurationError(msg)


def _refuse_overlap(argument: str, names: Sequence[str]) -> None:
    for at, name in enumerate(names):
        if name in names[:at]:
            msg = f"{argument} names {name} twice."
            raise HelpCrunchConfigurationError(msg)
        if outer := next((outer for outer in _upwards(name) if outer != name and outer in names), None):
            msg = f"{argument} names {outer} and {name}, which is inside of it: name one of the two."
            raise HelpCrunchConfigurationError(msg)


def _refuse_key(doing: str, name: str) -> None:
    if name.partition(".")[0] in KEY_COLUMNS:
        msg = f"{doing} {name}, which must stay as it is, because records are found again and joined by it."
        raise HelpCrunchConfigurationError(msg)


def _key(salt: Any, choice: _Choice) -> bytes:
    """Return the key of the hashes; the empty one if nothing is hashed."""
    if salt is None:
        if choice.hashed:
            msg = "hash needs hash_salt: without a secret salt, anybody can find the values by trying."
            raise HelpCrunchConfigurationError(msg)
        return b""
    if not isinstance(salt, str):
        msg = f"hash_salt must be a text, not {type(salt).__name__}."
        raise HelpCrunchConfigurationError(msg)
    if not salt.strip():
        msg = "hash_salt is empty: give it a long random text, and keep that secret."
        raise HelpCrunchConfigurationError(msg)
    return salt.encode("utf-8", "surrogatepass") if choice.hashed else b""


def _fingerprint(choice: _Choice, key: bytes) -> str:
    written = {
        "keeping": choice.keeping,
        "names": sorted(choice.names),
        "hashed": sorted(choice.hashed),
        "salt": hmac.digest(key, b"fingerprint of the salt", "sha256").hex(),
    }
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()[:FINGERPRINT_LENGTH]
