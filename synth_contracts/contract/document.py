"""One YAML 1.2 document as plain values that remember where they stand in the file.

The events come from PyYAML's parser (libyaml where it is there: 0.8 ms for a contract of 110
lines against 20 ms for a parser in Python, and linting a hundred contracts has two seconds). Of
PyYAML's readings nothing is used: it keeps the last of duplicate keys, reads ``on`` as true,
``010`` as 8 and ``1e3`` as text. Scalars are resolved here by the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema), and what a contract has no use for is refused:
duplicate keys, keys that are not text, tags, non-finite numbers, nesting beyond 64, aliases that
expand beyond 50,000 values, files beyond 1 MB.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from synth_contracts.errors import Problem

MAX_BYTES = 1_000_000
_MAX_DEPTH = 64
_MAX_NODES = 50_000
#: the widest integer that DuckDB holds (HUGEINT)
_MAX_INTEGER = 2**127 - 1

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CORE = "tag:yaml.org,2002:"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Place = tuple[int, int]
Steps = Sequence[str | int]


class Map(dict[str, Any]):
    """A mapping; ``keys_at`` and ``values_at`` hold (line, column), counted from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.at: Place = (1, 1)
        self.keys_at: dict[str, Place] = {}
        self.values_at: dict[str, Place] = {}


class Seq(list[Any]):
    """A sequence; ``items_at`` holds the (line, column) of each item, counted from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.at: Place = (1, 1)
        self.items_at: list[Place] = []


class Problems:
    """Gathers the faults and warnings of one file, each with its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[tuple[Place, str], Problem] = {}
        self._warnings: dict[tuple[Place, str], Problem] = {}
        self._unread: set[Place] = set()

    def unread(self, at: Place, message: str, mend: str = "") -> None:
        """Record a value that could not be read: nothing more is said of its place."""
        self.add(at, message, mend)
        self._unread.add(at)

    def add(self, at: Place, message: str, mend: str = "") -> None:
        """Record a fault; the same fault at the same place counts once."""
        if at in self._unread:
            return
        self._found.setdefault((at, message), self._problem(at, message, mend))

    def warn(self, at: Place, message: str, mend: str = "") -> None:
        """Record a warning: the contract stays valid."""
        self._warnings.setdefault((at, message), self._problem(at, message, mend))

    def _problem(self, at: Place, message: str, mend: str) -> Problem:
        return Problem(f"{self.path}:{at[0]}:{at[1]}", message, mend)

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def found(self) -> list[Problem]:
        """Faults in the order of the file."""
        return [self._found[key] for key in sorted(self._found)]

    @property
    def warnings(self) -> list[Problem]:
        """Warnings in the order of the file."""
        return [self._warnings[key] for key in sorted(self._warnings)]


def suggest(word: str, known: Iterable[str], what: str = "known") -> str:
    """A mend for a word that is not known: the nearest known one, or all of them."""
    words = list(known)
    folded = {name.casefold(): name for name in reversed(words)}
    near = get_close_matches(str(word)[:200].casefold(), list(folded), n=1, cutoff=0.6)
    if near:
        return f"did you mean `{folded[near[0]]}`?"
    return f"{what}: {', '.join(words)}" if words else ""


def is_text(scalar: str) -> bool:
    """Whether a plain scalar of these characters reads back as text (so needs no quotes)."""
    return not (
        scalar in _NULL
        or scalar in _BOOLEAN
        or _INTEGER.fullmatch(scalar)
        or _FLOAT.fullmatch(scalar)
        or _NOT_FINITE.fullmatch(scalar)
    )


def locate(root: Map, path: Steps, *, key: bool = False) -> Place:
    """Where the value (or its key) at ``path`` stands; its nearest known parent otherwise."""
    node: Any = root
    at = root.at
    for depth, step in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(node, Map) and step in node:
            name = str(step)
            at = node.keys_at[name] if key and last else node.values_at[name]
            node = node[name]
        elif isinstance(node, Seq) and isinstance(step, int) and step < len(node):
            at = node.items_at[step]
            node = node[step]
        else:
            break
    return at


def read_text(path: Path, problems: Problems) -> str | None:
    """The file as text; None, with the fault recorded, when it cannot be had."""
    start = (1, 1)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        problems.add(start, f"the contract file {what}", "check the path")
        return None
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        problems.add(start, f"the contract file cannot be read: {error.strerror}")
        return None
    if len(raw) > MAX_BYTES:
        problems.add(start, "the contract file is larger than 1 MB", "one contract, one table")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        at = (before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        problems.add(at, "the contract file is not UTF-8", "save it as UTF-8")
        return None


def parse(text: str, problems: Problems) -> Map | None:
    """The document's top mapping; None, with the faults recorded, when there is none."""
    try:
        root = _Reader(text, problems).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.add(at, f"not YAML: {error.problem or error.context}")
        return None
    except yaml.YAMLError as error:  # the reader's faults carry an offset, not a line
        before = text[: getattr(error, "position", 0) or 0]
        at = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        problems.add(at, f"not YAML: {str(error).splitlines()[0]}")
        return None
    except _TooMuch as error:
        problems.add(error.at, str(error), error.mend)
        return None
    if root is None:
        problems.add((1, 1), "the contract file is empty", "start from `synth-contracts init`")
        return None
    if not isinstance(root, Map):
        problems.add((1, 1), "a contract is a mapping of keys to values")
        return None
    return root


class _TooMuch(Exception):
    """A document built to exhaust the reader; ends the reading at once."""

    def __init__(self, at: Place, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.mend = mend


class _Reader:
    """Builds Map, Seq and scalars from events, one document deep."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.loader = _Loader(text)
        self.problems = problems
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0

    def document(self) -> Any:
        self.loader.get_event()  # StreamStart
        if self.loader.check_event(yaml.StreamEndEvent):
            return None
        self.loader.get_event()  # DocumentStart
        root, _ = self.node(0)
        self.loader.get_event()  # DocumentEnd
        if not self.loader.check_event(yaml.StreamEndEvent):
            at = _at(self.loader.get_event())
            self.problems.add(at, "a second YAML document", "one contract per file")
        return root

    def node(self, depth: int) -> tuple[Any, Place]:
        event = self.loader.get_event()
        at = _at(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor, at), at
        if depth > _MAX_DEPTH:
            raise _TooMuch(at, f"nested deeper than {_MAX_DEPTH} levels")
        before = self.nodes
        self.count(1, at)
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event, at)
        else:
            if event.tag not in (None, "!", f"{_CORE}map", f"{_CORE}seq"):
                self.tag(event.tag, at)
            if isinstance(event, yaml.MappingStartEvent):
                value = self.mapping(at, depth)
            else:
                value = self.sequence(at, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.nodes - before)
        return value, at

    def count(self, more: int, at: Place) -> None:
        self.nodes += more
        if self.nodes > _MAX_NODES:
            raise _TooMuch(
                at, f"the document expands to more than {_MAX_NODES:,} values", "use fewer aliases"
            )

    def alias(self, anchor: str, at: Place) -> Any:
        if anchor not in self.anchors:
            raise _TooMuch(at, f"the alias *{anchor[:80]} names no anchor that ends before it")
        value, size = self.anchors[anchor]
        self.count(size, at)
        return copy.deepcopy(value)

    def tag(self, tag: str, at: Place) -> None:
        name = tag.replace(_CORE, "!!")
        self.problems.unread(at, f"the YAML tag {name} is not allowed", "take the tag away")

    def mapping(self, at: Place, depth: int) -> Map:
        found = Map()
        found.at = at
        while not self.loader.check_event(yaml.MappingEndEvent):
            key, key_at = self.node(depth + 1)
            value, value_at = self.node(depth + 1)
            if not isinstance(key, str):
                self.problems.add(key_at, "a key must be text", "put it in quotes")
            elif key in found:
                line = found.keys_at[key][0]
                self.problems.add(
                    key_at,
                    f"duplicate key `{key[:80]}`, first on line {line}",
                    "keep one: YAML would silently take either",
                )
            else:
                found[key] = value
                found.keys_at[key] = key_at
                found.values_at[key] = value_at
        self.loader.get_event()
        return found

    def sequence(self, at: Place, depth: int) -> Seq:
        found = Seq()
        found.at = at
        while not self.loader.check_event(yaml.SequenceEndEvent):
            value, value_at = self.node(depth + 1)
            found.append(value)
            found.items_at.append(value_at)
        self.loader.get_event()
        return found

    def scalar(self, event: Any, at: Place) -> Any:
        text: str = event.value
        tag = event.tag
        if tag is None and not event.implicit[0]:
            return text  # quoted
        if tag is not None and not tag.startswith(_CORE) and tag != "!":
            self.tag(tag, at)
            return text
        if tag in {"!", f"{_CORE}str"}:
            return text
        value = self.plain(text, at)
        if tag is not None:
            kinds = {"int": int, "float": float, "bool": bool, "null": type(None)}
            kind = kinds.get(tag.removeprefix(_CORE))
            if kind is None:
                self.tag(tag, at)
            elif kind is float and type(value) is int:
                return float(value)
            elif type(value) is not kind:
                self.problems.unread(at, f"`{text[:80]}` is not what its tag says")
        return value

    def plain(self, text: str, at: Place) -> Any:
        if text in _NULL:
            return None
        if text in _BOOLEAN:
            return _BOOLEAN[text]
        if _INTEGER.fullmatch(text):
            # 4300 digits are Python's own limit; 60 octal ones are more than enough
            whole = _MAX_INTEGER + 1 if len(text) > 60 else _integer(text)
            if abs(whole) > _MAX_INTEGER:
                self.problems.unread(
                    at, f"`{text[:40]}` is beyond 128 bits", "quote it if it is text"
                )
                return 0
            if re.match(r"[-+]?0[0-9]", text):
                self.problems.warn(
                    at,
                    f"`{text}` is {whole} in YAML 1.2, octal elsewhere",
                    f"write {whole}",
                )
            return whole
        if _FLOAT.fullmatch(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                self.problems.unread(at, f"`{text[:40]}` is not a finite number")
                return 0.0
            return number
        if _NOT_FINITE.fullmatch(text):
            self.problems.unread(at, f"`{text}` is not a finite number", "quote it if it is text")
            return 0.0
        return text


def _integer(text: str) -> int:
    if text.startswith("0o"):
        return int(text[2:], 8)
    if text.startswith("0x"):
        return int(text[2:], 16)
    return int(text, 10)


def _at(event: Any) -> Place:
    return (event.start_mark.line + 1, event.start_mark.column + 1)
