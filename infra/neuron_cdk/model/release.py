"""Releases to one target: the state machine, its two hooks, and the custom resource that stands for the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import CfnResource
from aws_cdk import aws_events as events
from constructs import Construct, IConstruct

from ..place import table
from ..resource import resource
from ..roles import Allow
from .compiled_model import CompiledModel
from .machinery import StateMachine, invoke, model_hook
from .release_machine import release_machine
from .store import ArtifactStore
from .telling import telling_rights

_STEP_SECONDS = 900  # what Lambda gives a function: smoke tests may have to wake what sleeps
_DEADLINE_SECONDS = 55 * 60  # of the hour that CloudFormation waits
_EVENTS = ["Neuron Artifact Ready", "Neuron Artifact Hit"]


class ReleasePipeline(Construct):
    """Brings a target, such as an endpoint, to an artifact, or back to the last good one; one release at a time.

    Who asks: a deploy, by :meth:`declare`'s resource; a new artifact of the model that a person or a watched source had
    compiled, by a rule; a person, by the command line, which starts ``machine``. Each target has a machine and hooks of
    its own, in its own stack, whose roles name it: ``docs/adr/0015-a-release-machine-for-each-target.md``.

    :param target: kind and name, ``endpoint/embed``. There is a module ``neuron_hooks.release.<kind>``.
    :param model: what the target serves.
    :param allow: what the kind's module needs.
    :param environment: what it reads beside.
    :param approval: whether a person is asked before an artifact is released without a deploy.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        target: str,
        model: CompiledModel,
        store: ArtifactStore,
        allow: Sequence[Allow],
        environment: Mapping[str, str] | None = None,
        approval: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        self.target, self._model = target, model
        registry, registry_arn = table(store.registry)
        self._step = model_hook(
            self,
            "Step",
            store=store,
            entry="release.step",
            environment={
                "REGISTRY_TABLE": registry,
                "TARGET": target,
                "APPROVAL": "yes" if approval else "no",
                "POLL_SECONDS": "1" if model.target == "cpu" else "15",
                **(environment or {}),
            },
            allow=(
                Allow(
                    ["dynamodb:DeleteItem", "dynamodb:UpdateItem"],
                    [registry_arn],
                    when={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"release#{target}"]}},
                ),
                Allow(["dynamodb:GetItem"], [registry_arn]),  # artifacts, too
                Allow(
                    ["states:SendTaskFailure"],
                    ["*"],
                    why="AWS takes no resource for answers to task tokens; who has none can answer nothing",
                ),
                telling_rights(self),
                *allow,
            ),
            timeout_seconds=_STEP_SECONDS,
        )
        self.machine = StateMachine(
            self,
            "Machine",
            store=store,
            definition=release_machine(step=self._step.function_arn),
            allow=(invoke(self._step),),
        )
        self._start = model_hook(
            self,
            "Start",
            store=store,
            entry="release.start",
            environment={
                "RELEASE_MACHINE_ARN": self.machine.arn,
                "TARGET": target,
                "MODEL": model.name,
                "DEADLINE_SECONDS": str(_DEADLINE_SECONDS),
            },
            allow=(Allow(["states:StartExecution"], [self.machine.arn]),),
        )
        self.machine.when_it_dies(self, "Died", self._start)
        rule = resource(
            events.CfnRule,
            self,
            "Artifacts",
            event_pattern={
                "source": ["neuron-cdk.models"],
                "detail-type": _EVENTS,
                "detail": {"model": [model.name], "trigger": ["person", "watch"]},
            },
            targets=[{"id": "Start", "arn": self._start.function_arn}],
        )
        self._start.answer_rule("ArtifactsPermission", rule.attr_arn)

    def declare(self, declaration: str, after: Sequence[IConstruct] = ()) -> CfnResource:
        """The resource that stands for the target: its creation and change is a release, its deletion a removal.

        :param declaration: the target's blueprint (JSON), which the kind's module reads; what it has of a model is
            where the artifact goes, not which.
        :param after: what has to be there before the first release, and until the removal is over.
        """
        made = CfnResource(
            self,
            "Resource",
            type="Custom::NeuronRelease",
            properties={
                "ServiceToken": self._start.function_arn,
                "ServiceTimeout": "3600",
                "Target": self.target,
                "Declaration": declaration,
                "Model": self._model.name,
                "ArtifactKey": self._model.artifact_key,
                "ArtifactUri": self._model.artifact_uri,
            },
        )
        # On deletion all of it must still be there, the rule for executions that die among it.
        made.node.add_dependency(*(child for child in self.node.children if child is not made), *after)
        return made
