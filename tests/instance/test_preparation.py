"""The steps that get a machine ready, each with what only an instance has stood in for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.fleet.user_data import Boot

TRAINING = Boot(fleet="sandbox-Fleet-train/Fleet", region="us-east-1", launch_hook="launch")


def fi_info(*domains: str) -> str:
    """What ``fi_info -p efa`` prints, cut to what is read: each device under each of its protocols."""
    blocks = (
        f"provider: efa\n    fabric: {fabric}\n    domain: {domain}\n    type: FI_EP_RDM"
        for domain in domains
        for fabric in ("efa", "efa-direct")
    )
    return "cat <<'F'\n" + "\n".join(blocks) + "\nF"


def disks(instance: Any, count: int) -> None:
    """Instance-store disks with the links that udev gives them, and an EBS volume."""
    for n in range(1, count + 1):
        (instance.root / f"dev/nvme{n}n1").touch()
        link = f"dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_AWS{n}"
        for name in (link, f"{link}_1", f"{link}-ns-1"):
            (instance.root / name).symlink_to(instance.root / f"dev/nvme{n}n1")
        (instance.root / f"{link}-part1").symlink_to(instance.root / f"dev/nvme{n}n1p1")
    (instance.root / "dev/nvme0n1").touch()
    ebs = instance.root / "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123"
    ebs.symlink_to(instance.root / "dev/nvme0n1")
    for tool in ("mdadm", "wipefs", "mkfs.ext4", "mount"):
        instance.program(f"bin/{tool}")
    mounted = instance.root / "mount.calls"
    instance.program("bin/mountpoint", f'[[ -e {mounted} ]] && grep -q "$2$" {mounted}', note=False)


# -- limits ----------------------------------------------------------------------------------------------------------


def test_pinned_memory_is_unlimited_for_logins(instance: Any) -> None:
    assert instance.start(TRAINING) == 0
    assert "*  hard  memlock  unlimited" in (instance.root / "etc/security/limits.d/90-neuron.conf").read_text()
    assert (instance.root / "proc/sys/vm/nr_hugepages").read_text() == "0\n"
    assert not (instance.root / "etc/sysctl.d/90-neuron-efa.conf").exists()


@pytest.mark.parametrize(("before", "after"), [("0", "5128"), ("128", "5128"), ("8192", "8192")])
def test_efa_has_its_huge_pages_and_never_fewer_than_there_were(instance: Any, before: str, after: str) -> None:
    instance.program("opt/amazon/efa/bin/fi_info", fi_info("rdmap0s6-rdm"))
    (instance.root / "proc/sys/vm/nr_hugepages").write_text(f"{before}\n")
    assert instance.start(replace(TRAINING, efa_interfaces=1)) == 0
    assert (instance.root / "proc/sys/vm/nr_hugepages").read_text().strip() == after


# -- EFA -------------------------------------------------------------------------------------------------------------


def test_every_efa_interface_is_counted_once(instance: Any) -> None:
    names = [f"rdmap{n}s27" for n in range(8)]
    instance.program("opt/amazon/efa/bin/fi_info", fi_info(*(f"{name}-rdm" for name in names)))
    assert instance.start(replace(TRAINING, efa_interfaces=8)) == 0
    assert "efa: 8 interface(s)" in instance.journal
    assert instance.calls("fi_info") == ["-p efa -t FI_EP_RDM"]


def test_an_instance_with_an_efa_interface_short_does_not_come(instance: Any) -> None:
    names = [f"rdmap{n}s27" for n in range(7)]
    instance.program("opt/amazon/efa/bin/fi_info", fi_info(*(f"{name}-rdm" for name in names)))
    assert instance.start(replace(TRAINING, efa_interfaces=8)) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "efa: wanted 8 interface(s), fi_info lists 7" in instance.journal


def test_an_instance_whose_efa_is_not_found_at_all_says_what_fi_info_says(instance: Any) -> None:
    instance.program("opt/amazon/efa/bin/fi_info", "echo 'fi_getinfo: -61 (No data available)'; exit 61")
    assert instance.start(replace(TRAINING, efa_interfaces=1)) == 1
    assert "fi_info lists 0: fi_getinfo: -61 (No data available)" in instance.journal


# -- Neuron ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--json-output", "--output-format json"])
def test_the_devices_are_counted_in_the_old_and_the_new_form_of_neuron_ls(instance: Any, option: str) -> None:
    instance.neuron(12, option=option)
    instance.metadata.items["instance-type"] = "inf2.48xlarge"
    assert instance.start(replace(TRAINING, devices=(("inf2.24xlarge", 6), ("inf2.48xlarge", 12)))) == 0
    assert "neuron: 12 device(s), 24 NeuronCores" in instance.journal


def test_an_instance_with_a_device_short_does_not_come(instance: Any) -> None:
    instance.neuron(15)
    instance.metadata.items["instance-type"] = "trn1.32xlarge"
    assert instance.start(replace(TRAINING, devices=(("trn1.32xlarge", 16),))) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "neuron: trn1.32xlarge has 16 Neuron device(s), neuron-ls lists 15" in instance.journal


def test_a_device_without_its_node_is_missing(instance: Any) -> None:
    instance.neuron(2, nodes=1)
    assert instance.start(TRAINING) == 1
    assert f"no node in {instance.root}/dev for the Neuron devices [1]" in instance.journal


def test_an_instance_without_a_driver_says_what_neuron_ls_says(instance: Any) -> None:
    instance.neuron(0)
    assert instance.start(TRAINING) == 1
    assert "failed to discover Neuron devices" in instance.journal


def test_a_model_that_does_not_fit_the_instance_is_told_of(instance: Any, bucket: Path, serving: Boot) -> None:
    assert serving.server
    big = replace(serving.server, cores_per_copy=24)
    instance.install(replace(serving, server=big))
    instance.systemctl("start", "neuron-server.service")
    assert instance.ended("neuron-server") == 1
    assert "a copy of the model takes 24 NeuronCores, the instance has 2" in instance.journal


# -- scratch ---------------------------------------------------------------------------------------------------------


def test_local_disks_become_one_file_system_and_ebs_is_left_alone(instance: Any) -> None:
    disks(instance, 4)
    assert instance.start(replace(TRAINING, scratch=True)) == 0
    four = " ".join(f"{instance.root}/dev/nvme{n}n1" for n in range(1, 5))
    volume = f"{instance.root}/dev/md/scratch"
    assert instance.calls("mdadm") == [
        f"--create {volume} --run --force --homehost=any --level=0 --raid-devices=4 {four}"
    ]
    assert instance.calls("mkfs.ext4") == [f"-q -F -E nodiscard,lazy_itable_init=1 -m 0 {volume}"]
    assert instance.calls("mount") == [f"-o noatime {volume} {instance.root}/mnt/scratch"]
    assert not any("nvme0n1" in call for tool in ("mdadm", "wipefs", "mkfs.ext4") for call in instance.calls(tool))
    assert (instance.root / "mnt/scratch").stat().st_mode & 0o7777 == 0o1777


def test_what_is_mounted_is_not_made_again(instance: Any) -> None:
    disks(instance, 2)
    boot = replace(TRAINING, scratch=True)
    assert instance.start(boot) == 0
    assert instance.boot_again() == 0
    assert len(instance.calls("mkfs.ext4")) == 1


def test_a_restart_gives_up_the_old_array_and_makes_a_new_one(instance: Any) -> None:
    disks(instance, 2)
    assert instance.start(replace(TRAINING, scratch=True)) == 0
    (instance.root / "mount.calls").unlink()
    for n in (1, 2):
        (instance.root / f"sys/block/nvme{n}n1/holders/md127").mkdir(parents=True)
    assert instance.reboot() == 0
    assert f"--stop {instance.root}/dev/md127" in instance.calls("mdadm")
    assert [call.split()[0] for call in instance.calls("mdadm")].count("--create") == 2


def test_one_disk_needs_no_array(instance: Any) -> None:
    disks(instance, 1)
    assert instance.start(replace(TRAINING, scratch=True)) == 0
    assert instance.calls("mdadm") == []
    assert instance.calls("mount") == [f"-o noatime {instance.root}/dev/nvme1n1 {instance.root}/mnt/scratch"]


def test_a_type_without_local_disks_has_the_folder(instance: Any) -> None:
    disks(instance, 0)
    assert instance.start(replace(TRAINING, scratch=True)) == 0
    assert (instance.root / "mnt/scratch").is_dir()
    assert instance.calls("mkfs.ext4") == []


def test_disks_that_the_image_has_put_together_itself_are_taken_as_they_are(instance: Any) -> None:
    disks(instance, 4)
    (instance.root / "mount.calls").write_text(f"{instance.root}/opt/dlami/nvme\n")
    assert instance.start(replace(TRAINING, scratch=True)) == 0
    assert instance.calls("mount")[-1] == f"--bind {instance.root}/opt/dlami/nvme {instance.root}/mnt/scratch"
    assert instance.calls("mdadm") + instance.calls("wipefs") + instance.calls("mkfs.ext4") == []


# -- driver ----------------------------------------------------------------------------------------------------------


def modinfo(instance: Any, before: str, after: str) -> None:
    loaded = instance.root / "loaded"
    instance.program("bin/modinfo", f"[[ -e {loaded} ]] && echo {after} || echo {before}", note=False)
    instance.program("bin/modprobe", f"touch {loaded}")


def test_inferentia1_gets_the_last_driver_that_knows_it_and_keeps_it(instance: Any) -> None:
    modinfo(instance, "2.31.7.0", "2.24.13.0")
    instance.program("bin/apt-get")
    instance.program("bin/apt-mark")
    boot = replace(TRAINING, driver="2.24")
    assert instance.start(boot) == 0
    assert instance.calls("apt-get")[-1].endswith("aws-neuronx-dkms=2.24.*")
    assert instance.calls("apt-mark") == ["hold aws-neuronx-dkms"]
    assert instance.calls("modprobe") == ["--remove neuron", "neuron"]
    assert instance.boot_again() == 0
    assert len(instance.calls("apt-mark")) == 1


def test_a_repository_without_the_driver_is_told_of(instance: Any) -> None:
    modinfo(instance, "2.31.7.0", "2.31.7.0")
    instance.program("bin/apt-get")
    instance.program("bin/apt-mark")
    assert instance.start(replace(TRAINING, driver="2.24")) == 1
    assert "driver: wanted 2.24.*: the Neuron repository of this AMI did not give it" in instance.journal
    assert instance.completed == ["launch ABANDON"]


# -- CloudWatch agent --------------------------------------------------------------------------------------------------


def test_the_agent_reports_memory_and_disk_once_it_has_its_configuration(instance: Any) -> None:
    (instance.root / "opt/aws/amazon-cloudwatch-agent/bin").mkdir(parents=True)
    instance.program("opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl")
    assert instance.start(TRAINING) == 0
    config = json.loads((instance.root / "opt/neuron-cdk/agent.json").read_text())
    assert config["metrics"]["namespace"] == "NeuronCdk/Fleet"
    assert config["metrics"]["metrics_collected"]["mem"]["append_dimensions"] == {"Fleet": TRAINING.fleet}
    assert instance.calls("amazon-cloudwatch-agent-ctl") == [
        f"-a fetch-config -m ec2 -s -c file:{instance.root}/opt/neuron-cdk/agent.json"
    ]


# -- the fleet's own commands ------------------------------------------------------------------------------------------


def test_the_fleets_commands_run_once_in_an_instances_life(instance: Any) -> None:
    boot = replace(TRAINING, commands=("echo one >> /run/../opt/neuron-cdk/said", 'test -n "$FLEET"'))
    assert instance.start(boot) == 0
    assert instance.reboot() == 0
    assert (instance.root / "opt/neuron-cdk/said").read_text() == "one\n"


def test_a_command_that_fails_keeps_the_instance_out(instance: Any) -> None:
    assert instance.start(replace(TRAINING, commands=("false", "true"))) == 1
    assert instance.completed == ["launch ABANDON"]
    assert "boot: commands failed" in instance.journal


# -- lifecycle ---------------------------------------------------------------------------------------------------------


def test_a_fleet_without_hooks_boots_without_its_group(instance: Any) -> None:
    assert instance.start(replace(TRAINING, launch_hook=None)) == 0
    assert instance.aws_calls("autoscaling") == []


def test_an_instance_outside_any_group_boots(instance: Any) -> None:
    instance.group = ""
    assert instance.start(TRAINING) == 0
    assert "the instance is in no group" in instance.journal


def test_a_training_instance_saves_its_work_before_it_goes(instance: Any) -> None:
    assert instance.start(replace(TRAINING, terminate_hook="terminate")) == 0
    (instance.root / "opt/neuron-cdk/drain.d").mkdir()
    instance.program("opt/neuron-cdk/drain.d/checkpoint")
    instance.group = "Terminating:Wait"
    instance.metadata.items["autoscaling/target-lifecycle-state"] = "Terminated"
    assert instance.ended("neuron-drain") == 0
    assert instance.calls("checkpoint") == [""]
    assert instance.completed == ["launch CONTINUE", "terminate CONTINUE"]
