"""YAML as a tree that remembers its lines.

Strict where YAML is generous: one document of plain mappings, lists and scalars, no tags, no merge keys, no key twice,
and limits that end a hostile file early. Unquoted scalars mean what YAML 1.2 says (``no`` is a word and ``010`` is
ten), and texts stay at hand as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Pointer = tuple[str | int, ...]
"""The way from the root of the file to a value: field names, and positions in lists."""

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 50_000

_DIRECTIVE = re.compile(r"^%[^\n]*", re.MULTILINE)
# No longer than a number needs to be: a commit of forty digits is a text.
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = {"": None, "~": None}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True)
_WORDS |= dict.fromkeys(("false", "False", "FALSE"), False)


class UnreadableError(Exception):
    """Why a text is no deployment file, and where (0 when it is all of it)."""

    def __init__(
        self, code: str, message: str, *, line: int = 0, column: int = 0, given: str = "", fix: str = ""
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.line, self.column, self.given, self.fix = code, message, line, column, given, fix


@dataclass(slots=True)
class Scalar:
    """A text, quoted or plain."""

    line: int
    column: int
    text: str
    plain: bool


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Fields by name, each with the place of its name."""

    line: int
    column: int
    fields: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class Source:
    """A file that has been read: its name, and the tree that its lines made."""

    file: str
    root: Mapping

    def locate(self, pointer: Pointer, *, at_name: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of a scalar, or of the name of a field that holds more than a scalar.

        A pointer to what is not there leads to the last part that is. ``at_name`` asks for the name in any case.
        """
        place: tuple[int, int] = (self.root.line, self.root.column)
        node: Node = self.root
        for position, part in enumerate(pointer):
            name, child = _child(node, part)
            if child is None:
                break
            node = child
            last = position == len(pointer) - 1
            at = name if name is not None and (not isinstance(node, Scalar) or (last and at_name)) else node
            place = (at.line, at.column)
        return place

    def is_scalar(self, pointer: Pointer) -> bool:
        """Whether a text or a number stands there."""
        return isinstance(self._at(pointer), Scalar)

    def written(self, pointer: Pointer) -> str:
        """The text of a scalar as the file has it; the kind of anything else; nothing where nothing is."""
        match node := self._at(pointer):
            case None:
                return ""
            case Scalar():
                return node.text or "nothing"
            case Sequence():
                texts = [item.text for item in node.items if isinstance(item, Scalar)]
                return f"[{', '.join(texts)}]" if len(texts) == len(node.items) else f"a list of {len(node.items)}"
            case Mapping():
                return f"{{{', '.join(node.fields)}}}" if node.fields else "an empty mapping"

    def _at(self, pointer: Pointer) -> Node | None:
        node: Node | None = self.root
        for part in pointer:
            node = _child(node, part)[1] if node is not None else None
        return node


def parse(text: str, file: str) -> tuple[Source, dict[str, Any]]:
    """The tree of a YAML text, and the plain values in it.

    :raises UnreadableError: with the first reason why it is not one.
    """
    if directive := _DIRECTIVE.search(text):
        line = text.count("\n", 0, directive.start()) + 1
        raise UnreadableError(
            "NCDK-FILE-008", "YAML directives are not allowed", line=line, column=1, given=directive[0]
        )
    try:
        root = _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        mark, start = error.problem_mark, error.context_mark
        since = f" {error.context} that starts on line {start.line + 1}" if error.context and start else ""
        raise UnreadableError(
            "NCDK-FILE-004",
            f"this is not YAML: {error.problem}{since}",
            line=mark.line + 1 if mark else 0,
            column=mark.column + 1 if mark else 0,
            fix="look here and above: indentation, a missing colon, an open quote or bracket",
        ) from None
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise UnreadableError("NCDK-FILE-004", f"this is not YAML: {str(error).splitlines()[0]}") from None
    if root is None or (isinstance(root, Scalar) and root.plain and not root.text):
        raise UnreadableError("NCDK-FILE-005", "the file is empty", fix="start from a file in deployments/")
    if not isinstance(root, Mapping):
        raise UnreadableError(
            "NCDK-FILE-007",
            "a deployment file is a mapping of fields",
            line=root.line,
            column=root.column,
            given="a list" if isinstance(root, Sequence) else root.text,
            fix="start with name:, environment: and network:",
        )
    return Source(file, root), _Values().of_mapping(root, 0)


class _Composer:
    """Makes nodes of libyaml's events; PyYAML's own composer accepts all that is refused here."""

    def __init__(self, text: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=loader)
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _unreadable("NCDK-FILE-006", "the file holds more than one document", event, fix="keep one")
                root = self._node(next(self._events), 0)
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._nodes += 1
        if self._nodes > MAX_VALUES:
            raise _unreadable("NCDK-FILE-010", f"the file holds more than {MAX_VALUES:,} values", event)
        if depth > MAX_DEPTH:
            raise _unreadable("NCDK-FILE-011", f"nested deeper than {MAX_DEPTH} levels", event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _unreadable(
                    "NCDK-FILE-010", "this alias has no anchor before it", event, given=f"*{event.anchor}"
                )
            return self._anchors[event.anchor]
        tag = event.tag if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) else None
        if tag not in (None, "!"):
            raise _unreadable(
                "NCDK-FILE-008", "YAML tags are not allowed", event, given=str(tag), fix="write the plain value"
            )
        node = self._plain_node(event, depth)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            self._anchors[event.anchor] = node  # only now: a node cannot hold itself
        return node

    def _plain_node(self, event: yaml.Event, depth: int) -> Node:
        line, column = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(line, column, event.value, plain=not event.style)
        if isinstance(event, yaml.SequenceStartEvent):
            items = Sequence(line, column)
            while not isinstance(entry := next(self._events), yaml.SequenceEndEvent):
                items.items.append(self._node(entry, depth + 1))
            return items
        mapping = Mapping(line, column)
        while not isinstance(entry := next(self._events), yaml.MappingEndEvent):
            key = self._key(entry, depth, mapping)
            mapping.fields[key.text] = (key, self._node(next(self._events), depth + 1))
        return mapping

    def _key(self, event: yaml.Event, depth: int, mapping: Mapping) -> Scalar:
        key = self._node(event, depth + 1)
        if not isinstance(key, Scalar):
            raise _unreadable("NCDK-FILE-012", "a field's name is a plain text", event)
        if key.text == "<<" and key.plain:
            raise _unreadable(
                "NCDK-FILE-012", "merge keys are not allowed", event, given="<<", fix="write the fields out"
            )
        if key.text in mapping.fields:
            first = mapping.fields[key.text][0].line
            raise _unreadable(
                "NCDK-FILE-009",
                f"this field is already on line {first}",
                event,
                given=key.text,
                fix="keep one; YAML would silently take the last",
            )
        return key


class _Values:
    """Plain values of a tree. An alias counts as often as it is used, which is what an alias bomb is made of."""

    def __init__(self) -> None:
        self._values = 0

    def of_mapping(self, node: Mapping, depth: int) -> dict[str, Any]:
        return {name: self.of(child, depth + 1) for name, (_, child) in node.fields.items()}

    def of(self, node: Node, depth: int) -> Any:
        self._values += 1
        if self._values > MAX_VALUES or depth > MAX_DEPTH:
            raise UnreadableError(
                "NCDK-FILE-010",
                f"aliases blow the file up beyond {MAX_VALUES:,} values or {MAX_DEPTH} levels",
                line=node.line,
                column=node.column,
                fix="write the values out",
            )
        match node:
            case Mapping():
                return self.of_mapping(node, depth)
            case Sequence():
                return [self.of(item, depth + 1) for item in node.items]
            case Scalar():
                return _scalar(node)


def _scalar(node: Scalar) -> str | int | float | bool | None:
    """YAML 1.2's core schema, without the number forms nobody writes here (0x, 0o, .inf, .nan)."""
    text = node.text
    if not node.plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _child(node: Node, part: str | int) -> tuple[Scalar | None, Node | None]:
    if isinstance(node, Mapping):
        return node.fields.get(str(part), (None, None))
    if isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
        return None, node.items[part]
    return None, None


def _unreadable(code: str, message: str, event: yaml.Event, *, given: str = "", fix: str = "") -> UnreadableError:
    line, column = _place(event)
    return UnreadableError(code, message, line=line, column=column, given=given, fix=fix)


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)
