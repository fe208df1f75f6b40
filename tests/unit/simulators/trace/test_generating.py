"""Schedules from specs: the counts of Table 5, seeds, places, repeat offenders, noise."""

import hashlib
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from clusterwatch.errors import ConfigError
from clusterwatch.model import TABLE5_ROW, Cause, ComponentKind
from simulators.fleet_wording import Harm
from simulators.trace.generating import assumed, generate
from simulators.trace.records import Follows, Schedule
from simulators.trace.schedule import lines, read
from simulators.trace.specs import Arrivals, Noising, Offending, TraceSpec, builtin_names, builtin_spec
from some_kinds import SOME_KINDS, kind

ROOT = Path(__file__).parents[4]
LLAMA3 = builtin_spec("llama3-54d")
QUIET = replace(LLAMA3, noise=Noising())
ROWS = {row.name: row.count for row in TABLE5_ROW.values() if row is not None}

# Lines of llama3-54d, seed 1, with the kinds of tests/support: the same on every machine and Python.
SHA256 = "12ed80cedaf319ac4d489510d6210b1e82607111d39389db7c59a2f3e8870ed5"


def made(spec: TraceSpec, seed: int = 1, **options: object) -> Schedule:
    return generate(spec, seed, kinds=SOME_KINDS, **options)


@cache
def llama3() -> Schedule:
    return made(LLAMA3)


def rows_of(schedule: Schedule) -> Counter:
    return Counter(TABLE5_ROW[fault.cause].name for fault in schedule.faults)


def digest(texts: list[str]) -> str:
    return hashlib.sha256("".join(f"{text}\n" for text in texts).encode()).hexdigest()


@pytest.mark.parametrize("seed", [1, 2, 3, 42, 1_000_003])
def test_llama3_has_exactly_the_counts_of_table_5(seed: int):
    schedule = made(QUIET, seed)

    assert rows_of(schedule) == ROWS
    assert (len(schedule.faults), len(schedule.planned)) == (419, 47)


def test_rows_of_several_causes_are_split_as_assumed():
    causes = Counter(fault.cause for fault in made(QUIET).faults)

    assert (causes[Cause.FAULTY_GPU], causes[Cause.GPU_NVLINK]) == (121, 27)
    assert (causes[Cause.SOFTWARE_BUG], causes[Cause.OOM_GPU], causes[Cause.OOM_HOST]) in {
        (43, 6, 5),
        (43, 5, 6),
        (44, 5, 5),
    }
    assert (causes[Cause.DEPENDENCY], causes[Cause.STORAGE]) == (1, 1)
    assert made(QUIET).assumptions["share_gpu_nvlink_of_faulty_gpu"].published is False


def test_every_trace_that_is_shipped_can_be_written_and_read():
    for name in builtin_names():
        schedule = made(builtin_spec(name), days=0.05)
        assert read(lines(schedule), name) == schedule


def test_records_are_within_the_trace_and_in_the_order_of_time():
    schedule = llama3()
    times = [record.at for record in schedule.records()]

    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= schedule.seconds
    assert all(at == round(at, 3) for at in times)


def test_faults_spread_over_all_days_and_nodes():
    schedule = made(QUIET)

    days = {int(fault.at // 86_400) for fault in schedule.faults}
    pods = {schedule.cluster.pod_of(fault.nodes[0]) for fault in schedule.faults}
    assert len(days) >= 52
    assert pods == {f"pod{number:02d}" for number in range(1, 7)}


def test_same_seed_gives_the_same_lines_and_another_seed_others():
    assert list(lines(made(QUIET, 5))) == list(lines(made(QUIET, 5)))
    assert list(lines(made(QUIET, 5)))[1:] != list(lines(made(QUIET, 6)))[1:]


def test_lines_of_llama3_are_what_they_were():
    assert digest(list(lines(llama3()))) == SHA256


def test_llama3_has_the_counts_of_table_5_with_the_kinds_that_are_shipped():
    assert rows_of(shipped_llama3()) == ROWS


@cache
def shipped_llama3() -> Schedule:
    return generate(LLAMA3)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_lines_are_the_same_on_every_python(version: str):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here; CI runs these tests on each")
    script = (
        "import hashlib; from simulators.trace.generating import generate;"
        "from simulators.trace.schedule import lines; from simulators.trace.specs import builtin_spec;"
        "made = generate(builtin_spec('llama3-54d'), 1);"
        "print(hashlib.sha256(''.join(f'{text}\\n' for text in lines(made)).encode()).hexdigest())"
    )
    path = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    found = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True, env=path)

    assert found.stdout.strip() == digest(list(lines(shipped_llama3())))


def interpreter(version: str) -> str | None:
    """Return a Python of *version*: our own, one on the path, or one of pyenv's. It needs no package."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(pyenv[0]) if pyenv else shutil.which(f"python{version}")


# 95 % Poisson bands of the counts of Table 5, of their sum and of the planned stops.
BANDS = {
    "Faulty GPU": (125, 172),
    "GPU HBM3 Memory": (56, 89),
    "Software Bug": (40, 69),
    "Network Switch/Cable": (24, 47),
    "Host Maintenance": (21, 44),
    "GPU SRAM Memory": (11, 28),
    "GPU System Processor": (9, 26),
    "NIC": (2, 13),
    "NCCL Watchdog Timeouts": (2, 13),
    "Silent Data Corruption": (2, 11),
    "GPU Thermal Interface + Sensor": (2, 11),
    "SSD": (0, 7),
    "Power Supply": (0, 7),
    "Server Chassis": (0, 5),
    "IO Expansion Board": (0, 5),
    "Dependency": (0, 5),
    "CPU": (0, 5),
    "System Memory": (0, 5),
}


def test_stochastic_counts_lie_within_their_bands():
    runs = [made(QUIET, seed, stochastic=True) for seed in range(1, 4)]
    outside = [
        (row, rows_of(run)[row])
        for run in runs
        for row, (least, most) in BANDS.items()
        if not least <= rows_of(run)[row] <= most
    ]

    # Of 54 counts 2 or 3 lie outside their 95 % bands by chance; more than 7 would be no chance.
    assert len(outside) <= 7
    assert all(360 <= len(run.faults) <= 480 for run in runs)
    assert all(28 <= len(run.planned) <= 68 for run in runs)


@pytest.mark.parametrize("arrivals", [Arrivals(), Arrivals(0.7, young_share=0.1), Arrivals(1.5)])
def test_stochastic_counts_have_the_published_means(arrivals: Arrivals):
    spec = replace(QUIET, arrivals=arrivals)

    totals = [len(made(spec, seed, stochastic=True).faults) for seed in range(1, 4)]

    # Three deviations of the mean of three Poisson counts.
    assert abs(sum(totals) / 3 - 419) <= 3 * (419 / 3) ** 0.5


def test_parts_that_were_just_replaced_break_early_where_the_shape_is_below_one():
    spec = replace(QUIET, arrivals=Arrivals(shape=0.5, oldest_days=0.0, young_share=0.0))

    hardware = [fault.at for fault in made(spec).faults if fault.component.kind is ComponentKind.GPU]

    first_week = sum(at < 7 * 86_400 for at in hardware)
    assert first_week > 1.8 * len(hardware) * 7 / 54


def test_counts_follow_the_days():
    schedule = made(QUIET, days=5.4)

    assert (len(schedule.faults), len(schedule.planned)) == (42, 5)


def test_few_nodes_have_many_faults():
    faults = made(QUIET).faults
    often = Counter(fault.nodes[0] for fault in faults).most_common(25)

    # 25 lemons of 2,048 nodes: 13 % of the faults where chance alone gives 1.2 %.
    assert sum(count for _, count in often) / len(faults) > 0.13


def test_fault_of_a_lemon_follows_its_node_where_the_spec_says_so():
    spec = replace(QUIET, offenders=Offending(0.01, 0.5, Follows.NODE))

    followed = {fault.nodes[0] for fault in made(spec).faults if fault.follows is Follows.NODE}

    assert 15 <= len(followed) <= 20


def test_only_what_is_mended_has_a_repair():
    faults = made(QUIET).faults

    assert all(fault.repair_seconds > 0 for fault in faults if SOME_KINDS[fault.kind].stays)
    hours = sorted(fault.repair_seconds / 3_600 for fault in faults)
    assert 10 < hours[len(hours) // 2] < 14


def test_node_that_only_reboots_is_back_soon():
    kinds = {"reboot": kind("reboot", Cause.HOST_MAINTENANCE, ComponentKind.NODE, harm=Harm.NODE_DOWN, stays=False)}
    spec = replace(QUIET, category=tuple(each for each in QUIET.category if Cause.HOST_MAINTENANCE in each.causes))

    minutes = sorted(fault.repair_seconds / 60 for fault in generate(spec, kinds=kinds).faults)

    assert 10 < minutes[len(minutes) // 2] < 20


def test_planned_stops_are_announced_as_often_as_assumed():
    planned = made(QUIET).planned

    assert sum(stop.announced for stop in planned) == 33
    assert {len(stop.nodes) for stop in planned} == {0, 16}
    assert {stop.duration_seconds for stop in planned} == {300.0}


def test_noise_is_so_much_that_few_events_need_anybody():
    schedule = llama3()
    others = len(schedule.faults) + len(schedule.planned)

    assert others / (others + len(schedule.noise)) == pytest.approx(0.009, rel=0.01)


def test_what_would_end_a_process_is_seen_on_no_training_node():
    schedule = llama3()
    training = set(schedule.cluster.training_nodes)
    inside = {noise.kind for noise in schedule.noise if set(noise.nodes) & training}
    outside = {noise.kind for noise in schedule.noise if not set(noise.nodes) & training}

    assert inside == {"corrected_memory_errors", "library_chatter"}
    assert outside == {"corrected_memory_errors", "foreign_xid", "reboot_that_looks_like_a_fault"}


def test_whole_racks_of_others_reboot():
    racks = [noise for noise in llama3().noise if len(noise.nodes) == 18]

    assert len(racks) == 12
    assert all(set(noise.nodes) <= set(LLAMA3.cluster.others) for noise in racks)


def test_switches_of_neighbouring_racks_fail_in_a_storm():
    schedule = made(builtin_spec("switch-storm"))
    storm = [fault for fault in schedule.faults if fault.kind == "tor_down"]
    racks = [int(fault.component.id.removeprefix("tor")) for fault in storm]

    assert racks == list(range(racks[0], racks[0] + 12))
    assert all(len(fault.nodes) == 2 for fault in storm)
    assert storm[-1].at - storm[0].at == 6_600.0


def test_crash_loop_says_the_same_words_again_and_again():
    faults = made(builtin_spec("crash-loop")).faults

    assert len(faults) == 40
    assert len({(fault.seed, fault.kind, fault.component) for fault in faults}) == 1


def test_event_storm_is_two_records_for_more_than_a_million_lines():
    storm = made(builtin_spec("event-storm"))

    assert sorted(noise.count for noise in storm.noise)[-2:] == [600_000, 800_000]
    assert max(noise.count / noise.over_seconds for noise in storm.noise if noise.over_seconds) == 2_000


def test_tiny_trace_has_one_of_each_of_four_faults():
    tiny = made(builtin_spec("tiny"))

    assert [fault.cause for fault in tiny.faults] == [
        Cause.FAULTY_GPU,
        Cause.SOFTWARE_BUG,
        Cause.GPU_HBM,
        Cause.NETWORK_SWITCH_CABLE,
    ]
    assert tiny.cluster.nodes_total <= 16


def test_cause_without_a_kind_is_an_error_that_names_it():
    with pytest.raises(ConfigError, match="software_bug: no kind of fault has this cause"):
        generate(builtin_spec("crash-loop"), kinds={"gpu": kind("gpu", Cause.FAULTY_GPU)})


def test_every_number_that_is_not_published_is_named_with_its_reason():
    assumptions = assumed(LLAMA3)

    assert {name for name, each in assumptions.items() if not each.source} == set()
    assert assumptions["count_faulty_gpu"].published
    assert assumptions["count_faulty_gpu"].value == 148
    assert not assumptions["blocking_save_seconds"].published
    assert {
        "blocking_save_seconds",
        "standby_node_seconds",
        "cold_node_seconds",
        "process_start_seconds",
        "load_seconds",
        "planned_stop_seconds",
        "nccl_timeout_seconds",
        "struck_after_restart_seconds",
        "signal_loss",
        "duplicate_share",
        "late_share",
        "late_seconds",
        "clock_skew_seconds",
        "spares",
    } <= assumptions.keys()


def test_figures_from_memory_are_not_called_published():
    assumption = assumed(builtin_spec("acme"))["count_nvlink_error"]

    assert not assumption.published
    assert "from memory" in assumption.source
