"""What a run of the tests says of grants: which were used, which were not, and which of those have no reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.local import rights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The reports of two servers, on which roles of one kind used different grants."""

    def role(logical_id: str, used: list[str], unused: list[str]) -> dict[str, Any]:
        return {"logical_id": logical_id, "used": used, "unused": unused, "refused": []}

    one = [
        role("PipelineBeginRole5DC6B4C2", ["s3:GetObject on a"], ["s3:PutObject on b", "xray:PutTraceSegments on *"])
    ]
    other = [role("PipelineBeginRole5DC6B4C2", [], ["s3:GetObject on a", "s3:DeleteObject on c"])]
    for name, roles in (("one", one), ("other", other)):
        (tmp_path / f"{name}.json").write_text(json.dumps(roles))
    return tmp_path


def test_a_grant_that_one_role_of_a_kind_used_is_used(folder):
    kind = rights.read(folder)["PipelineBeginRole"]
    assert kind.used == {"s3:GetObject"}
    assert kind.unused == {"s3:PutObject", "s3:DeleteObject", "xray:PutTraceSegments"}


def test_what_nobody_has_a_reason_for_is_told(folder):
    assert rights.unexplained(rights.read(folder)) == [
        "PipelineBeginRole: s3:DeleteObject",
        "PipelineBeginRole: s3:PutObject",
    ]
