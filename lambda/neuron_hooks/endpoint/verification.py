"""Whether what is in service is what was asked for. Pure: what was seen comes in, what is wrong goes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .declaration import Component, Declaration, Pool, Variant
from .record import Record
from .seen import Component as SeenComponent
from .seen import Configured, Endpoint, Images, Model


def endpoint_problem(endpoint: Endpoint, asked: str, record: Record | None) -> str:
    """Why the endpoint is not in service as asked, empty when it is.

    An endpoint that went back to its old version is ``InService`` and says so in ``FailureReason`` at most
    (https://github.com/hashicorp/terraform-provider-aws/issues/48997). A reason that stands there from an update after
    which a verified configuration serves again is an old one.
    """
    because = f": {endpoint.failure}" if endpoint.failure else ""
    if endpoint.status != "InService":
        return f"the endpoint is {endpoint.status}, not InService{because}"
    if endpoint.configuration != asked:
        return (
            f"configuration {endpoint.configuration} is in service, not {asked}: SageMaker rolled the update back"
            f"{because}. Look at the endpoint's alarms and its containers' logs"
        )
    if endpoint.failure and (record is None or record.configuration != asked):
        return f"configuration {asked} is said to be in service, and to have failed{because}"
    return ""


def problems(
    declaration: Declaration,
    endpoint: Endpoint,
    configured: Mapping[str, Configured],
    models: Mapping[str, Model],
    components: Mapping[str, SeenComponent],
) -> tuple[str, ...]:
    """What differs from the declaration, each with what was asked for and what is there."""
    found: list[str] = []
    for variant in declaration.variants:
        found += _variant(variant, endpoint, configured.get(variant.name), models)
    for component in declaration.components:
        found += _component(component, components.get(component.name), models)
    declared = {variant.name for variant in declaration.variants}
    found += [f"variant {name} is in service and not asked for" for name in endpoint.instances if name not in declared]
    return tuple(found)


def _variant(
    variant: Variant, endpoint: Endpoint, configured: Configured | None, models: Mapping[str, Model]
) -> Iterator[str]:
    if configured is None or variant.name not in endpoint.instances:
        yield f"variant {variant.name} is not in service"
        return
    asked = tuple((pool.instance_type, pool.model) for pool in variant.pools)
    if configured.pools != asked:
        yield f"variant {variant.name} serves {_words(configured.pools)}, not {_words(asked)}"
    for pool in variant.pools:
        yield from _model(f"variant {variant.name}", pool, models)
    images = {pool.image for pool in variant.pools if pool.image}
    yield from _images(f"variant {variant.name}", endpoint.images[variant.name], images)


def _component(component: Component, seen: SeenComponent | None, models: Mapping[str, Model]) -> Iterator[str]:
    if seen is None:
        yield f"component {component.name} does not exist"
        return
    because = f": {seen.failure}" if seen.failure else ""
    if seen.status != "InService":
        yield f"component {component.name} is {seen.status}, not InService{because}"
    if seen.model != component.model:
        yield f"component {component.name} serves model {seen.model}, not {component.model}{because}"
    yield from _model(f"component {component.name}", component, models)
    yield from _images(f"component {component.name}", seen.images, {component.image})


def _model(where: str, asked: Pool | Component, models: Mapping[str, Model]) -> Iterator[str]:
    if asked.model is None or asked.artifact is None:
        return
    model = models.get(asked.model)
    if model is None:
        yield f"{where}: there is no model {asked.model}"
        return
    if asked.artifact not in model.uri.split("/"):
        yield f"{where}: model {asked.model} loads {model.uri}, not artifact {asked.artifact}"
    if model.image != asked.image:
        yield f"{where}: model {asked.model} has image {model.image}, not {asked.image}"


def _images(where: str, seen: Images, asked: set[str]) -> Iterator[str]:
    """SageMaker says nothing of images where components serve, and may not where no instance runs."""
    others = [image for image in seen.specified if image not in asked]
    if asked and others:
        yield f"{where} runs image {', '.join(others)}, not {', '.join(sorted(asked))}"


def _words(pools: tuple[tuple[str, str | None], ...]) -> str:
    return ", ".join(f"{model} on {kind}" if model else kind for kind, model in pools)


def digests(endpoint: Endpoint, components: Mapping[str, SeenComponent]) -> dict[str, list[str]]:
    """The images that run, by digest, for the record."""
    found = {name: images.resolved for name, images in endpoint.images.items()}
    found |= {name: seen.images.resolved for name, seen in components.items()}
    return {name: sorted(images) for name, images in found.items() if images}
