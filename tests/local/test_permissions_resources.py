"""A role may do a thing to the resources and under the conditions that its policies name."""

from __future__ import annotations

import json
import uuid

from tests.local.account import ACCOUNT
from tests.local.roles import ANYTHING, allow, refusal


def test_a_missing_object_is_denied_without_the_listing_and_not_found_with_it(role, acting, bucket):
    its = role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    s3 = acting(its)("s3")
    assert refusal(s3.head_object, Bucket=bucket, Key="source/none")[1] == 403
    its.may(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"))
    assert refusal(s3.head_object, Bucket=bucket, Key="source/none")[1] == 404


def test_a_listing_is_of_the_prefixes_it_is_granted_for(role, acting, bucket):
    condition = {"StringLike": {"s3:prefix": "source/*"}}
    s3 = acting(role(allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition=condition)))("s3")
    assert s3.list_objects_v2(Bucket=bucket, Prefix="source/")["KeyCount"] == 1
    assert refusal(s3.list_objects_v2, Bucket=bucket, Prefix="")[0] == "AccessDenied"


def test_a_version_is_another_right(role, acting, bucket, client):
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    s3 = acting(role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")))("s3")
    assert "s3:GetObjectVersion" in refusal(s3.get_object, Bucket=bucket, Key="a", VersionId=version)[2]


def test_a_copy_reads_its_source(role, acting, bucket):
    s3 = acting(role(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*")))("s3")
    source = {"Bucket": bucket, "Key": "source/model.onnx"}
    assert "s3:GetObject" in refusal(s3.copy_object, Bucket=bucket, Key="copy", CopySource=source)[2]


def test_a_buckets_own_policy_may_deny(role, acting, bucket, client):
    closed = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [closed]}))
    told = refusal(acting(role(*ANYTHING))("s3").get_object, Bucket=bucket, Key="source/model.onnx")
    assert "with an explicit deny in a resource-based policy" in told[2]


def test_objects_under_a_customers_key_need_the_key(role, acting, bucket, client, key):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*")
    its = role(objects)
    s3 = acting(its)("s3")
    assert "kms:Decrypt" in refusal(s3.get_object, Bucket=bucket, Key="source/model.onnx")[2]
    assert "kms:GenerateDataKey" in refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"")[2]
    its.may(objects, allow(["kms:Decrypt", "kms:GenerateDataKey"], key))
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    s3.get_object(Bucket=bucket, Key="a")


def test_a_key_whose_policy_leaves_the_account_out_serves_none_of_its_roles(role, acting, client, key):
    theirs = allow("kms:*") | {"Principal": {"Service": "logs.us-east-1.amazonaws.com"}}
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Statement": [theirs]}))
    told = refusal(acting(role(*ANYTHING))("kms").generate_data_key, KeyId=key, KeySpec="AES_256")
    assert "because no resource-based policy allows the kms:GenerateDataKey action" in told[2]


def test_items_are_of_the_keys_they_are_granted_for(role, acting, client):
    table = f"table-{uuid.uuid4().hex[:8]}"
    client("dynamodb").create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "artifact_key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "artifact_key", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    condition = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["endpoint#a"]}}
    its = role(allow("dynamodb:GetItem", f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}", Condition=condition))
    database = acting(its)("dynamodb")
    database.get_item(TableName=table, Key={"artifact_key": {"S": "endpoint#a"}})
    told = refusal(database.get_item, TableName=table, Key={"artifact_key": {"S": "endpoint#b"}})
    assert told[0] == "AccessDeniedException"


def test_metrics_are_of_the_namespaces_they_are_granted_for(role, acting):
    condition = {"StringLike": {"cloudwatch:namespace": "NeuronCdk/*"}}
    metrics = acting(role(allow("cloudwatch:PutMetricData", "*", Condition=condition)))("cloudwatch")
    metrics.put_metric_data(Namespace="NeuronCdk/Fleet", MetricData=[{"MetricName": "m", "Value": 1}])
    told = refusal(metrics.put_metric_data, Namespace="Other", MetricData=[{"MetricName": "m", "Value": 1}])
    assert told[0] == "AccessDeniedException"


def test_groups_are_of_the_tags_they_are_granted_for(role, acting, group):
    mine = group(Tags=[{"Key": "neuron-cdk:fleet", "Value": "a", "PropagateAtLaunch": True}])
    other = group(Tags=[{"Key": "neuron-cdk:fleet", "Value": "b", "PropagateAtLaunch": True}])
    condition = {"StringEquals": {"autoscaling:ResourceTag/neuron-cdk:fleet": "a"}}
    groups = f"arn:aws:autoscaling:us-east-1:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/*"
    scaling = acting(role(allow("autoscaling:SetDesiredCapacity", groups, Condition=condition)))("autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName=mine, DesiredCapacity=0)
    told = refusal(scaling.set_desired_capacity, AutoScalingGroupName=other, DesiredCapacity=0)
    assert told[0] == "AccessDenied"


def test_a_role_is_passed_on_to_the_service_it_is_granted_for(role, acting, model_request):
    passed = role(service="sagemaker").arn
    its = role(allow("sagemaker:CreateModel"))
    sagemaker = acting(its)("sagemaker")
    assert f"iam:PassRole on resource: {passed}" in refusal(sagemaker.create_model, **model_request(passed))[2]
    wrong = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    its.may(allow("sagemaker:CreateModel"), allow("iam:PassRole", passed, Condition=wrong))
    assert "iam:PassRole" in refusal(sagemaker.create_model, **model_request(passed))[2]
    right = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    its.may(allow("sagemaker:CreateModel"), allow("iam:PassRole", passed, Condition=right))
    sagemaker.create_model(**model_request(passed))


def test_what_is_tagged_as_it_is_created_needs_the_right_to_tag(role, acting, model_request):
    passed = role(service="sagemaker").arn
    its = role(allow(["sagemaker:CreateModel", "iam:PassRole"]))
    request = {**model_request(passed), "Tags": [{"Key": "team", "Value": "search"}]}
    tagged = f"sagemaker:AddTags on resource: arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/{request['ModelName']}"
    assert tagged in refusal(acting(its)("sagemaker").create_model, **request)[2]
    its.may(allow(["sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"]))
    acting(its)("sagemaker").create_model(**request)


def test_whoever_creates_or_updates_an_endpoint_lets_sagemaker_use_the_key_of_its_volumes(
    role, acting, key, client, settled, model_request
):
    request = model_request(role(*ANYTHING, service="sagemaker").arn)
    name = request["ModelName"]
    variant = {"VariantName": "Main", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    client("sagemaker").create_model(**request)
    for configuration in (name, f"{name}-2"):
        client("sagemaker").create_endpoint_config(
            EndpointConfigName=configuration, ProductionVariants=[variant], KmsKeyId=key
        )
    without, with_it = (
        role(allow("sagemaker:*")),
        role(
            allow("sagemaker:*"),
            allow("kms:CreateGrant", key, Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        ),
    )
    asked = {"EndpointName": name, "EndpointConfigName": name}
    grant = f"kms:CreateGrant on resource: {key}"

    assert grant in refusal(acting(without)("sagemaker").create_endpoint, **asked)[2]
    acting(with_it)("sagemaker").create_endpoint(**asked)
    settled(name)  # rights are asked first, whatever became of it
    other = {**asked, "EndpointConfigName": f"{name}-2"}
    assert grant in refusal(acting(without)("sagemaker").update_endpoint, **other)[2]
    client("sagemaker").delete_endpoint(EndpointName=name)


def test_a_group_gets_a_launch_template_from_who_may_launch_from_it(role, acting, client, group, launch_template):
    instances = role(service="ec2")
    profile = f"profile-{uuid.uuid4().hex[:8]}"
    client("iam").create_instance_profile(InstanceProfileName=profile)
    client("iam").add_role_to_instance_profile(InstanceProfileName=profile, RoleName=instances.name)
    template = launch_template(IamInstanceProfile={"Name": profile})
    name = group()
    update, run = allow("autoscaling:UpdateAutoScalingGroup"), allow("ec2:RunInstances")
    its = role(update)
    scaling = acting(its)("autoscaling")
    wanted = {"AutoScalingGroupName": name, "LaunchTemplate": {"LaunchTemplateId": template, "Version": "1"}}

    assert "ec2:RunInstances" in refusal(scaling.update_auto_scaling_group, **wanted)[2]
    its.may(update, run)
    assert f"iam:PassRole on resource: {instances.arn}" in refusal(scaling.update_auto_scaling_group, **wanted)[2]
    its.may(update, run, allow("iam:PassRole", instances.arn))
    scaling.update_auto_scaling_group(**wanted)
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=4)
