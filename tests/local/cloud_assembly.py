"""A cloud assembly brought to an embedded AWS as the CDK's command line does: assets first, then a stack by the API.

Stacks made so can be updated to any template, which the command line makes from the code as it is only.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

Clients = Callable[[str], Any]

_MOST_BODY, _TEMPLATES = 51_200, "templates"
_VERSION = "/cdk-bootstrap/hnb659fds/version"


def prepare(client: Clients) -> None:
    """What ``cdk bootstrap`` leaves for templates to check."""
    client("ssm").put_parameter(Name=_VERSION, Value="99", Type="String", Overwrite=True)


def zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return content.getvalue()


def publish(client: Clients, folder: Path) -> None:
    """Upload the file assets of every stack of an assembly."""
    for manifest in folder.glob("*.assets.json"):
        for asset in json.loads(manifest.read_text()).get("files", {}).values():
            source = folder / asset["source"]["path"]
            body = zipped(source) if asset["source"]["packaging"] == "zip" else source.read_bytes()
            for place in asset["destinations"].values():
                upload(client, place["bucketName"], place["objectKey"], body)


def upload(client: Clients, bucket: str, key: str, body: bytes) -> None:
    try:
        client("s3").head_bucket(Bucket=bucket)
    except ClientError:
        client("s3").create_bucket(Bucket=bucket)
    client("s3").put_object(Bucket=bucket, Key=key, Body=body)


class Stack:
    """A stack of that name, whether it is there or not yet."""

    def __init__(self, client: Clients, name: str, eventually: Callable[..., Any]) -> None:
        self.name = name
        self._client, self._eventually = client, eventually

    def bring(self, template: Mapping[str, Any] | str) -> str:
        """Create or update it to a template; how that ended."""
        whole = json.loads(template) if isinstance(template, str) else template
        cloudformation = self._client("cloudformation")
        wanted = {"StackName": self.name, "Capabilities": ["CAPABILITY_NAMED_IAM"], **self._given(json.dumps(whole))}
        there = self._status() not in ("", "DELETE_COMPLETE")
        try:
            (cloudformation.update_stack if there else cloudformation.create_stack)(**wanted)
        except ClientError as error:
            if "No updates" in str(error):
                return self._status()
            raise
        return self.ended()

    def _given(self, body: str) -> dict[str, str]:
        """The template in the request, or from a bucket when it is too long for one."""
        if len(body) <= _MOST_BODY:
            return {"TemplateBody": body}
        upload(self._client, _TEMPLATES, self.name, body.encode())
        return {"TemplateURL": f"{self._client('s3').meta.endpoint_url}/{_TEMPLATES}/{self.name}"}

    def delete(self) -> str:
        identifier = self.description()["StackId"]
        self._client("cloudformation").delete_stack(StackName=self.name)
        return self.ended(identifier)

    def ended(self, identifier: str = "") -> str:
        def status() -> str:
            now = self._status(identifier)
            return "" if now.endswith("_IN_PROGRESS") else now

        return str(self._eventually(status))

    def _status(self, identifier: str = "") -> str:
        try:
            return str(self.description(identifier)["StackStatus"])
        except ClientError:
            return ""

    def description(self, identifier: str = "") -> dict[str, Any]:
        (found,) = self._client("cloudformation").describe_stacks(StackName=identifier or self.name)["Stacks"]
        return dict(found)

    def outputs(self) -> dict[str, str]:
        return {one["OutputKey"]: one["OutputValue"] for one in self.description().get("Outputs", ())}

    def physical_ids(self) -> dict[str, tuple[str, str]]:
        """Logical ids to type and physical id."""
        pages = self._client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {
            one["LogicalResourceId"]: (one["ResourceType"], one.get("PhysicalResourceId", ""))
            for page in pages
            for one in page["StackResourceSummaries"]
        }

    def failures(self) -> str:
        """Why resources failed, newest first."""
        events = self._client("cloudformation").describe_stack_events(StackName=self.name)["StackEvents"]
        return json.dumps([one.get("ResourceStatusReason", "") for one in events if "FAILED" in one["ResourceStatus"]])
