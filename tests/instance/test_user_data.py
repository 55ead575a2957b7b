"""The document that cloud-init gets."""

from __future__ import annotations

import ast
import base64
import gzip
import io
import json
import subprocess
import tarfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from aws_cdk import App, Fn, Stack, Token
from pydantic import BaseModel, ConfigDict, Field

from neuron_cdk.catalog import instances, regions, software
from neuron_cdk.fleet import archive
from neuron_cdk.fleet import user_data as module
from neuron_cdk.fleet.user_data import MOST_BYTES, Boot, ModelServer, user_data

BOOT = Path(module.__file__).parent / "boot"
SERVER = ModelServer("minilm", "torch-neuronx", "registry/image:1", "s3://bucket/artifacts/key/a1/", cores_per_copy=1)
SMALLEST = Boot(fleet="sandbox-Fleet-train/Fleet", region="us-east-1")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class WriteFile(_Strict):
    """An entry of ``write_files``, as far as we use it (cloud-init module reference, "Write Files")."""

    path: Annotated[str, Field(pattern="^/")]
    content: str
    permissions: Annotated[str, Field(pattern="^0[0-7]{3}$")]
    encoding: Literal["gz+b64"] | None = None


class CloudConfig(_Strict):
    """The parts of cloud-config that we use (cloud-init module reference, "Write Files" and "Runcmd")."""

    write_files: Annotated[list[WriteFile], Field(min_length=1)]
    runcmd: Annotated[list[Annotated[list[str], Field(min_length=1)]], Field(min_length=1)]


EVERY_KIND = [
    SMALLEST,
    replace(SMALLEST, efa_interfaces=8, scratch=True, launch_hook="launch", terminate_hook="terminate"),
    replace(SMALLEST, driver="2.24"),
    replace(SMALLEST, commands=("echo 'a: b' # not YAML", "true")),
    replace(SMALLEST, server=SERVER, launch_hook="launch", terminate_hook="terminate"),
]


def read(text: str) -> CloudConfig:
    assert text.startswith("#cloud-config\n")
    return CloudConfig.model_validate(yaml.safe_load(text))


def files(text: str) -> dict[str, str]:
    """What is on the instance after cloud-init and the first command."""
    found: dict[str, str] = {}
    for entry in read(text).write_files:
        if entry.encoding is None:
            found[entry.path] = entry.content
            continue
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(base64.b64decode(entry.content)))) as tar:
            for member in tar.getmembers():
                file = tar.extractfile(member)
                assert file
                assert (member.mtime, member.uid, member.gid) == (0, 0, 0)
                found[f"/{member.name}"] = file.read().decode()
    return found


def scripts(boot: Boot) -> set[str]:
    return {Path(path).name for path in files(user_data(boot)) if "/boot/" in path}


@pytest.mark.parametrize("boot", EVERY_KIND)
def test_every_document_has_cloud_inits_form(boot: Boot) -> None:
    read(user_data(boot))


@pytest.mark.parametrize("boot", EVERY_KIND)
def test_every_program_that_a_unit_or_a_step_names_is_there(boot: Boot) -> None:
    placed = files(user_data(boot))
    steps = next(line for line in placed["/opt/neuron-cdk/fleet.env"].splitlines() if line.startswith("STEPS="))
    for step in steps.removeprefix("STEPS='").removesuffix("'").split():
        assert {f"/opt/neuron-cdk/boot/{step}.sh", f"/opt/neuron-cdk/boot/{step}.py"} & placed.keys()
    modules = {Path(path).stem for path in placed if path.endswith(".py")}
    for path, content in placed.items():
        if path.endswith(".py"):
            for node in ast.walk(ast.parse(content)):
                if isinstance(node, ast.ImportFrom) and node.level:
                    assert {node.module} if node.module else {alias.name for alias in node.names} <= modules, path
        if path.endswith(".service"):
            command = next(line for line in content.splitlines() if line.startswith("ExecStart="))
            for word in command.split():
                if word.startswith("boot."):
                    assert word.removeprefix("boot.") in modules
                if word.startswith("/opt/neuron-cdk/"):
                    assert word in placed


def test_an_instance_gets_only_what_its_fleet_needs() -> None:
    least = {"instance.py", "main.py", "limits.sh", "neuron.py", "agent.sh"}
    assert scripts(SMALLEST) == least
    assert scripts(replace(SMALLEST, scratch=True)) == least | {"scratch.sh"}
    assert scripts(replace(SMALLEST, driver="2.24")) == least | {"driver.sh"}
    assert scripts(replace(SMALLEST, efa_interfaces=1)) == least | {"efa.sh"}
    assert scripts(replace(SMALLEST, terminate_hook="terminate")) == least | {"drain.py", "server.py"}


def test_the_units_start_now_and_at_every_later_boot() -> None:
    _, reload, enable, start = read(user_data(replace(SMALLEST, server=SERVER))).runcmd
    units = ["neuron-boot.service", "neuron-metrics.service", "neuron-drain.service"]
    assert reload == ["systemctl", "daemon-reload"]
    assert enable == ["systemctl", "enable", *units]
    assert start == ["systemctl", "start", "--no-block", *units]


def test_every_setting_counts() -> None:
    """No field of a boot or of a model server leaves the document as it was."""
    base = replace(SMALLEST, server=SERVER, launch_hook="a", terminate_hook="b", efa_interfaces=1, driver="2.24")
    other = {
        "efa_interfaces": 2,
        "scratch": True,
        "commands": ("true",),
        "devices": (("inf2.xlarge", 1),),
        "server": None,
    }
    for field in fields(Boot):
        assert user_data(replace(base, **{field.name: other.get(field.name, "other")})) != user_data(base), field.name
    for field in fields(ModelServer):
        if field.name != "engine":  # its image says it
            changed = replace(SERVER, **{field.name: 7 if isinstance(getattr(SERVER, field.name), int) else "other"})
            assert user_data(replace(base, server=changed)) != user_data(base), field.name


# -- tokens ----------------------------------------------------------------------------------------------------------


def test_what_is_known_only_at_deploy_is_put_in_by_cloudformation() -> None:
    stack = Stack(App(), "Stack")
    uri = f"s3://{Fn.import_value('bucket')}/artifacts/{'a' * 64}/{Fn.get_att('Model', 'Attempt').to_string()}/"
    text = user_data(replace(SMALLEST, region=stack.region, server=replace(SERVER, artifact_uri=uri)))
    assert Token.is_unresolved(text)
    kind, (separator, parts) = next(iter(stack.resolve(text).items()))
    assert (kind, separator) == ("Fn::Join", "")
    assert [part for part in parts if not isinstance(part, str)] == [
        {"Ref": "AWS::Region"},
        {"Fn::ImportValue": "bucket"},
        {"Fn::GetAtt": ["Model", "Attempt"]},
    ]
    told = iter(("eu-west-1", "my-bucket", "a1"))
    deployed = "".join(part if isinstance(part, str) else next(told) for part in parts)
    environment = files(deployed)["/opt/neuron-cdk/fleet.env"]
    assert "REGION='eu-west-1'\n" in environment
    assert f"ARTIFACT_URI='s3://my-bucket/artifacts/{'a' * 64}/a1/'\n" in environment


# -- size and sameness -------------------------------------------------------------------------------------------------


def test_the_largest_document_fits_with_room_for_commands() -> None:
    """Every part at once, which no fleet has, with the longest names of the catalogue and of the file."""
    images = [
        software.resolve(target=target, engine=engine, service="ec2", region=region).image
        for target, engine in (("inf2", "torch-neuronx"), ("inf2", "optimum"), ("trn1", "tensorflow-neuronx"))
        for region in ("us-east-1", "ap-southeast-2")
    ]
    several_types = tuple((each.name, 16) for each in instances.all_types() if each.target == "inf2")
    attempt = "x" * 64
    server = ModelServer(
        "m" * 63,
        "torch-neuronx",
        max(images, key=len),
        f"s3://{'b' * 63}/artifacts/{'k' * 64}/{attempt}/",
        64,
        65534,
        7200,
    )
    largest = Boot(
        fleet="f" * 128,
        region=max((each.name for each in regions.all_regions()), key=len),
        efa_interfaces=16,
        driver="2.24",
        scratch=True,
        launch_hook="l" * 64,
        terminate_hook="t" * 64,
        server=server,
        devices=several_types,
    )
    assert len(user_data(largest).encode()) < MOST_BYTES - 640


def test_commands_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"has \d+ bytes, and EC2 takes 16384: put long commands into a file"):
        user_data(replace(SMALLEST, commands=("#" * MOST_BYTES,)))


@pytest.mark.parametrize("boot", EVERY_KIND)
def test_two_synths_give_the_same_bytes(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    before = user_data(boot)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert user_data(boot) == before


# -- the programs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", sorted(BOOT.glob("*.sh")), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    found = subprocess.run(["shellcheck", "--format=json", script], capture_output=True, check=False)
    assert json.loads(found.stdout) == []


@pytest.mark.parametrize(
    "program", sorted([*BOOT.glob("*.py"), BOOT.parent / "neuron_metrics.py"]), ids=lambda path: path.name
)
def test_the_oldest_python_of_an_ami_reads_the_programs(program: Path) -> None:
    ast.parse(program.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize("source", sorted(BOOT.glob("*.*")), ids=lambda path: path.name)
def test_a_program_without_its_comments_is_the_same_program_on_the_same_lines(source: Path) -> None:
    text = source.read_text()
    lean = archive.without_comments(source.name, text)
    assert len(lean.splitlines()) == len(text.splitlines())
    assert all(
        line in ("", given) or line.strip() == "pass"
        for line, given in zip(lean.splitlines(), text.splitlines(), strict=True)
    )
    if source.suffix == ".py":
        assert code(lean) == code(text)
    if source.suffix == ".sh":
        subprocess.run(["bash", "-n"], input=lean, text=True, check=True)


def code(text: str) -> tuple[str, list[tuple[str, int]]]:
    """A module without docstrings, and the line of each of its statements."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            node.body = [
                each
                for each in node.body
                if not isinstance(each, ast.Pass)
                and not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
            ]
    return ast.dump(tree), [(type(node).__name__, node.lineno) for node in ast.walk(tree) if isinstance(node, ast.stmt)]


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["it's", "a\nb", "$HOME", "`id`", 'say "x"', "back\\slash"])
def test_a_value_that_a_shell_would_read_differently_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"FLEET is .*: change the name"):
        user_data(replace(SMALLEST, fleet=name))


def test_an_engine_whose_image_is_no_model_server_is_refused() -> None:
    with pytest.raises(ValueError, match="no image of engine 'neuronx-cc' is a model server for EC2"):
        replace(SERVER, engine="neuronx-cc")
