"""The daemon on this machine: real kernel messages, SIGTERM, and SIGKILL at a bad moment."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

from mortal import mortal

pytestmark = pytest.mark.integration

KMSG = Path("/dev/kmsg")
PATIENCE_SECONDS = 120


class Daemon:
    """`clusterwatch daemon` with its own state, database and port; the kernel log may carry users' records."""

    def __init__(self, folder, config=""):
        self.folder = folder
        self.port = free_port()
        self.config = folder / "clusterwatch.toml"
        self.config.write_text(
            f'node = "node001"\nstate_dir = "{folder}"\n[server]\nport = {self.port}\n[logs]\nformat = "json"\n'
            "[collectors.kernel_log]\nuser_records = true\nlookback_seconds = 1\n" + config
        )
        self.errors = folder / "errors.txt"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            mortal(sys.executable, "-m", "clusterwatch", "daemon", "--config", str(self.config)),
            stderr=self.errors.open("ab"),
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: self.get("/readyz")[0] == 200, self)
        except BaseException:
            self.kill(signal.SIGKILL)
            raise

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def json(self, *arguments):
        command = [sys.executable, "-m", "clusterwatch", *arguments, "-o", "json", "--config", str(self.config)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    def events(self, marker, kind="gpu"):
        return [
            each for each in self.json("events", "list", "--kind", kind, "--limit", "5000") if marker in each["text"]
        ]

    def kill(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_SECONDS)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(is_so, daemon):
    nothing = threading.Event()
    for _ in range(PATIENCE_SECONDS * 5):
        if is_so():
            return
        assert daemon.process.poll() is None, daemon.errors.read_text()
        nothing.wait(0.2)
    raise AssertionError(daemon.errors.read_text()[-3000:])


def say_to_the_kernel(*lines):
    """Write to the kernel's log; it is opened anew for each line because it limits the rate per open file."""
    for line in lines:
        with KMSG.open("w") as log:
            log.write(f"{line}\n")


def fell_off_the_bus(number, marker):
    return f"NVRM: Xid (PCI:0000:{number:02x}:00): 79, pid={marker}, name=python3, GPU has fallen off the bus."


@pytest.fixture
def daemon(tmp_path):
    if not os.access(KMSG, os.W_OK):
        pytest.skip("/dev/kmsg cannot be written here: run the tests as root on a machine of your own")
    started = Daemon(tmp_path)
    yield started
    if started.process.poll() is None:
        started.kill(signal.SIGKILL)


@pytest.fixture
def marker():
    """A process id that no other line in the shared kernel log has."""
    return str(uuid.uuid4().int % 10**9)


def test_kernel_messages_are_seen_classified_and_kept_with_their_sequence_numbers(daemon, marker):
    say_to_the_kernel(
        fell_off_the_bus(0x3B, marker),
        f"NVRM: Xid (PCI:0000:86:00): 94, pid={marker}, name=python3, Contained: DRAM (0x9). RST: No",
        f"Out of memory: Killed process {marker} (python3) total-vm:913000kB, anon-rss:900000kB, file-rss:0kB",
        f"python3[{marker}]: segfault at 10 ip 00007f31c2 sp 00007ffd91 error 4 in libtorch_cpu.so[7f31c0000000+1000]",
        f"NVRM: Xid (PCI:0000:5e:00): 43, pid={marker}, name=python3, Ch 00000010",
    )

    wait_until(lambda: len(daemon.events(marker)) == 3 and len(daemon.events(marker, "kernel")) == 2, daemon)

    kinds = {each["kind"]: each for each in daemon.events(marker) + daemon.events(marker, "kernel")}
    assert set(kinds) == {"gpu.xid.79", "gpu.xid.94.dram", "kernel.oom_kill", "kernel.segfault", "gpu.xid.43"}
    assert all(each["origin"] == f"/dev/kmsg:{each['fields']['seq']}" for each in kinds.values())
    assert kinds["gpu.xid.43"]["severity"] == "warning"
    # What strikes one node within a minute is one incident.
    wait_until(lambda: daemon.json("incidents", "list", "--all"), daemon)
    (incident,) = daemon.json("incidents", "list", "--all")
    told = {alternative["cause"] for alternative in incident["alternatives"]} | {incident["cause"]}
    assert {"faulty_gpu", "gpu_hbm"} <= told


def test_kill_and_restart_neither_lose_nor_repeat_a_message(daemon, marker):
    said = 0
    for _ in range(3):
        for _ in range(8):
            said += 1
            say_to_the_kernel(
                f"NVRM: Xid (PCI:0000:{said:02x}:00): 79, pid={marker}, name=python3, GPU has fallen off the bus."
            )
        wait_until(lambda: daemon.events(marker), daemon)
        daemon.kill(signal.SIGKILL)
        said += 1
        say_to_the_kernel(fell_off_the_bus(said, marker))
        daemon.start()

    wait_until(lambda: len(daemon.events(marker)) >= said, daemon)

    events = daemon.events(marker)
    assert len(events) == said
    assert len({each["fields"]["seq"] for each in events}) == said
    incidents = daemon.json("incidents", "list", "--all")
    decisions = [
        each for incident in incidents for each in daemon.json("incidents", "show", incident["id"])["decisions"]
    ]
    assert len({each["id"] for each in decisions}) == len(decisions)


def test_sigterm_ends_it_clean_and_gives_the_lease_back(daemon):
    assert daemon.kill(signal.SIGTERM) == 0

    assert "Traceback" not in daemon.errors.read_text()
    daemon.start()
    assert daemon.json("status")["responder"]["holder"].startswith(f"node001/{daemon.process.pid}/")


def test_health_metrics_and_page_answer_on_loopback(daemon):
    assert daemon.get("/healthz")[0] == 200
    assert "clusterwatch_collector_last_success_timestamp_seconds" in daemon.get("/metrics")[1]
    assert "ClusterWatch" in daemon.get("/")[1]
    assert daemon.get("/nothing-here")[0] == 404


def test_absent_device_is_a_condition_and_no_error(daemon):
    wait_until(lambda: any(each["name"] == "nvml" for each in daemon.json("status")["collectors"]), daemon)

    (nvml,) = [each for each in daemon.json("status")["collectors"] if each["name"] == "nvml"]
    assert nvml["error"] == ""
    assert nvml["condition"] == "no NVIDIA driver here"


def test_port_that_is_taken_is_said_so(daemon, tmp_path):
    command = [sys.executable, "-m", "clusterwatch", "daemon", "--port", str(daemon.port)]
    second = subprocess.run(
        [*command, "--state-dir", str(tmp_path / "second")], capture_output=True, text=True, timeout=60
    )

    assert second.returncode == 1
    assert f"port {daemon.port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_job_logs_named_in_the_configuration_are_followed(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("step: 1 loss: 4.0\nstep: 2 loss: 3.5\n")
    started = Daemon(tmp_path, f'[[jobs]]\nid = "llama"\nlog_paths = ["{log}"]\n')
    try:
        wait_until(lambda: (started.json("jobs", "list") or [{}])[0].get("last_step") == 2, started)
        with log.open("a") as growing:
            growing.write("Traceback (most recent call last):\n  File \"a.py\", line 3, in f\nKeyError: 'x'\n")
        wait_until(lambda: started.json("incidents", "list"), started)
        assert started.json("incidents", "list")[0]["cause"] == "software_bug"
    finally:
        started.kill(signal.SIGTERM)


def test_policy_with_mistakes_keeps_the_daemon_from_starting_and_all_of_them_are_said(tmp_path):
    (tmp_path / "site.toml").write_text(
        'name = "site"\ndescription = "ours"\n[[rule]]\nname = "x"\nwhy = "because"\n'
        'do = ["explode"]\nwhen = { no_such = 1 }\n'
    )
    config = tmp_path / "clusterwatch.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n[policy]\nuse = "{tmp_path}/site.toml"\n')

    command = [sys.executable, "-m", "clusterwatch", "daemon", "--config", str(config)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert refused.returncode == 2
    assert "explode" in refused.stderr
    assert "no_such" in refused.stderr
    assert "Traceback" not in refused.stderr
