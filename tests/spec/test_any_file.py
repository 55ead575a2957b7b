"""Whatever is done to a valid file, it loads or is refused with findings. It never raises anything else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuron_cdk.spec import CODES, SpecError, load

EVERYTHING = Path(__file__).parent / "everything.yaml"
TEXT = EVERYTHING.read_bytes()
VALUES = yaml.safe_load(TEXT)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(
        [
            "trn1.32xlarge",
            "ml.inf2.xlarge",
            "use1-az4",
            "us-east-1a",
            "minilm",
            "10.0.0.0/16",
            "0 0 ? * * *",
            "s3://b/c",
        ]
    ),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12) | scalars, inner, max_size=4),
    max_leaves=10,
)
few = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def judge(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        findings = load(path).findings
    except SpecError as error:
        findings = error.findings
        assert findings
    for finding in findings:
        assert finding.code in CODES
        assert finding.message
        assert "\n" not in finding.message + finding.given + finding.allowed + finding.fix


@few
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(TEXT)), st.integers(0, 6), st.binary(max_size=6)), min_size=1, max_size=6
    )
)
def test_any_edit_of_bytes(edits: list[tuple[int, int, bytes]], tmp_path: Path) -> None:
    content = TEXT
    for start, length, put in edits:
        content = content[:start] + put + content[start + length :]
    judge(tmp_path / "edited.yaml", content)


@few
@given(data=st.data())
def test_any_edit_of_values(data: st.DataObject, tmp_path: Path) -> None:
    values = copy.deepcopy(VALUES)
    for _ in range(data.draw(st.integers(1, 4))):
        _edit(values, data)
    judge(tmp_path / "edited.yaml", yaml.safe_dump(values, allow_unicode=True).encode("utf-8", "replace"))


@few
@given(value=anything)
def test_any_other_yaml(value: Any, tmp_path: Path) -> None:
    judge(tmp_path / "other.yaml", yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "replace"))


def _edit(node: Any, data: st.DataObject) -> None:
    """Go down at random; there replace, remove or add a value."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if isinstance(node[key], (dict, list)) and data.draw(st.integers(0, 3)):
            node = node[key]
            continue
        break
    match data.draw(st.sampled_from(["replace", "replace", "remove", "add"])):
        case "replace":
            node[key] = data.draw(anything)
        case "remove":
            del node[key]
        case "add" if isinstance(node, dict):
            node[data.draw(st.text(max_size=8))] = data.draw(anything)
        case "add":
            node.append(data.draw(anything))
