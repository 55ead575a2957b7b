"""What an endpoint serves, and on what: pools, variants, a shadow, components, queues, what is captured."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="session")
def configured(only):
    return lambda name: only(name, "AWS::SageMaker::EndpointConfig")


@pytest.fixture(scope="session")
def main(configured):
    return lambda name: configured(name)["ProductionVariants"][0]


@pytest.fixture(scope="session")
def artifact_of(resources):
    """``artifact_of(stack, reference to a SageMaker model)``: the logical id of the model it was compiled as."""

    def find(name, reference):
        model = resources(name, "AWS::SageMaker::Model")[reference["Fn::GetAtt"][0]]
        return model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["S3Uri"]["Fn::GetAtt"][0]

    return find


@pytest.fixture(scope="session")
def granted(resources, statements):
    """Statements of the role that a service takes on."""

    def find(name, service):
        return [
            statement
            for role in resources(name, "AWS::IAM::Role").values()
            if role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"] == f"{service}.amazonaws.com"
            for statement in statements(role)
        ]

    return find


# -- pools ---------------------------------------------------------------------------------------------------------


def test_pools_are_in_the_order_of_the_types_and_each_chip_has_its_artifact(main, artifact_of):
    variant = main("pools-endpoint")
    assert "InstanceType" not in variant
    assert [(pool["InstanceType"], pool["Priority"]) for pool in variant["InstancePools"]] == [
        ("ml.inf2.xlarge", 1),
        ("ml.inf2.8xlarge", 2),
        ("ml.trn1.2xlarge", 3),
    ]
    overrides = [pool.get("ModelNameOverride") for pool in variant["InstancePools"]]
    assert overrides[:2] == [None, None]
    assert artifact_of("pools-endpoint", overrides[2]) != artifact_of("pools-endpoint", variant["ModelName"])
    assert variant["VariantInstanceProvisionTimeoutInSeconds"] == 600


def test_one_type_is_no_pool(main):
    variant = main("inf2-endpoint")
    assert variant["InstanceType"] == "ml.inf2.xlarge"
    assert "InstancePools" not in variant


def test_a_pool_with_local_disks_takes_volume_and_key_from_all(main, configured):
    assert "VolumeSizeInGB" not in main("pools-endpoint")
    assert "KmsKeyId" not in configured("pools-endpoint")


def test_a_reservation_is_the_only_source(main):
    assert main("linear-endpoint")["CapacityReservationConfig"] == {
        "CapacityReservationPreference": "capacity-reservations-only",
        "MlReservationArn": "arn:aws:sagemaker:us-east-1:111122223333:training-plan/serving",
    }


# -- room and time -------------------------------------------------------------------------------------------------


def test_room_and_time_follow_the_models_size(main):
    small, large = main("inf2-endpoint"), main("steps-endpoint")
    assert large["VolumeSizeInGB"] == 58  # 40 GB
    assert large["ModelDataDownloadTimeoutInSeconds"] == 1400
    assert small["ModelDataDownloadTimeoutInSeconds"] == 1800  # unknown: generous


def test_the_file_may_say_otherwise(main):
    variant = main("canary-endpoint")
    assert variant["VolumeSizeInGB"] == 100
    assert variant["ModelDataDownloadTimeoutInSeconds"] == 300
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 600


# -- variants and shadow -------------------------------------------------------------------------------------------


def test_variants_have_weights_types_and_sizes_of_their_own(configured):
    main, candidate = configured("variants-endpoint")["ProductionVariants"]
    assert (main["VariantName"], main["InitialVariantWeight"], main["InitialInstanceCount"]) == ("Main", 9, 2)
    assert candidate["VariantName"] == "candidate"
    assert (candidate["InitialVariantWeight"], candidate["InitialInstanceCount"]) == (1, 1)
    assert candidate["InstanceType"] == "ml.inf2.8xlarge"
    assert candidate["ModelName"] != main["ModelName"]


def test_a_shadow_gets_its_share_of_the_one_variants_traffic(configured, artifact_of):
    shape = configured("shadow-endpoint")
    (main,), (shadow,) = shape["ProductionVariants"], shape["ShadowProductionVariants"]
    assert (main["InitialVariantWeight"], shadow["InitialVariantWeight"]) == (1, 0.5)
    assert artifact_of("shadow-endpoint", shadow["ModelName"]) != artifact_of("shadow-endpoint", main["ModelName"])


def test_without_a_shadow_there_is_none(configured):
    assert "ShadowProductionVariants" not in configured("inf2-endpoint")


def test_a_model_that_serves_twice_is_one_model(resources):
    assert len(resources("variants-endpoint", "AWS::SageMaker::Model")) == 2


# -- components ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def components(resources):
    """An endpoint's components by the accelerators of a copy."""

    def find(name):
        found = resources(name, "AWS::SageMaker::InferenceComponent").values()
        return {
            each["Specification"]["ComputeResourceRequirements"]["NumberOfAcceleratorDevicesRequired"]: each
            for each in found
        }

    return find


def test_each_component_asks_for_its_share(components):
    needs = [
        each["Specification"]["ComputeResourceRequirements"] for each in components("components-endpoint").values()
    ]
    assert {"NumberOfAcceleratorDevicesRequired": 1, "MinMemoryRequiredInMb": 4096} in needs
    assert {
        "NumberOfAcceleratorDevicesRequired": 2,
        "NumberOfCpuCoresRequired": 4,
        "MinMemoryRequiredInMb": 8192,
    } in needs


def test_role_network_and_isolation_of_components_are_the_configurations(configured, resources):
    shape = configured("components-endpoint")
    assert shape["EnableNetworkIsolation"] is True
    assert "Fn::GetAtt" in shape["ExecutionRoleArn"]
    assert len(shape["VpcConfig"]["Subnets"]) == 2
    for model in resources("components-endpoint", "AWS::SageMaker::Model").values():
        assert not {"VpcConfig", "EnableNetworkIsolation"}.intersection(model)


def test_instances_under_components_come_and_go_by_themselves(main):
    variant = main("sleeping-components")
    assert variant["ManagedInstanceScaling"] == {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    assert variant["InitialInstanceCount"] == 1
    assert "ModelName" not in variant


def test_what_may_sleep_starts_awake(components):
    (component,) = components("sleeping-components").values()
    assert component["RuntimeConfig"] == {"CopyCount": 1}


def test_components_are_updated_in_batches_and_watched_by_named_alarms_alone(components, resources):
    """None of ours: no dimension would tell new copies from old ones."""
    first = components("components-endpoint")[1]
    assert first["DeploymentConfig"] == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 300,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "neuron-errors"}]},
    }
    assert not resources("components-endpoint", "AWS::CloudWatch::Alarm")


def test_callers_may_ask_the_components(template):
    served = template("sleeping-components")
    (component,) = served.find_resources("AWS::SageMaker::InferenceComponent")
    (policy,) = served.find_resources("AWS::IAM::Policy").values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert {"Ref": component} in statement["Resource"]


# -- queues --------------------------------------------------------------------------------------------------------


def test_a_queue_has_a_bucket_and_a_topic_for_either_outcome(configured, template):
    asked = configured("async-endpoint")["AsyncInferenceConfig"]
    output = asked["OutputConfig"]
    topics = template("async-endpoint").find_resources("AWS::SNS::Topic")
    notices = output["NotificationConfig"]
    assert {notices["SuccessTopic"]["Ref"], notices["ErrorTopic"]["Ref"]} == set(topics)
    assert all("StoreKey" in json.dumps(topic["Properties"]["KmsMasterKeyId"]) for topic in topics.values())
    assert notices["IncludeInferenceResponseIn"] == ["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]
    assert asked["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 4}
    assert output["S3OutputPath"] != output["S3FailurePath"]
    assert "StoreKey" in json.dumps(output["KmsKeyId"])


def test_notices_say_little_unless_asked(configured):
    asked = configured("sleeping-queue")["AsyncInferenceConfig"]
    assert "IncludeInferenceResponseIn" not in asked["OutputConfig"]["NotificationConfig"]
    assert "ClientConfig" not in asked


@pytest.mark.parametrize("name", ["async-endpoint", "steps-endpoint"])
def test_a_bucket_is_private_encrypted_logged_and_forgets(only, name):
    bucket = only(name, "AWS::S3::Bucket")
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert "StoreKey" in json.dumps(encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "StoreAccessLog" in json.dumps(bucket["LoggingConfiguration"]["DestinationBucketName"])
    assert [rule["ExpirationInDays"] for rule in bucket["LifecycleConfiguration"]["Rules"]] == [7]
    (refusal,) = only(name, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert (refusal["Effect"], refusal["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_log_bucket_takes_logs_of_this_accounts_buckets(resources):
    policies = [json.dumps(each) for each in resources("platform", "AWS::S3::BucketPolicy").values()]
    assert sum("BucketsOfThisAccount" in policy for policy in policies) == 1


def test_a_queues_containers_read_requests_write_outcomes_and_tell(granted):
    allowed = {
        action: json.dumps(statement["Resource"])
        for statement in granted("async-endpoint", "sagemaker")
        for action in statement["Action"]
    }
    assert allowed["sns:Publish"].count("Topic") == 0
    assert allowed["sns:Publish"].count("Ref") == 2
    assert "/output/*" in allowed["s3:PutObject"]
    assert "/failures/*" in allowed["s3:PutObject"]
    assert "/input/*" not in allowed["s3:PutObject"]


def test_a_caller_of_a_queue_puts_requests_and_reads_answers(template):
    (policy,) = template("async-endpoint").find_resources("AWS::IAM::Policy").values()
    by_action = {
        json.dumps(statement["Action"]): json.dumps(statement["Resource"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    }
    assert "sagemaker:InvokeEndpointAsync" in json.loads(next(iter(by_action)))
    assert "/input/*" in by_action['"s3:PutObject"']
    assert "/output/*" in by_action['"s3:GetObject"']
    assert "StoreKey" in by_action['["kms:Decrypt", "kms:GenerateDataKey"]']


# -- capture -------------------------------------------------------------------------------------------------------


def test_nothing_is_captured_unless_asked(configured):
    assert "DataCaptureConfig" not in configured("inf2-endpoint")


def test_a_share_is_captured_under_our_key(configured):
    asked = configured("steps-endpoint")["DataCaptureConfig"]
    assert (asked["EnableCapture"], asked["InitialSamplingPercentage"]) == (True, 10)
    assert asked["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    assert "StoreKey" in json.dumps(asked["KmsKeyId"])
