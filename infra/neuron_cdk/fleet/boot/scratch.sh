#!/bin/bash
# The instance store as one file system on /mnt/scratch, RAID 0 when there are several disks. What was there before a
# restart is given up. Only disks with the name that udev gives to instance store are looked at: never EBS.
set -euo pipefail
shopt -s nullglob

if mountpoint --quiet /mnt/scratch; then
  echo "scratch: mounted already"
  exit 0
fi
mkdir -p /mnt/scratch

# Some Deep Learning AMIs have a service of their own that stripes the disks with LVM before we come.
if mountpoint --quiet /opt/dlami/nvme; then
  mount --bind /opt/dlami/nvme /mnt/scratch
  chmod 1777 /mnt/scratch
  echo "scratch: the image's own volume of the instance store"
  exit 0
fi

# A disk has several such links (with and without its namespace), and so may its partitions.
mapfile -t disks < <(
  for link in /dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_*; do
    [[ $link == *-part* ]] || readlink -f "$link"
  done | sort -u
)
if ((${#disks[@]} == 0)); then
  echo "scratch: this instance type has no instance store; /mnt/scratch is on the root volume"
  exit 0
fi

# After a reboot the kernel has put the old array together again.
for disk in "${disks[@]}"; do
  for holder in "/sys/block/${disk##*/}/holders"/md*; do
    mdadm --stop "/dev/${holder##*/}"
  done
done
wipefs --all --quiet "${disks[@]}"
volume=${disks[0]}
if ((${#disks[@]} > 1)); then
  volume=/dev/md/scratch
  mdadm --create "$volume" --run --force --homehost=any --level=0 --raid-devices="${#disks[@]}" "${disks[@]}"
fi
mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=1 -m 0 "$volume"
mount -o noatime "$volume" /mnt/scratch
chmod 1777 /mnt/scratch
echo "scratch: ${#disks[@]} disk(s) as $volume"
