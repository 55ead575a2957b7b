"""Launch template versions that differ in nothing but the artifact."""

from __future__ import annotations

import base64

import pytest

from neuron_cdk.fleet.user_data import Boot, ModelServer
from neuron_cdk.fleet.user_data import user_data as written
from neuron_hooks.release import template_version
from neuron_hooks.release.template_version import TemplateError, Version
from tests.hooks.release_fleet_world import NEW_KEY, OLD_KEY, uri, user_data


def version(number: int, key: str, image: str = "ami-1", description: str = "") -> Version:
    return Version(number, description, {"ImageId": image, "UserData": user_data(key)})


def test_only_the_artifact_is_replaced() -> None:
    assert template_version.with_artifact(user_data(OLD_KEY), uri(NEW_KEY)) == user_data(NEW_KEY)


def test_a_line_like_it_in_the_commands_stays() -> None:
    commands = "    ARTIFACT_URI='mine'\n"
    assert template_version.with_artifact(user_data(OLD_KEY, commands), uri(NEW_KEY)) == user_data(NEW_KEY, commands)


def test_the_user_data_of_a_fleet_holds_its_artifact() -> None:
    server = ModelServer(model="m", engine="torch-neuronx", image="image", artifact_uri=uri(OLD_KEY), cores_per_copy=1)
    text = written(Boot(fleet="serve", region="us-east-1", server=server))
    encoded = base64.b64encode(text.encode()).decode()
    changed = template_version.with_artifact(encoded, uri(NEW_KEY))
    assert template_version.artifact_of(encoded) == uri(OLD_KEY)
    assert base64.b64decode(changed).decode() == text.replace(OLD_KEY, NEW_KEY)


@pytest.mark.parametrize("bad", ["s3://b/k'; rm -rf /", "s3://b/k\nX=1", "https://b/k/", "s3://b/$(id)/"])
def test_what_a_shell_would_read_otherwise_is_no_artifact(bad: str) -> None:
    with pytest.raises(TemplateError, match="is no artifact's URI"):
        template_version.with_artifact(user_data(OLD_KEY), bad)


@pytest.mark.parametrize("text", ["#cloud-config\n", "\xff"])
def test_user_data_without_an_artifact_is_refused(text: str) -> None:
    encoded = base64.b64encode(text.encode("latin-1")).decode()
    with pytest.raises(TemplateError, match=r"serves no model|cannot be read"):
        template_version.with_artifact(encoded, uri(NEW_KEY))


def test_a_version_with_the_same_data_is_found() -> None:
    versions = [version(1, OLD_KEY), version(2, NEW_KEY)]
    assert template_version.find(versions, versions[0], uri(NEW_KEY), 1) == 2


def test_of_several_alike_the_preferred_is_taken_and_else_the_newest() -> None:
    versions = [version(1, OLD_KEY), version(2, OLD_KEY), version(3, OLD_KEY)]
    assert [template_version.find(versions, versions[0], uri(OLD_KEY), number) for number in (2, 9)] == [2, 3]


def test_another_image_is_another_version() -> None:
    versions = [version(1, NEW_KEY), version(2, OLD_KEY, image="ami-2")]
    assert template_version.find(versions, versions[1], uri(NEW_KEY), 1) is None


def test_the_base_is_a_version_like_others() -> None:
    assert template_version.find([version(7, OLD_KEY)], version(7, OLD_KEY), uri(OLD_KEY), 0) == 7


def test_only_what_releases_made_and_nobody_uses_is_disposable() -> None:
    ours = template_version.description("12345678", NEW_KEY)
    versions = [version(1, OLD_KEY), version(3, NEW_KEY, description=ours), version(2, OLD_KEY, description=ours)]
    assert template_version.disposable(versions, [3]) == [2]


def test_a_description_names_release_and_artifact() -> None:
    assert template_version.description("12345678", NEW_KEY) == f"neuron-cdk release 12345678: artifact {NEW_KEY}"
