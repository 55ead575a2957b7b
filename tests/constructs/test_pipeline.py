"""The compile pipeline: who may do what, who speaks for the dead, what never changes."""

from __future__ import annotations

import importlib
import json

import pytest

HOOKS = {
    "Answer": "compile.answer_cloudformation",
    "Begin": "compile.begin_compile",
    "CompiledModel": "compile.compiled_model",
    "HousekeepingHook": "housekeeping.hook",
    "Join": "compile.join_parts",
    "RecordFailure": "compile.record_failure",
    "Register": "compile.register_artifact",
}


@pytest.fixture(scope="session")
def rights(resources, statements):
    """``rights("Begin")``: what a part of the pipeline may do, as {action: resources}."""

    def find(part: str) -> dict[str, list]:
        (role,) = (
            role
            for key, role in resources("platform", "AWS::IAM::Role").items()
            if key.startswith(f"Pipeline{part}Role")
        )
        allowed: dict[str, list] = {}
        for statement in statements(role):
            for action in statement["Action"]:
                allowed.setdefault(action, []).extend(statement["Resource"])
        return allowed

    return find


@pytest.fixture(scope="session")
def functions(resources):
    return {
        key.removeprefix("Pipeline").partition("Function")[0]: (key, function)
        for key, function in resources("platform", "AWS::Lambda::Function").items()
    }


def test_the_function_behind_the_service_token_keeps_its_logical_id(functions):
    """CloudFormation cannot move a custom resource to another token: a new id would break every deployed model."""
    assert functions["CompiledModel"][0] == "PipelineCompiledModelFunction9F52B13A"


def test_each_hook_is_an_entry_point_that_exists(functions, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for part, module in HOOKS.items():
        function = functions[part][1]
        for name, value in function.get("Environment", {}).get("Variables", {}).items():
            monkeypatch.setenv(name, value if isinstance(value, str) else "1")
        package, _, attribute = function["Handler"].rpartition(".")
        assert package == f"neuron_hooks.{module}"
        assert callable(getattr(importlib.import_module(package), attribute))


@pytest.mark.parametrize("part", ["Join", "Register"])
def test_what_reads_the_files_of_an_artifact_has_all_the_time_that_lambda_gives(part, functions):
    """Up to 64 MiB a file, and a language model has hundreds."""
    assert functions[part][1]["Timeout"] == 900


def test_every_hook_ships_in_one_asset(functions):
    assert {function["Code"]["S3Key"] for _, function in functions.values()} == {functions["Begin"][1]["Code"]["S3Key"]}


def test_hooks_encrypt_their_settings_and_log_to_groups_of_their_own(functions, resources):
    groups = resources("platform", "AWS::Logs::LogGroup")
    used = [function["LoggingConfig"]["LogGroup"]["Ref"] for _, function in functions.values()]
    assert len(set(used)) == len(HOOKS)
    assert set(used) <= set(groups)
    assert all("StoreKey" in json.dumps(function["KmsKeyArn"]) for _, function in functions.values())


COMMON = {
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}


@pytest.mark.parametrize(
    ("part", "actions"),
    [
        ("Answer", {"dynamodb:UpdateItem"}),
        ("CompiledModel", {"dynamodb:UpdateItem", "states:StartExecution"}),
        ("Join", {"s3:GetObject", "s3:ListBucket", "s3:PutObject"}),
        (
            "Begin",
            {
                "dynamodb:GetItem",
                "dynamodb:UpdateItem",
                "events:PutEvents",
                "s3:PutObject",
                *("s3:GetObject", "s3:ListBucket"),  # the sources of the models it was given
            },
        ),
        ("Register", {"dynamodb:UpdateItem", "events:PutEvents", "s3:GetObject", "s3:ListBucket"}),
        (
            "RecordFailure",
            {"dynamodb:UpdateItem", "events:PutEvents", "logs:DescribeLogStreams", "logs:GetLogEvents"},
        ),
    ],
)
def test_a_hook_may_do_what_it_does_and_nothing_else(part, actions, rights):
    assert set(rights(part)) == COMMON | actions


def test_hooks_write_requests_and_read_artifacts_never_the_reverse(rights):
    assert [arn["Fn::Join"][1][-1] for arn in rights("Begin")["s3:PutObject"]] == ["/requests/*"]
    assert [arn["Fn::Join"][1][-1] for arn in rights("Register")["s3:GetObject"]] == ["/artifacts/*"]


def test_a_job_writes_artifacts_and_deletes_nothing(rights):
    job = rights("Job")
    assert [arn["Fn::Join"][1][-1] for arn in job["s3:PutObject"]] == ["/artifacts/*"]
    assert not [action for action in job if "Delete" in action and not action.startswith("ec2:")]


def test_the_job_machine_hands_on_the_jobs_role_to_sagemaker_alone(resources, statements):
    (role,) = (
        role
        for role in resources("platform", "AWS::IAM::Role").values()
        if any("sagemaker:CreateProcessingJob" in statement["Action"] for statement in statements(role))
    )
    (passes,) = (statement for statement in statements(role) if "iam:PassRole" in statement["Action"])
    assert passes["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert [arn["Fn::GetAtt"][0].startswith("PipelineJobRole") for arn in passes["Resource"]] == [True]


@pytest.mark.parametrize(
    ("machine", "rule"),
    [
        ("CompileRole", "StepFunctionsGetEventsForStepFunctionsExecutionRule"),
        ("JobRunRole", "StepFunctionsGetEventsForSageMakerProcessingJobsRule"),
    ],
)
def test_step_functions_hears_of_the_end_of_what_it_waits_for(machine, rule, resources, statements):
    roles = {key: role for key, role in resources("platform", "AWS::IAM::Role").items() if f"Pipeline{machine}" in key}
    rules = [
        resource["Fn::Join"][1][-1]
        for role in roles.values()
        for statement in statements(role)
        if "events:PutRule" in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert rules == [f":events:us-east-1:111122223333:rule/{rule}"]


def test_a_request_runs_others_like_itself_by_a_policy_that_comes_after_both(resources, statements):
    """The role's own policy cannot name a machine that has the role."""
    (policy,) = (
        policy["PolicyDocument"]["Statement"]
        for key, policy in resources("platform", "AWS::IAM::Policy").items()
        if key.startswith("PipelineRequestRoleDefaultPolicy")
    )
    allowed = {
        action: one["Resource"]
        for one in policy
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    assert allowed["states:StartExecution"] == {"Fn::GetAtt": ["PipelineRequest922FE08E", "Arn"]}
    assert allowed["states:StopExecution"]["Fn::Join"][1][-2:] == [
        {"Fn::GetAtt": ["PipelineRequest922FE08E", "Name"]},
        ":*",
    ]
    assert "StepFunctionsGetEventsForStepFunctionsExecutionRule" in str(allowed["events:PutRule"])


def test_a_request_may_start_compiles_and_read_the_registry(rights):
    request = rights("Request")
    assert [arn["Fn::GetAtt"][0] for arn in request["states:StartExecution"]] == ["PipelineCompileD0A90A05"]
    assert "dynamodb:GetItem" in request
    assert not {action for action in request if action.startswith(("s3:", "sagemaker:", "iam:"))}


@pytest.mark.parametrize(
    ("rule", "machine", "hook"),
    [("CompileDied", "PipelineCompileD0A90A05", "RecordFailure"), ("RequestDied", "PipelineRequest922FE08E", "Answer")],
)
def test_an_execution_that_dies_is_spoken_for(rule, machine, hook, resources, functions):
    (found,) = (r for key, r in resources("platform", "AWS::Events::Rule").items() if rule in key)
    assert found["EventPattern"]["detail"] == {
        "stateMachineArn": [{"Fn::GetAtt": [machine, "Arn"]}],
        "status": ["FAILED", "ABORTED", "TIMED_OUT"],
    }
    function, _ = functions[hook]
    assert [target["Arn"] for target in found["Targets"]] == [{"Fn::GetAtt": [function, "Arn"]}]


def test_each_rule_may_call_its_hook(resources):
    rules = set(resources("platform", "AWS::Events::Rule"))
    permitted = {
        permission["SourceArn"]["Fn::GetAtt"][0]
        for permission in resources("platform", "AWS::Lambda::Permission").values()
    }
    assert permitted == rules


def test_machines_are_logged_without_the_presigned_address(resources):
    for machine in resources("platform", "AWS::StepFunctions::StateMachine").values():
        assert machine["LoggingConfiguration"]["Level"] == "ALL"
        assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False


def test_the_answer_leaves_cloudformation_five_minutes(functions):
    settings = functions["CompiledModel"][1]["Environment"]["Variables"]
    assert (settings["DEADLINE_SECONDS"], settings["POLL_SECONDS"]) == ("3300", "15")
