"""The one composition root: the command line, the tests and the embedded AWS all build the app here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aws_cdk import App

from neuron_cdk import spec

from .stage import DeploymentStage


def build_app(
    deployment: spec.Deployment, *, outdir: str | None = None, context: Mapping[str, Any] | None = None
) -> App:
    """Everything the file asks for, not yet synthesized.

    :param context: the CDK feature flags (of ``cdk.json``); under the CDK command line its own context is added.
    :raises spec.SpecError: when the file asks for what is not built yet. It is never left out in silence.
    """
    later = spec.later(deployment)
    if later:
        raise spec.SpecError(replace(finding, severity=spec.Severity.ERROR) for finding in later)
    app = App(analytics_reporting=False, outdir=outdir, context=dict(context or {}))
    DeploymentStage(app, deployment.name, deployment=deployment)
    return app
