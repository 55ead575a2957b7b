"""Versions of launch templates: made from another one, once for a token, and deleted."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from ministack.services import ec2

from . import patching

_actions = patching.original(ec2, "_ACTION_MAP")
_answer = patching.original(ec2, "_xml")
_error = patching.original(ec2, "_error")
_list = patching.original(ec2, "_parse_member_list")
_field = patching.original(ec2, "_p")
_inner = patching.original(ec2, "_lt_version_inner_xml")
_templates = patching.original(ec2, "_launch_templates")
_create = patching.original(ec2, "_create_launch_template_version")

_NOT_THERE = "InvalidLaunchTemplateId.VersionNotFound"
_DELETED, _KEPT = "successfullyDeletedLaunchTemplateVersionSet", "unsuccessfullyDeletedLaunchTemplateVersionSet"


def install() -> None:
    _actions["CreateLaunchTemplateVersion"] = _create_version
    _actions["DeleteLaunchTemplateVersions"] = _delete_versions


def _template(parameters: dict[str, Any]) -> dict[str, Any] | None:
    identifier, name = _field(parameters, "LaunchTemplateId"), _field(parameters, "LaunchTemplateName")
    found = (each for each in _templates.values() if identifier == each["LaunchTemplateId"])
    if not identifier:
        found = (each for each in _templates.values() if name == each["LaunchTemplateName"])
    return next(found, None)


def _create_version(parameters: dict[str, Any]) -> Any:
    template = _template(parameters)
    if template is None:
        return _create(parameters)
    source, token = _field(parameters, "SourceVersion"), _field(parameters, "ClientToken")
    numbers = {"$Latest": template["LatestVersionNumber"], "$Default": template["DefaultVersionNumber"]}
    if source:
        source = str(numbers.get(source, source))
        if source not in {str(each["VersionNumber"]) for each in template["Versions"]}:
            return _error(_NOT_THERE, f"Could not find launch template version {source}", 400)
        parameters = {**parameters, "SourceVersion": [source]}
    tokens = template.setdefault("_tokens", {})
    made = next((each for each in template["Versions"] if each["VersionNumber"] == tokens.get(token)), None)
    if token and made:
        inner = f"<launchTemplateVersion>{_inner(made)}</launchTemplateVersion>"
        return _answer(200, "CreateLaunchTemplateVersionResponse", inner)
    answer = _create(parameters)
    if token:
        tokens[token] = template["LatestVersionNumber"]
    return answer


def _delete_versions(parameters: dict[str, Any]) -> Any:
    template = _template(parameters)
    if template is None:
        return _error("InvalidLaunchTemplateId.NotFound", "The specified launch template does not exist", 400)
    sets: dict[str, list[str]] = {_DELETED: [], _KEPT: []}
    for version in _list(parameters, "LaunchTemplateVersion"):
        found = next((each for each in template["Versions"] if str(each["VersionNumber"]) == version), None)
        fault = "launchTemplateVersionDoesNotExist" if found is None else ""
        if found is not None and found["VersionNumber"] == template["DefaultVersionNumber"]:
            fault = "unexpectedError"  # the default version cannot be deleted (EC2 API Reference)
        said = f"<responseError><code>{fault}</code><message>{fault}</message></responseError>" if fault else ""
        sets[_KEPT if fault else _DELETED].append(
            f"<item><launchTemplateId>{template['LaunchTemplateId']}</launchTemplateId>"
            f"<launchTemplateName>{escape(template['LaunchTemplateName'])}</launchTemplateName>"
            f"<versionNumber>{escape(version)}</versionNumber>{said}</item>"
        )
        if not fault:
            template["Versions"].remove(found)
    content = "".join(f"<{name}>{''.join(items)}</{name}>" for name, items in sets.items())
    return _answer(200, "DeleteLaunchTemplateVersionsResponse", content)
