"""Metric math: the part of it that alarms on endpoints need ("Using metric math", CloudWatch user guide).

Numbers, the ids of other queries, ``+ - * / ^``, comparisons, ``AND OR && ||``, lists in brackets, and the functions in
``_FUNCTIONS``. Anything else is refused by name when the expression is parsed. A value is a number or a series by time;
a series has no datapoint where an operand has none, nor where it would divide by zero.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Series = dict[int, float]
Value = float | Series
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|([A-Za-z]\w*)|(==|!=|<=|>=|&&|\|\||[-+*/^()\[\],<>]))")


class ExpressionError(ValueError):
    """Why it is no expression, or none that is known here."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression is reckoned with: the values of the ids, and the times of the periods it looks at."""

    values: Mapping[str, Value]
    times: tuple[int, ...]


Node = Callable[[Scope], Any]


@dataclass(frozen=True, slots=True)
class Expression:
    """``ids`` are those it refers to; ``value`` raises ``KeyError`` for one that the scope does not have."""

    ids: frozenset[str]
    value: Callable[[Scope], Value]


def parse(text: str) -> Expression:
    """Raise ``ExpressionError`` for what is not an expression or uses what is not known here."""
    reader = _Reader(text)
    node = reader.either()
    if reader.word():
        raise ExpressionError(f"unexpected '{reader.word()}'")
    return Expression(frozenset(reader.ids), node)


class _Reader:
    """Recursive descent, one method for each precedence."""

    def __init__(self, text: str) -> None:
        self.ids: set[str] = set()
        self._words: list[str] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise ExpressionError(f"unexpected '{text[position:].strip()[0]}'")
            self._words.append(match.group().strip())
            position = match.end()
        self._at = 0

    def word(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _take(self) -> str:
        word = self.word()
        self._at += 1
        return word

    def _expect(self, wanted: str) -> None:
        if self._take() != wanted:
            raise ExpressionError(f"'{wanted}' is missing")

    def either(self) -> Node:
        return self._chain(self._both, {"||": _or, "OR": _or})

    def _both(self) -> Node:
        return self._chain(self._comparison, {"&&": _and, "AND": _and})

    def _comparison(self) -> Node:
        return self._chain(self._sum, _COMPARISONS)

    def _sum(self) -> Node:
        return self._chain(self._product, {"+": operator.add, "-": operator.sub})

    def _product(self) -> Node:
        return self._chain(self._sign, {"*": operator.mul, "/": operator.truediv})

    def _chain(self, operand: Callable[[], Node], operators: Mapping[str, Callable[[float, float], float]]) -> Node:
        node = operand()
        while self.word() in operators:
            node = _combined(operators[self._take()], node, operand())
        return node

    def _sign(self) -> Node:
        if self.word() == "-":
            self._take()
            return _combined(operator.mul, _number(-1.0), self._sign())
        return self._power()

    def _power(self) -> Node:
        node = self._operand()
        if self.word() == "^":
            self._take()
            return _combined(operator.pow, node, self._sign())
        return node

    def _operand(self) -> Node:
        word = self._take()
        if word == "(":
            node = self.either()
            self._expect(")")
            return node
        if word == "[":
            return _list(self._arguments("]"))
        if word[:1].isdigit():
            return _number(float(word))
        if not word[:1].isalpha():
            raise ExpressionError(f"unexpected '{word}'" if word else "it ends too early")
        if self.word() == "(":
            return self._function(word)
        if word == "REPEAT":
            return lambda _: _REPEAT
        self.ids.add(word)
        return lambda scope: scope.values[word]

    def _function(self, name: str) -> Node:
        if name not in _FUNCTIONS:
            raise ExpressionError(
                f"the function {name} is not part of the embedded AWS, which knows {', '.join(sorted(_FUNCTIONS))}"
            )
        count, function = _FUNCTIONS[name]
        self._take()
        arguments = self._arguments(")")
        if len(arguments) != count:
            raise ExpressionError(f"{name} takes {count} argument{'s' if count > 1 else ''}")
        return lambda scope: function(scope, *(argument(scope) for argument in arguments))

    def _arguments(self, end: str) -> list[Node]:
        found = [self.either()]
        while self.word() == ",":
            self._take()
            found.append(self.either())
        self._expect(end)
        return found


_REPEAT = object()


def _number(value: float) -> Node:
    return lambda _: value


def _list(nodes: list[Node]) -> Node:
    return lambda scope: [node(scope) for node in nodes]


def _and(left: float, right: float) -> float:
    return float(bool(left) and bool(right))


def _or(left: float, right: float) -> float:
    return float(bool(left) or bool(right))


_COMPARISONS: dict[str, Callable[[float, float], float]] = {
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
    "<": lambda left, right: float(left < right),
    "<=": lambda left, right: float(left <= right),
    ">": lambda left, right: float(left > right),
    ">=": lambda left, right: float(left >= right),
}


def _combined(function: Callable[[float, float], float], left: Node, right: Node) -> Node:
    return lambda scope: _apply(function, left(scope), right(scope))


def _apply(function: Callable[[float, float], float], left: Any, right: Any) -> Value:
    if isinstance(left, list) or isinstance(right, list):
        raise ExpressionError("a list stands only in a function")
    found = {
        time: result
        for time in _times(left, right)
        if (result := _guarded(function, _at(left, time), _at(right, time))) is not None
    }
    return found if isinstance(left, dict) or isinstance(right, dict) else found.get(0, {})


def _guarded(function: Callable[[float, float], float], left: float, right: float) -> float | None:
    try:
        return function(left, right)
    except (ZeroDivisionError, OverflowError):
        return None


def _times(*values: Value) -> list[int]:
    """The times that all series have; 0 alone where there is none among the values."""
    series = [set(value) for value in values if isinstance(value, dict)]
    return sorted(set.intersection(*series)) if series else [0]


def _at(value: Value, time: int) -> float:
    return value[time] if isinstance(value, dict) else value


def _if(_: Scope, condition: Value, then: Value, otherwise: Value) -> Value:
    """Where the condition has a datapoint: that of the branch it names, which may have none."""
    if not isinstance(condition, dict):
        return then if condition else otherwise
    found: Series = {}
    for time, holds in condition.items():
        branch = then if holds else otherwise
        if not isinstance(branch, dict):
            found[time] = branch
        elif time in branch:
            found[time] = branch[time]
    return found


def _fill(scope: Scope, series: Any, filling: Any) -> Any:
    if isinstance(series, list):
        return [_fill(scope, one, filling) for one in series]
    if not isinstance(series, dict):
        return series
    found: Series = {}
    last: float | None = None
    for time in scope.times:
        value = series.get(time)
        if value is None:
            value = last if filling is _REPEAT else filling.get(time) if isinstance(filling, dict) else filling
        if value is not None:
            found[time] = last = value
    return found


def _aggregate(function: Callable[[list[float]], float]) -> Callable[[Scope, Any], Value]:
    """Of one series, one number; of a list of series, a series over all that have a datapoint at a time."""

    def aggregated(_: Scope, given: Any) -> Value:
        if isinstance(given, dict):
            return function(list(given.values())) if given else {}
        if not isinstance(given, list):
            return float(given)
        series = [one for one in given if isinstance(one, dict)]
        if not series:
            return function([float(one) for one in given])
        return {
            time: function([_at(one, time) for one in given if not isinstance(one, dict) or time in one])
            for time in sorted(set().union(*series))
        }

    return aggregated


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "AVG": (1, _aggregate(lambda values: sum(values) / len(values))),
    "FILL": (2, _fill),
    "IF": (3, _if),
    "MAX": (1, _aggregate(max)),
    "MIN": (1, _aggregate(min)),
    "SUM": (1, _aggregate(sum)),
}
