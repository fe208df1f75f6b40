"""Other people's records to traces."""

import csv
from pathlib import Path

import pytest

from clusterwatch.errors import ConfigError, SourceError
from clusterwatch.model import Cause
from simulators.trace.acme import from_acme
from simulators.trace.converting import Into, time_in
from simulators.trace.incidents import Columns, from_incidents
from simulators.trace.schedule import lines, read
from some_kinds import SOME_KINDS

DATA = Path(__file__).parents[3] / "data" / "traces"
OURS = """\
When,Reason,Host,Hours
2026-03-04T12:00:00Z,GPU dead,gpu-17,30
2026-03-04 13:30:00,faulty_gpu,gpu-17,
1772632800,Stopped by hand,,
2026-03-06T00:00:00+01:00,software_bug,,
"""
COLUMNS = Columns("When", "Reason", "Host", "Hours", {"gpu dead": Cause.GPU_HBM, "stopped by hand": None})


def written(folder: Path, text: str) -> Path:
    path = folder / "records.csv"
    path.write_text(text)
    return path


def test_failed_jobs_of_acme_are_faults_at_their_times():
    trace = from_acme(DATA / "kalos.csv", Into("kalos", 0), SOME_KINDS)

    assert [fault.at for fault in trace.faults] == [60.0, 60.0 + 89_924.0]
    assert trace.start.isoformat() == "2023-05-17T11:00:16+00:00"
    assert (trace.cluster.training_nodes_total, trace.jobs[0].pp, trace.jobs[0].dp) == (16, 16, 1)
    assert trace.days == 2.0
    assert not trace.assumptions["causes_drawn"].published


def test_cause_of_a_node_that_failed_is_one_of_the_node():
    trace = from_acme(DATA / "kalos.csv", Into("kalos", 0), SOME_KINDS, job_type="Pretrain")

    (fault,) = trace.faults
    assert fault.cause in {
        Cause.HOST_MAINTENANCE,
        Cause.SERVER_CHASSIS,
        Cause.POWER_SUPPLY,
        Cause.CPU,
        Cause.SYSTEM_MEMORY,
    }


def test_other_cluster_of_acme_has_fewer_columns():
    trace = from_acme(DATA / "seren.csv", Into("seren", 4), SOME_KINDS)

    assert [fault.cause for fault in trace.faults][1] is Cause.NCCL_TIMEOUT_UNKNOWN
    assert trace.faults[1].at - trace.faults[0].at == 48 * 60 + 13


def test_own_incidents_keep_their_times_nodes_and_repairs(tmp_path: Path):
    trace = from_incidents(written(tmp_path, OURS), COLUMNS, Into("ours", 4), SOME_KINDS)

    assert [(fault.at, fault.cause) for fault in trace.faults] == [
        (60.0, Cause.GPU_HBM),
        (5_460.0, Cause.FAULTY_GPU),
        (126_060.0, Cause.SOFTWARE_BUG),
    ]
    assert [fault.nodes for fault in trace.faults[:2]] == [("node0001",), ("node0001",)]
    assert trace.faults[0].repair_seconds == 108_000.0
    assert trace.faults[1].repair_seconds > 0


def test_converted_trace_is_a_trace(tmp_path: Path):
    trace = from_incidents(written(tmp_path, OURS), COLUMNS, Into("ours", 4), SOME_KINDS)

    assert read(lines(trace)) == trace


def test_all_mistakes_of_a_table_are_told_with_their_lines(tmp_path: Path):
    text = "at,cause\nyesterday,faulty_gpu\n2026-03-04,gremlins\n2026-03-04,benign\n,nic\nnan,nic\n"

    with pytest.raises(ConfigError) as caught:
        from_incidents(written(tmp_path, text), Columns("at", "cause"), Into("ours", 4), SOME_KINDS)

    assert [(mistake.key, mistake.problem.split(":")[0]) for mistake in caught.value.mistakes] == [
        ("line 2", "'yesterday' is no time"),
        ("line 3", "no cause is 'gremlins'"),
        ("line 4", "benign is no fault"),
        ("line 5", "'' is no time"),
        ("line 6", "'nan' is no time"),
    ]


def test_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path):
    with pytest.raises(ConfigError, match="why: no such column: there are at, cause"):
        from_incidents(written(tmp_path, "at,cause\n"), Columns("at", "why"), Into("ours", 4), SOME_KINDS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("at,cause\n", "none of them is a failure"),
        ("at,cause,node\n1,nic,a\n2,nic,b\n3,nic,c\n", "3 of them fail, and the job has 2"),
        ("at,cause,node\n1970-01-01,nic,a\n2026-01-01,nic,a\n", "span 20,[0-9]+ days, at most 3,660 are read"),
        ("at,cause\n0001-01-01,nic\n", "line 2: '0001-01-01' is no time between 1970 and 9000"),
        ("", "at: no such column: the file is empty"),
        ("at,cause,at\n1,nic,2\n", "at: two columns have this name"),
        ("at,cause\n1,nic,pulled, twice\n", "line 2: has more cells than columns, the first of them 'pulled'"),
        ('at,cause,node\n1,nic,"' + "x" * 200_000 + '"\n', "is no CSV in UTF-8"),
    ],
)
def test_table_that_gives_no_trace_is_refused(tmp_path: Path, text: str, words: str):
    node = "node" if "node" in text else ""

    with pytest.raises(ConfigError, match=words):
        from_incidents(written(tmp_path, text), Columns("at", "cause", node), Into("ours", 2), SOME_KINDS)


def test_state_that_acme_does_not_have_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"line 2: no state of a job is 'EXPLODED'"):
        from_acme(
            written(tmp_path, (DATA / "seren.csv").read_text().replace("FAILED", "EXPLODED")),
            Into("seren", 4),
            SOME_KINDS,
        )


def test_table_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(SourceError, match=r"nosuch\.csv cannot be read"):
        from_acme(tmp_path / "nosuch.csv", Into("seren", 4), SOME_KINDS)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("0", "1970-01-01T00:00:00+00:00"),
        ("1772625600.5", "2026-03-04T12:00:00.500000+00:00"),
        ("2026-03-04 12:00:00", "2026-03-04T12:00:00+00:00"),
        (" 2026-03-04T12:00:00+08:00 ", "2026-03-04T12:00:00+08:00"),
    ],
)
def test_time_is_read_as_people_write_it(text: str, time: str):
    assert time_in(text).isoformat() == time


@pytest.mark.parametrize("text", ["", "inf", "1e300", "noon"])
def test_time_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match="is no time"):
        time_in(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20260304", "2026-03-04T00:00:00+00:00"),
        ("202603041200", "2026-03-04T12:00:00+00:00"),
        ("20260304120030", "2026-03-04T12:00:30+00:00"),
        ("2026-03-04 12:00:00 UTC", "2026-03-04T12:00:00+00:00"),
        ("2026-03-04T12:00:00+0100", "2026-03-04T12:00:00+01:00"),
        (" 1772625600.5 ", "2026-03-04T12:00:00.500000+00:00"),
    ],
)
def test_times_are_read_as_tables_write_them(text: str, said: str):
    assert time_in(text).isoformat() == said


def test_times_of_another_form_are_read_where_it_is_named(tmp_path: Path):
    table = written(tmp_path, "at,cause\n04/03/2026 12:00,nic\n05/03/2026 00:00,nic\n")
    columns = Columns("at", "cause", time_form="%d/%m/%Y %H:%M")

    assert [fault.at for fault in from_incidents(table, columns, Into("x", 2), SOME_KINDS).faults] == [60.0, 43_260.0]


def test_time_that_is_not_of_the_form_is_told_with_it():
    with pytest.raises(ValueError, match="'2026-03-04' is no time: write %d/%m/%Y"):
        time_in("2026-03-04", "%d/%m/%Y")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_table_may_have_other_separators_and_spaces_around_its_names(tmp_path: Path, separator: str):
    rows = (" at ", "cause", "node"), ("2026-03-04", "nic", "a,b")
    table = written(tmp_path, "\n".join(separator.join(row) for row in rows))

    assert len(from_incidents(table, Columns("at", "cause", "node"), Into("x", 2), SOME_KINDS).faults) == 1


@pytest.mark.parametrize(
    ("column", "text"), [("gpu_num", "inf"), ("gpu_num", "many"), ("node_num", "-5"), ("node_num", "1e9")]
)
def test_size_of_a_job_of_acme_that_cannot_be_is_told_with_its_line(tmp_path: Path, column: str, text: str):
    rows = list(csv.DictReader((DATA / "kalos.csv").open(newline="")))[:1]
    rows[0][column] = text
    with (tmp_path / "records.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    with pytest.raises(ConfigError, match=f"line 2: '{text}' is no number of 0 to 1,000,000"):
        from_acme(tmp_path / "records.csv", Into("x", 0), SOME_KINDS)
