"""A release on a fleet of EC2 instances: a launch template version, and instance refreshes that bring it.

The declaration is ``fleet_blueprint``'s. A release is its base version with the release's artifact: the base itself, a
version that is equal to it, or a new one made from it. The groups launch from the version that was released, for which
CloudFormation asks before it touches a group (``fleet_version``). So a deployment that changes image and model at once
is one release of both.

**Update, then refresh.** A group is given its version by UpdateAutoScalingGroup, then refreshed with skip matching; the
way back is the same with the version before. An instance refresh could take a *desired configuration* instead, and roll
back by itself. But that wants the whole mixed policy, of which the runtime's botocore may not know the distribution
segments (then the group would lose them); it rolls one pool back and leaves those that are done; and whoever is
launched meanwhile for another reason is of the new version either way. Versions are numbers here, never ``$Latest`` or
``$Default``, so that there is something to go back to.

**What is so counts, not what was done.** Every step looks at the groups: who does not launch from the version gets it,
who has instances of another and no refresh gets a refresh. A refresh of before is told apart by its id.

The fleet's controller goes on sizing the groups meanwhile. It starts no refresh where a release pipeline does.

Sources: EC2 Auto Scaling API Reference, ``StartInstanceRefresh``, ``RefreshPreferences``; User Guide, "Use an instance
refresh with skip matching".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from botocore.exceptions import ClientError

from .. import aws, registry, settings
from ..fleet import instance_refresh
from ..fleet.aws import RefreshRefusedError, cancel_refresh, start_refresh
from . import fleet_aws, fleet_blueprint, refresh_failures, template_version
from .fleet_aws import Group
from .fleet_blueprint import Blueprint, Target
from .kind import NotYetError, Progress, Release, Released, ReleaseError
from .refresh_failures import Before
from .template_version import TemplateError, Version

SETTINGS = settings.load(settings.Release)

_MOST_FAILED = 4  # refreshes: that of the release, one that was cancelled for it, and two tries on the way back


# -- The steps -------------------------------------------------------------------------------------------------------


def apply(release: Release, _last_good: Released | None, /) -> Mapping[str, Any]:
    """Facts: ``versions`` (a number for each template), ``before`` (of each group, as ``refresh_failures.Before``)."""
    blueprint = fleet_blueprint.parse(release.declaration)
    _require_sdk(release, blueprint)
    seen = _look(blueprint)
    launched = {group.template: group.version for group in seen.values()}
    versions = _versions(blueprint, release, release.id, launched)
    before = {name: asdict(_now(group)) for name, group in seen.items()}
    _move(blueprint, seen, versions)
    _refresh(blueprint, seen, versions)
    return {"versions": versions, "before": before}


def progress(release: Release, /) -> Progress:
    """Failed also where launches fail, or instances are not found ready: Auto Scaling would go on trying for hours."""
    blueprint = fleet_blueprint.parse(release.declaration)
    seen = _look(blueprint)
    failed = _failing(blueprint, seen, release.facts)
    if failed:
        return Progress("failed", "\n".join(failed))
    _move(blueprint, seen, release.facts["versions"])
    return _moving(blueprint, seen, release.facts["versions"])


def verify(release: Release, _seconds: int, /) -> str:
    """Whoever is in service is of the version, and healthy. Each has answered a request before it came into service."""
    blueprint = fleet_blueprint.parse(release.declaration)
    seen = _look(blueprint)
    problems = []
    for target in blueprint.targets:
        wanted = str(release.facts["versions"][target.template])
        members = [one for one in seen[target.name].members if one.in_service]
        others = [one.id for one in members if (one.template, one.version) != (target.template, wanted)]
        if others:
            problems.append(f"{target.pool}: {', '.join(others)} do not run launch template version {wanted}")
        ill = [one.id for one in members if not one.healthy]
        if ill:
            problems.append(f"{target.pool}: {', '.join(ill)} are not healthy")
    return "\n".join(problems)


def settle(_release: Release, _last_good: Released | None, /) -> None:
    """Nothing: a fleet's scaling is its controller's."""


def take_back(release: Release, last_good: Released | None, /) -> Progress:
    """Pools that CloudFormation has taken away meanwhile are left out: its own way back brings them as they were."""
    if last_good is None:
        _cancel(_look(fleet_blueprint.parse(release.declaration), whole=False).values())
        return Progress("done", "nothing was released before")
    blueprint = fleet_blueprint.parse(last_good.declaration)
    seen = _look(blueprint, whole=False)
    preferred = {template: str(number) for template, number in last_good.facts.get("versions", {}).items()}
    versions = _versions(blueprint, last_good, release.id, preferred)
    _move(blueprint, seen, versions)
    failed = _failed_refreshes(blueprint, seen, release.facts)
    if len(failed) >= _MOST_FAILED:
        return Progress("failed", failed[0])
    return _moving(blueprint, seen, versions)


def tidy(kept: Sequence[Released], /) -> None:
    """Delete versions of releases that are not among these; never one that a group or an instance has."""
    used: dict[str, set[int]] = {}
    for one in kept:
        for template, number in one.facts.get("versions", {}).items():
            used.setdefault(template, set()).add(int(number))
    _delete_versions(fleet_blueprint.parse(kept[0].declaration), used)


def remove(release: Release, _last_good: Released | None, /) -> Progress:
    """Delete the versions that releases made, but for those that groups launch from: CloudFormation takes the groups
    away next, and then the template with all its versions. Where the fleet stays and only its release goes,
    CloudFormation has given the groups a version of its own before.
    """
    blueprint = fleet_blueprint.parse(release.declaration)
    _cancel(_look(blueprint, whole=False).values())
    _delete_versions(blueprint, {})
    return Progress("done")


# -- Versions --------------------------------------------------------------------------------------------------------


def _versions(blueprint: Blueprint, of: Release | Released, maker: str, preferred: Mapping[str, str]) -> dict[str, int]:
    """For each template the version that is its base with the artifact, made where there is none.

    :param maker: the release that makes it.
    :param preferred: by template, the one to take where several are equal.
    """
    found: dict[str, int] = {}
    for target in blueprint.targets:
        if target.template not in found:
            found[target.template] = _version(target, of, maker, int(preferred.get(target.template, "0")))
    return found


def _version(target: Target, of: Release | Released, maker: str, preferred: int) -> int:
    try:
        versions = _known(target.template)
        base = next((one for one in versions if one.number == target.base), None)
        if base is None:
            raise ReleaseError(f"launch template {target.template} has no version {target.base}: deploy the stack")
        found = template_version.find(versions, base, of.artifact_uri, preferred)
        if found is not None:
            return found
        return fleet_aws.create_version(
            target.template,
            target.base,
            template_version.with_artifact(base.data["UserData"], of.artifact_uri),
            template_version.description(maker, of.artifact_key),
            _token(maker, target, of.artifact_uri),
        )
    except TemplateError as error:
        raise ReleaseError(str(error)) from error


def _known(template: str) -> list[Version]:
    try:
        return fleet_aws.versions(template)
    except ClientError as error:
        if fleet_aws.is_gone(error):
            raise ReleaseError(f"there is no launch template {template}: deploy the stack") from error
        raise


def _token(maker: str, target: Target, uri: str) -> str:
    """The same for the same version of the same release, however often it is asked for."""
    return hashlib.sha256(f"{maker} {target.template} {target.base} {uri}".encode()).hexdigest()[:64]


def _delete_versions(blueprint: Blueprint, used: Mapping[str, set[int]]) -> None:
    kept = {target.template: set(used.get(target.template, ())) for target in blueprint.targets}
    for group in _look(blueprint, whole=False).values():
        named = [(group.template, group.version), *((one.template, one.version) for one in group.members)]
        for template, version in named:
            if template in kept:
                kept[template].add(int(version))
    for template, numbers in kept.items():
        try:
            versions = fleet_aws.versions(template)
        except ClientError as error:
            if fleet_aws.is_gone(error):
                continue
            raise
        fleet_aws.delete_versions(template, template_version.disposable(versions, numbers))


# -- Groups ----------------------------------------------------------------------------------------------------------


def _look(blueprint: Blueprint, *, whole: bool = True) -> dict[str, Group]:
    """The groups by name.

    :param whole: all have to be there.
    """
    seen = fleet_aws.groups([target.name for target in blueprint.targets])
    missing = [target.name for target in blueprint.targets if target.name not in seen]
    if whole and missing:
        raise ReleaseError(f"there are no Auto Scaling groups {', '.join(missing)}: deploy the stack")
    return seen


def _move(blueprint: Blueprint, seen: Mapping[str, Group], versions: Mapping[str, int]) -> None:
    """Have the groups launch from the versions, once no refresh is under way to anything else.

    :raises NotYetError: one is, and was cancelled.
    """
    there = [seen[target.name] for target in blueprint.targets if target.name in seen]
    moving = [group for group in there if group.version != str(versions[group.template])]
    busy = [group for group in moving if group.refreshing]
    if busy:
        _cancel(busy)
        raise NotYetError(f"an instance refresh that was under way ends: {', '.join(group.name for group in busy)}")
    for group in moving:
        fleet_aws.set_version(group, versions[group.template])


def _refresh(blueprint: Blueprint, seen: Mapping[str, Group], versions: Mapping[str, int]) -> list[str]:
    """Refresh groups with instances of another version; their pools."""
    started = []
    for target in blueprint.targets:
        group = seen.get(target.name)
        if group is None or group.refreshing or not _stale(target, group, versions):
            continue
        try:
            start_refresh(group.name, instance_refresh.preferences(blueprint.refresh))
        except RefreshRefusedError as error:
            raise ReleaseError(f"{target.pool}: no instance refresh: {error}") from error
        started.append(target.pool)
    return started


def _stale(target: Target, group: Group, versions: Mapping[str, int]) -> list[str]:
    wanted = (target.template, str(versions[target.template]))
    return [one.id for one in group.members if (one.template, one.version) != wanted]


def _moving(blueprint: Blueprint, seen: Mapping[str, Group], versions: Mapping[str, int]) -> Progress:
    """Whether anything still moves; what should and does not is started."""
    started = _refresh(blueprint, seen, versions)
    reasons = [f"{pool}: an instance refresh starts" for pool in started]
    for target in blueprint.targets:
        group = seen.get(target.name)
        if group is None or target.pool in started:
            continue
        if under_way := group.refreshing:
            reasons.append(
                f"{target.pool}: {under_way.percent} % of {len(group.members)} instances replaced ({under_way.status})"
            )
        elif coming := [one for one in group.members if not one.in_service]:
            reasons.append(f"{target.pool}: {len(coming)} instances start")
        elif len(group.members) < group.desired and not group.launches:  # a group that has just been made
            reasons.append(f"{target.pool}: {group.desired} instances are launched")
    return Progress("moving", "; ".join(reasons)) if reasons else Progress("done")


def _failing(blueprint: Blueprint, seen: Mapping[str, Group], facts: Mapping[str, Any]) -> list[str]:
    found = []
    for target in blueprint.targets:
        group, before = seen[target.name], _before(facts, target.name)
        newest = group.refreshes[:1]
        began = [one.began - 1 for one in newest if one.id != before.refresh]
        launches = refresh_failures.of_launches(group.launches, max(began, default=before.launch))
        found += [f"{target.pool}: {one}" for one in refresh_failures.of_refreshes(newest, before)]
        found += [f"{target.pool}: {launches}"] if launches else []
    return found


def _failed_refreshes(blueprint: Blueprint, seen: Mapping[str, Group], facts: Mapping[str, Any]) -> list[str]:
    """All that failed since the release, of the pool where most did."""
    found: list[str] = []
    for target in blueprint.targets:
        if target.name in seen:
            bad = refresh_failures.of_refreshes(seen[target.name].refreshes, _before(facts, target.name))
            found = max(found, [f"{target.pool}: {one}" for one in bad], key=len)
    return found


def _now(group: Group) -> Before:
    return Before(
        refresh=group.refreshes[0].id if group.refreshes else "",
        launch=max((launch.at for launch in group.launches), default=0),
    )


def _before(facts: Mapping[str, Any], group: str) -> Before:
    return Before(**facts.get("before", {}).get(group, {"refresh": "", "launch": 0}))


def _cancel(groups: Iterable[Group]) -> None:
    for group in groups:
        if group.refreshing:
            cancel_refresh(group.name)


# -- The artifact -----------------------------------------------------------------------------------------------------


def _require_sdk(release: Release, blueprint: Blueprint) -> None:
    """The image comes with the deployment, the artifact by itself: they have to be of one SDK.

    :raises ReleaseError: they are not.
    """
    item = aws.get_item(registry.get(SETTINGS.registry_table, release.artifact_key)) or {}
    sdk = item.get("sdk", {}).get("S", "")
    if sdk and sdk != blueprint.sdk:
        raise ReleaseError(
            f"artifact {release.artifact_key} was compiled with SDK {sdk}, and the fleet's image is of "
            f"{blueprint.sdk}: deploy with the artifact's SDK"
        )
