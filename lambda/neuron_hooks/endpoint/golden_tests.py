"""The golden examples of what an endpoint serves: what a program for a NeuronCore answers is seen here first.

What is asked is every variant and component that can be asked by name and serves one artifact. Pools of a variant that
serve several artifacts cannot be told apart from outside. What sleeps is woken by its smoke test only: examples come
with every artifact, and a deploy does not wait for an instance that nobody asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from .. import log, manifests
from ..manifests import ArtifactError
from . import aws as endpoint_aws
from . import golden
from .deadline import EndpointError
from .declaration import Declaration, SmokeTest
from .golden import Example


def tests(declaration: Declaration) -> Iterator[tuple[SmokeTest, Example, str]]:
    """What to ask, the example with the right answer, and how to call it.

    :raises EndpointError: when an artifact's examples cannot be read.
    """
    queue = declaration.input_prefix is not None
    places: list[tuple[str | None, str | None, set[tuple[str | None, str | None]]]] = [
        (None if queue else one.name, None, {(pool.model, pool.artifact) for pool in one.pools})
        for one in declaration.variants
        if not one.shadow
    ]
    places += [(None, one.name, {(one.model, one.artifact)}) for one in declaration.components]
    found: dict[str, tuple[Example, ...]] = {}
    for variant, component, served in places:
        artifacts = {(model, artifact) for model, artifact in served if model and artifact}
        if len({artifact for _, artifact in artifacts}) != 1:
            continue
        ((model, artifact), *_) = sorted(artifacts)
        if artifact not in found:
            found[artifact] = _examples(model, artifact)
        for number, example in enumerate(found[artifact], start=1):
            request = json.loads(golden.body(example))
            test = SmokeTest(variant, component, "async" if queue else "realtime", request, None)
            yield test, example, f"golden example {number} of {test.asked}"


def _examples(model: str, artifact: str) -> tuple[Example, ...]:
    """Of the artifact that a SageMaker model loads; none where its manifest lists none."""
    seen = endpoint_aws.models([model]).get(model)
    if seen is None:
        return ()
    try:
        manifest = endpoint_aws.read(seen.uri + manifests.MANIFEST, manifests.MOST_MANIFEST_BYTES)
        if manifest is None:
            return ()
        files = {file.path: file for file in manifests.read_manifest(manifest, artifact).files}
        if golden.FILE not in files:
            log.decision("no golden examples", key=artifact)
            return ()
        content = endpoint_aws.read(seen.uri + golden.FILE, golden.MOST_BYTES)
        manifests.compare(files[golden.FILE], hashlib.sha256(content or b"").hexdigest())
        return golden.examples(content)
    except (ArtifactError, golden.GoldenError) as error:
        raise EndpointError(f"artifact {artifact}: {error}") from error
