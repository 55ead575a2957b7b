"""One commit, one template: no clock, no chance, no environment in a synth."""

from __future__ import annotations

import pytest


def test_two_synths_are_byte_equal(assembly, resynthesize, tmp_path):
    first, second = assembly("sandbox"), resynthesize("sandbox", tmp_path / "again")
    assert [file.name for file in first.files] == [file.name for file in second.files]
    for one, other in zip(first.files, second.files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "CDK_DEFAULT_ACCOUNT", "AWS_REGION"])
def test_the_environment_leaves_no_trace(assembly, resynthesize, tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "eu-north-1" if variable == "AWS_REGION" else "999999999999")
    assert resynthesize("local", tmp_path / "again").templates == assembly("local").templates
