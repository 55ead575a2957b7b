"""The Condition element of a policy, after "IAM JSON policy elements: Condition operators" (IAM user guide).

What a policy uses and this module does not know is an error: a condition that is taken for met, or for never met, would
prove nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

Context = Mapping[str, "str | list[str]"]
"""Condition keys in lower case; a list is a key of several values."""


class UnknownPolicyElementError(Exception):
    """A policy uses what this evaluation does not know."""


@cache
def glob(pattern: str, *, any_case: bool = False) -> re.Pattern[str]:
    """``*`` for any characters, none included, ``?`` for one."""
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if any_case else 0))


def like(value: str, pattern: str) -> bool:
    return glob(pattern).fullmatch(value) is not None


def arn_like(value: str, pattern: str) -> bool:
    """Part by part, as ArnLike and a Resource are: a wildcard in one of the first five stays in that part."""
    given, wanted = value.split(":", 5), pattern.split(":", 5)
    if len(given) != len(wanted):
        return pattern == "*"
    return all(like(one, other) for one, other in zip(given, wanted, strict=True))


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def test(value: str, wanted: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return test


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda value, wanted: value == wanted,
    "stringequalsignorecase": lambda value, wanted: value.lower() == wanted.lower(),
    "stringlike": like,
    "arnequals": arn_like,  # "ArnEquals and ArnLike behave identically"
    "arnlike": arn_like,
    "bool": lambda value, wanted: value.lower() == wanted.lower(),
    "numericequals": _number(lambda value, wanted: value == wanted),
    "numericlessthan": _number(lambda value, wanted: value < wanted),
    "numericlessthanequals": _number(lambda value, wanted: value <= wanted),
    "numericgreaterthan": _number(lambda value, wanted: value > wanted),
    "numericgreaterthanequals": _number(lambda value, wanted: value >= wanted),
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
}
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERAL = {"*": "[*]", "?": "[?]", "$": "$"}


def met(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether all of a statement's conditions hold. Raises ``UnknownPolicyElementError``."""
    return all(
        _holds(operator, key, listed(wanted), context)
        for operator, tests in condition.items()
        for key, wanted in tests.items()
    )


def substituted(text: str, context: Context) -> str | None:
    """``text`` with its policy variables replaced; None when one has no value, which matches nothing."""
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = match[1].partition(",")
        if name in _LITERAL:
            raise UnknownPolicyElementError(f"the policy variable ${{{name}}}: a literal wildcard is not known here")
        found = context.get(name.strip().lower())
        if isinstance(found, str):
            return found
        if default:
            return default.strip().strip("'")
        missing = True
        return ""

    replaced = _VARIABLE.sub(value, text) if "${" in text else text
    return None if missing else replaced


def listed(value: Any) -> list[str]:
    """One value or several, as text: JSON may hold numbers and booleans."""
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    name = operator.lower()
    value = context.get(key.lower())
    if name == "null":
        return (value is None) == (wanted[0].lower() == "true")
    quantifier, _, bare = name.rpartition(":")
    if quantifier not in ("", "forallvalues", "foranyvalue"):
        raise UnknownPolicyElementError(f"the condition operator {operator} is not known here: add it to conditions.py")
    optional = bare.endswith("ifexists")
    bare = bare.removesuffix("ifexists")
    negated = bare in _NEGATED
    test = _OPERATORS.get(_NEGATED.get(bare, bare))
    if test is None:
        raise UnknownPolicyElementError(f"the condition operator {operator} is not known here: add it to conditions.py")
    if value is None:
        # "If the key is not present": IfExists and ForAllValues hold, and a negated operator outside a set.
        return optional or quantifier == "forallvalues" or (negated and not quantifier)
    given = value if isinstance(value, list) else [value]
    targets = [text for text in (substituted(one, context) for one in wanted) if text is not None]
    results = (any(test(one, target) for target in targets) != negated for one in given)
    return _quantified(quantifier, results)


def _quantified(quantifier: str, results: Iterable[bool]) -> bool:
    return any(results) if quantifier == "foranyvalue" else all(results)
