from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading import procfs
from clusterwatch.reading.procfs import Mount


def test_disks_and_file_servers_are_watched_and_kernel_interfaces_are_not():
    text = (
        "proc /proc proc rw 0 0\n"
        "tmpfs /run tmpfs rw 0 0\n"
        "tmpfs /dev/shm tmpfs rw 0 0\n"
        "/dev/nvme0n1p1 / ext4 rw,relatime 0 0\n"
        "/dev/loop0 /snap/core squashfs ro 0 0\n"
        "overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\n"
        "files:/export /data nfs4 ro,hard 0 0\n"
    )

    assert procfs.mounts(text) == (
        Mount("/", "/dev/nvme0n1p1", "ext4", is_read_only=False, may_hang=False),
        Mount("/data", "files:/export", "nfs4", is_read_only=True, may_hang=True),
        Mount("/dev/shm", "tmpfs", "tmpfs", is_read_only=False, may_hang=False),
    )


def test_device_that_is_mounted_twice_is_watched_once():
    found = procfs.mounts("/dev/sda1 /var/lib/kubelet/pods/1/volume xfs rw 0 0\n/dev/sda1 /data xfs rw 0 0\n")

    assert [mount.path for mount in found] == ["/data"]


def test_of_two_mounts_on_a_path_the_last_is_seen():
    found = procfs.mounts("rootfs / rootfs rw 0 0\n/dev/sda1 / ext4 ro 0 0\n")

    assert [(mount.device, mount.is_read_only) for mount in found] == [("/dev/sda1", True)]


def test_blank_in_a_path_is_unescaped():
    assert [mount.path for mount in procfs.mounts(r"/dev/sda1 /my\040data ext4 rw 0 0")] == ["/my data"]


def test_file_system_in_user_space_may_hang():
    (found,) = procfs.mounts("bucket:/data /mnt/bucket fuse.s3fs rw 0 0\nlxcfs /var/lib/lxcfs fuse.lxcfs rw 0 0\n")

    assert (found.path, found.may_hang) == ("/mnt/bucket", True)


def test_pressure_is_that_of_full_stalls():
    text = "some avg10=9.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=3.25 avg60=0.00 avg300=0.00 total=1\n"

    assert procfs.full_avg10(text) == 3.25


def test_stat_tells_processors_and_boot():
    text = "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nbtime 1772366400\n"

    assert (procfs.cpu_count(text), procfs.booted_at_seconds(text)) == (2, 1772366400)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str):
    procfs.mounts(text)
    procfs.load1(text)
    procfs.cpu_count(text)
    procfs.booted_at_seconds(text)
    procfs.memory_bytes(text)
    procfs.full_avg10(text)
