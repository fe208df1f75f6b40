"""The collector over a stand-in for ipmitool that prints what ipmitool 1.8.19 printed; see tests/integration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.errors import SourceError
from clusterwatch.model import LINE, Collected, Trust
from clusterwatch.seams import Site
from collectors.bmc import NO_BMC, SENSOR, BmcCollector

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SDR = """\
PS1 Status       | C8h | ok  | 10.1 | Presence detected, Failure detected
Fan 1            | 30h | cr  | 29.1 | 300 RPM
Inlet Temp       | 04h | ok  | 55.1 | 24 degrees C
DIMM A1          | 60h | ns  | 32.1 | No Reading
"""


class Bmc:
    """A BMC whose answers a test writes; `sel` holds the lines of its log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ipmitool = folder / "ipmitool"
        self.ipmitool.write_text(
            "#!/bin/sh\n"
            f"cd {folder}\n"
            'case "$*" in\n'
            '"sel info") cat info;;\n'
            '"sel elist") cat sel;;\n'
            '"sel elist last"*) tail -n "$4" sel;;\n'
            '"sel time get") cat clock;;\n'
            '"sdr elist") cat sdr;;\n'
            "esac\n"
        )
        self.ipmitool.chmod(0o755)
        self.collector = BmcCollector()
        self.position: dict[str, object] = {}
        self.now = NOON
        self.shows(sdr="", clock="03/01/26 12:00:00 UTC")
        self.logs()

    def shows(self, **files: str) -> None:
        for name, text in files.items():
            (self._folder / name).write_text(text)

    def logs(self, *lines: str, last_add: str = "03/01/26 12:00:00 UTC") -> None:
        self.shows(sel="".join(f"{line}\n" for line in lines))
        self.shows(info=f"SEL Information\nEntries          : {len(lines)}\nLast Add Time    : {last_add}\n")

    def look(self, seconds: float = 60, **settings: object) -> Collected:
        self.now += timedelta(seconds=seconds)
        site = Site("node001", "boot-1", {"ipmitool": str(self.ipmitool), **settings})
        collected = self.collector.collect(site, self.position, self.now)
        self.position = dict(collected.position)
        return collected

    def lines(self, **settings: object) -> list[str]:
        return [reading.text for reading in self.look(**settings).readings if reading.subject == LINE]


def record(number: int, at: str, said: str) -> str:
    return f"{number:4x} | 03/01/26 | {at} UTC | {said}"


FAILED = "Power Supply PS1 Status | Failure detected | Asserted"
BACK = "Power Supply PS1 Status | Failure detected | Deasserted"


@pytest.fixture
def bmc(tmp_path: Path) -> Bmc:
    return Bmc(tmp_path)


def test_new_record_is_a_line_as_ipmitool_prints_it_with_the_trust_of_the_node(bmc: Bmc):
    bmc.look()

    bmc.logs(record(1, "11:59:30", FAILED))
    (reading,) = bmc.look().readings

    assert reading.text == "1 | 03/01/26 | 11:59:30 UTC | Power Supply PS1 Status | Failure detected | Asserted"
    assert (reading.source, reading.subject, reading.trust) == ("bmc", LINE, Trust.NODE)
    assert (reading.fields["origin"], reading.boot_id) == ("sel:1", "")


def test_time_of_a_record_is_told_by_the_distance_to_the_clock_of_the_bmc(bmc: Bmc):
    bmc.look()
    bmc.shows(clock="02/28/26 09:00:00 UTC\n")

    bmc.logs("   1 | 02/28/26 | 08:59:15 UTC | " + FAILED)
    (reading,) = bmc.look().readings

    assert reading.happened_at == bmc.now - timedelta(seconds=45)


def test_bmc_that_never_got_the_time_still_tells_how_long_ago(bmc: Bmc):
    bmc.look()
    bmc.shows(clock="S+ 03:40:54\n")

    bmc.logs("   1 |  Pre-Init  |0000013252| " + FAILED)
    (reading,) = bmc.look().readings

    assert reading.happened_at == bmc.now - timedelta(seconds=2)


def test_record_without_a_time_is_new_where_somebody_looked_shortly_before(bmc: Bmc):
    bmc.look()
    bmc.logs("   1 |  Pre-Init  |0000013252| " + FAILED)
    (reading,) = bmc.look().readings

    assert reading.happened_at is None


def test_record_without_a_time_is_no_evidence_after_a_long_pause(bmc: Bmc):
    bmc.look()
    bmc.logs("   1 |  Pre-Init  |0000013252| " + FAILED)

    assert bmc.lines(seconds=3600) == []


def test_first_look_tells_only_what_just_happened(bmc: Bmc):
    bmc.logs(record(1, "03:00:00", FAILED), record(2, "11:58:00", BACK))

    assert [line.partition(" ")[0] for line in bmc.lines()] == ["2"]


def test_record_is_told_once(bmc: Bmc):
    bmc.look()
    bmc.logs(record(1, "11:59:30", FAILED), last_add="03/01/26 11:59:30 UTC")
    bmc.look()

    bmc.logs(record(1, "11:59:30", FAILED), record(2, "11:59:40", BACK), last_add="03/01/26 11:59:40 UTC")

    assert [line.partition(" ")[0] for line in bmc.lines()] == ["2"]
    assert bmc.lines() == []


def test_log_that_was_cleared_starts_anew_and_its_numbers_repeat(bmc: Bmc):
    bmc.logs(record(1, "11:58:00", FAILED))
    bmc.look()

    bmc.logs(record(1, "11:59:50", BACK), last_add="03/01/26 11:59:50 UTC")

    assert bmc.lines() == [record(1, "11:59:50", BACK).strip()]


def test_full_log_that_overwrites_its_oldest_record_shows_the_new_one(bmc: Bmc):
    first = [record(n, "11:00:00", BACK) for n in range(1, 61)]
    bmc.logs(*first)
    bmc.look()

    bmc.logs(*first[1:], record(61, "11:59:59", FAILED), last_add="03/01/26 11:59:59 UTC")

    assert bmc.lines() == [record(61, "11:59:59", FAILED).strip()]


def test_more_records_than_are_read_at_once_are_all_told(bmc: Bmc):
    bmc.logs(record(1, "11:59:00", FAILED), last_add="x")
    bmc.look()

    bmc.logs(*(record(n, "11:59:00", FAILED) for n in range(1, 202)), last_add="y")

    assert len(bmc.lines()) == 200


def test_sensors_are_samples(bmc: Bmc):
    bmc.shows(sdr=SDR)

    samples = [reading.fields for reading in bmc.look().readings if reading.subject == SENSOR]

    supply, fan, inlet, dimm = samples
    assert (supply["sensor"], supply["number"], supply["entity_id"]) == ("PS1 Status", 0xC8, 10)
    assert (supply["states"], supply["value"]) == ("Presence detected, Failure detected", None)
    assert (fan["status"], fan["value"], fan["unit"]) == ("cr", 300.0, "RPM")
    assert (inlet["status"], inlet["value"], inlet["unit"]) == ("ok", 24.0, "degrees C")
    assert (dimm["status"], dimm["value"], dimm["states"]) == (None, None, None)


def test_sensors_can_be_left_out(bmc: Bmc):
    bmc.shows(sdr=SDR)

    assert bmc.look(sensors=False).readings == ()


def test_machine_without_a_bmc_states_it(bmc: Bmc):
    complaint = "Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: No such file or directory"
    bmc.ipmitool.write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 1\n")

    assert bmc.look(devfs="/no/such/folder") == Collected(condition=NO_BMC)


def test_bmc_that_this_user_may_not_ask_is_not_said_to_be_missing(bmc: Bmc, tmp_path: Path):
    (tmp_path / "ipmi0").touch()
    complaint = "Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: No such file or directory"
    bmc.ipmitool.write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 1\n")

    assert bmc.look(devfs=str(tmp_path)).condition == "ipmi0 is here and cannot be opened: ipmitool has to run as root"


def test_missing_ipmitool_is_stated(bmc: Bmc):
    assert bmc.look(ipmitool="/no/such/ipmitool").condition.startswith("no /no/such/ipmitool here: install ipmitool")


def test_bmc_that_refuses_is_an_error_with_its_words(bmc: Bmc):
    bmc.ipmitool.write_text("#!/bin/sh\necho 'Get SEL Info command failed' >&2\nexit 1\n")

    with pytest.raises(SourceError, match="Get SEL Info command failed"):
        bmc.look()


def test_bmc_that_does_not_answer_is_an_error_in_time(bmc: Bmc):
    bmc.ipmitool.write_text("#!/bin/sh\nexec sleep 600\n")

    with pytest.raises(SourceError, match=r"did not answer in 0\.2 s"):
        bmc.look(answer_within_seconds=0.2)


def test_sensors_that_take_too_long_do_not_hide_the_log(bmc: Bmc):
    bmc.look()
    bmc.ipmitool.write_text(bmc.ipmitool.read_text().replace("cat sdr", "exec sleep 600"))

    bmc.logs(record(1, "12:01:30", FAILED))
    bmc.shows(clock="03/01/26 12:02:00 UTC")
    collected = bmc.look(answer_within_seconds=1)

    assert [reading.subject for reading in collected.readings] == [LINE]
    assert collected.condition.startswith("sensors are not read: ")
    assert bmc.look(sensors=False).readings == ()
