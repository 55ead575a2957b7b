"""Metric math of the embedded AWS: what expressions give, and what is none."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.local.metrics import Metric


@pytest.fixture(scope="module")
def expressions() -> ModuleType:
    """Metric math: it needs nothing of the server's environment."""
    import neuron_cdk.local.server.cloudwatch.expressions as expressions

    return expressions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m1 / m2", {0: 0.5, 60: 1.0}),
        ("100 * m1 / m2", {0: 50.0, 60: 100.0}),
        ("-m1 + 2 * (m2 - 1)", {0: 1.0, 60: 0.0, 120: -3.0}),
        ("m1 - m3", {60: -3.0}),
        ("IF(m2 > 0, m1 / m2, 0)", {0: 0.5, 60: 1.0, 120: 0.0}),
        ("IF(m2 > 1 AND m1 >= 1, 1, 0)", {0: 1.0, 60: 1.0, 120: 0.0}),
        ("IF(m3 > 3 || m3 < 1, 9, m1)", {60: 9.0}),
        ("FILL(m3, 0)", {0: 0.0, 60: 5.0, 120: 0.0}),
        ("FILL(m3, REPEAT)", {60: 5.0, 120: 5.0}),
        ("SUM([m1, m3])", {0: 1.0, 60: 7.0, 120: 1.0}),
        ("AVG([m1, m2])", {0: 1.5, 60: 2.0, 120: 0.5}),
        ("MAX([m1, m2, 2])", {0: 2.0, 60: 2.0, 120: 2.0}),
        ("MIN([m1, m2])", {0: 1.0, 60: 2.0, 120: 0.0}),
        ("MAX(m2)", 2.0),
        ("2 ^ 3 - 1", 7.0),
    ],
)
def test_metric_math(expressions: ModuleType, text: str, expected: Any) -> None:
    values = {"m1": {0: 1.0, 60: 2.0, 120: 1.0}, "m2": {0: 2.0, 60: 2.0, 120: 0.0}, "m3": {60: 5.0}}
    assert expressions.parse(text).value(expressions.Scope(values, (0, 60, 120))) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SEARCH(m1)", "the function SEARCH is not part of the embedded AWS"),
        ("m1 +", "it ends too early"),
        ("(m1", "')' is missing"),
        ("m1 m2", "unexpected 'm2'"),
        ("m1 ; m2", "unexpected ';'"),
        ("IF(m1, m2)", "IF takes 3 arguments"),
    ],
)
def test_what_is_no_expression_is_refused(expressions: ModuleType, text: str, reason: str) -> None:
    with pytest.raises(expressions.ExpressionError, match=reason.replace("(", "\\(").replace(")", "\\)")):
        expressions.parse(text)


def test_an_expression_over_what_there_is_not_is_refused(metric: Metric, alarm: Any, code_of: Any) -> None:
    rate = {"Id": "rate", "Expression": "errors / requests", "ReturnData": True}
    refused = code_of(alarm, Metrics=[metric.query("errors"), rate])
    assert "the ids requests are not among the queries" in refused.message
