"""Every template of every deployment file, as reviewed. ``make snapshots`` accepts a change; the commit says why."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

# What moves with the content of code and not with the infrastructure.
ASSET = re.compile(r"[0-9a-f]{64}")
BOOT = re.compile(r"content: H4sI[0-9A-Za-z+/=]+")  # the packed scripts of an instance: tests/instance runs them
VERSION = re.compile(r"(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}")


def scrub(template: dict[str, Any]) -> Any:
    scrubbed = BOOT.sub("content: <boot>", ASSET.sub("<asset>", json.dumps(template)))
    return json.loads(VERSION.sub(r"\1<version>", scrubbed))


@pytest.fixture
def snapshot_json(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(JSONSnapshotExtension)


def test_templates_are_as_reviewed(each_assembly, snapshot_json):
    assert each_assembly.templates
    for stack, template in each_assembly.templates.items():
        assert scrub(template) == snapshot_json(name=stack)


def test_scrubbing_hides_content_hashes_and_nothing_else():
    before = {"S3Key": "a" * 64 + ".zip", "Ref": "HookCurrentVersionABCDEF01" + "0" * 32, "Size": 512}
    assert scrub(before) == {"S3Key": "<asset>.zip", "Ref": "HookCurrentVersionABCDEF01<version>", "Size": 512}
    assert scrub({"UserData": "path: a\n  content: H4sIAAAA+/9=\nruncmd:"}) == {
        "UserData": "path: a\n  content: <boot>\nruncmd:"
    }
