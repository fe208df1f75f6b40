import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import clusterwatch
from clusterwatch.errors import ConfigError
from clusterwatch.model import Cause
from simulators.fleet_wording import (
    DERIVED,
    EXAMPLE_VALUES,
    Blast,
    FaultKind,
    FleetLine,
    FleetVariant,
    Harm,
    LineWho,
    SampleWho,
    families,
    fault_kinds,
    read_tables,
)

# "unknown" is what a diagnosis says, not what happens.
CAUSES = sorted(set(Cause) - {Cause.UNKNOWN})
FRAMEWORKS = ("megatron", "torchtitan", "nemo", "nanotron")
WHATEVER_BROKE = {
    *("collective_timeout", "peer_closed", "peer_stalled", "launcher_report", "terminated", "starting", "loading"),
    *(f"{what}_{framework}" for what in ("step_lines", "loading", "saving") for framework in FRAMEWORKS),
    "flight_recorder_dump",
}
CATALOG = Path(clusterwatch.__file__).parent / "detect" / "catalog"
EVERY_KIND = list(fault_kinds().values())
EVERY_VARIANT = [
    *((f"{kind.name}[{number}]", variant) for kind in EVERY_KIND for number, variant in enumerate(kind.variants)),
    *((f"{name}[{number}]", variant) for name, group in families().items() for number, variant in enumerate(group)),
]

each_kind = pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.name)
each_variant = pytest.mark.parametrize(
    "variant", [variant for _, variant in EVERY_VARIANT], ids=[name for name, _ in EVERY_VARIANT]
)
each_cause = pytest.mark.parametrize("cause", CAUSES)


@each_cause
def test_every_cause_has_kinds_whose_shares_add_up(cause: Cause):
    shares = [kind.share for kind in EVERY_KIND if kind.cause is cause]

    assert sum(shares) == pytest.approx(1.0)


@each_cause
def test_at_least_a_third_of_the_wordings_come_from_where_the_catalogue_has_not_looked(cause: Cause):
    variants = [variant for kind in EVERY_KIND if kind.cause is cause for variant in kind.variants]

    assert sum(variant.unseen for variant in variants) * 3 >= len(variants)


def test_unseen_wordings_have_no_source_that_the_catalogue_cites():
    cited = {_page(source) for source in _strings_of_catalogue() if source.startswith("https://")}
    used = {source for _, variant in EVERY_VARIANT if variant.unseen for source in variant.sources}

    assert {source for source in used if _is_among(source, cited)} == set()


@each_kind
def test_every_kind_is_worded_in_at_least_three_ways(kind: FaultKind):
    assert len(kind.variants) >= 3


@each_kind
def test_what_is_harmless_stops_nobody(kind: FaultKind):
    if kind.cause is Cause.BENIGN:
        assert (kind.harm, kind.stays, kind.peers) == (Harm.NONE, False, ())


def test_what_all_ranks_print_is_worded_for_every_framework():
    assert set(families()) >= WHATEVER_BROKE


@each_kind
def test_a_switch_that_fails_shows_on_several_ports_of_each_node(kind: FaultKind):
    if kind.blast is Blast.TOR:
        ports = [Counter(sample.subject for sample in variant.samples)["fabric.port"] for variant in kind.variants]
        assert min(ports) >= 2


@each_variant
def test_no_simulated_line_is_an_example_of_the_catalogue_that_must_recognise_it(variant: FleetVariant):
    lines = {text for line in variant.lines for text in (*line.text.splitlines(), *line.printed(EXAMPLE_VALUES))}

    assert lines & _strings_of_catalogue() == set()


@each_variant
def test_every_wording_names_where_such_lines_are_public(variant: FleetVariant):
    assert variant.sources
    assert all(source.startswith("https://") for source in variant.sources)


@each_variant
def test_every_template_can_be_printed(variant: FleetVariant):
    lines = [text for line in variant.lines for text in line.printed(EXAMPLE_VALUES)]
    values = [value for sample in variant.samples for value in sample.read(EXAMPLE_VALUES).values()]

    assert all(text.strip() for text in lines)
    assert not any("{" in str(value) for value in values)


@each_kind
def test_only_a_crash_has_an_exit_code(kind: FaultKind):
    assert (kind.exit_code != 0) == (kind.harm is Harm.CRASH)


def test_wordings_differ_from_one_another():
    printed = Counter(tuple(line.text for line in variant.lines) for _, variant in EVERY_VARIANT if variant.lines)

    assert [lines for lines, times in printed.items() if times > 1] == []


ROW = {
    "cause": "gpu_hbm",
    "share": 0.5,
    "component": "gpu",
    "harm": "crash",
    "exit_code": 1,
    "stays": True,
    "peers": ["peer_closed"],
    "variant": [{"sources": ["https://example.org/1"], "unseen": True, "lines": [["kernel", 0.0, "row {word:08x}"]]}],
}
FAMILY = [{"sources": ["https://example.org/2"], "lines": [["rank", 1.5, "closed by {peer_ip}", 0.43]]}]


def test_a_kind_is_read_with_its_variants():
    kinds, groups = read_tables({"a.toml": {"row_failed": ROW}, "job_wide.toml": {"peer_closed": FAMILY}})

    kind = kinds["row_failed"]
    assert (kind.cause, kind.harm, kind.blast, kind.share) == (Cause.GPU_HBM, Harm.CRASH, Blast.NODE, 0.5)
    assert kind.variants[0].lines[0].printed({"word": 0x1F}) == ["row 0000001f"]
    assert groups["peer_closed"][0].lines[0].who is LineWho.RANK
    assert groups["peer_closed"][0].lines[0].seen == 0.43


def test_a_sample_stands_on_the_regular_one():
    regular = {"gpu.sample": {"names": {"index": "{gpu}"}, "values": {"remap_pending": False, "power_watts": 650.0}}}
    sample = {"who": "nvml", "after": 5, "subject": "gpu.sample", "fields": {"remap_pending": True}}
    row = {**ROW, "variant": [{"sources": ["https://example.org/1"], "lines": [], "samples": [sample]}]}

    kinds, _ = read_tables({"regular.toml": regular, "a.toml": {"row_failed": row}})

    read = kinds["row_failed"].variants[0].samples[0]
    assert read.who is SampleWho.NVML
    assert read.read_before({"gpu": 3}) == {"index": 3, "remap_pending": False, "power_watts": 650.0}
    assert read.read({"gpu": 3}) == {"index": 3, "remap_pending": True, "power_watts": 650.0}


def test_a_part_that_answers_no_more_keeps_only_its_names():
    regular = {"gpu.sample": {"names": {"index": "{gpu}"}, "values": {"power_watts": 650.0}}}
    sample = {"who": "nvml", "after": 5, "subject": "gpu.sample", "alone": True, "fields": {"lost": True}}
    row = {**ROW, "variant": [{"sources": ["https://example.org/1"], "lines": [], "samples": [sample]}]}

    kinds, _ = read_tables({"regular.toml": regular, "a.toml": {"row_failed": row}})

    assert kinds["row_failed"].variants[0].samples[0].read({"gpu": 3}) == {"index": 3, "lost": True}


def test_an_event_has_no_sample_before_it():
    regular = {"gpu.xid": {"names": {"index": "{gpu}"}}}
    sample = {"who": "nvml", "after": 1, "subject": "gpu.xid", "fields": {"xid": 79}}
    row = {**ROW, "variant": [{"sources": ["https://example.org/1"], "lines": [], "samples": [sample]}]}

    kinds, _ = read_tables({"regular.toml": regular, "a.toml": {"row_failed": row}})

    read = kinds["row_failed"].variants[0].samples[0]
    assert read.before == {}
    assert read.read({"gpu": 3}) == {"index": 3, "xid": 79}


def test_times_are_printed_as_each_program_prints_them():
    line = FleetLine(LineWho.RANK, 0.0, "E{glog}, {sel_time}, {sel_time_long}, {iso}, {report_time}")

    (printed,) = line.printed({"clock": "2026-04-10 01:50:33", "milli": 7})

    assert printed.split(", ") == [
        "E410 01:50:33.007055433",
        "04/10/26 | 01:50:33 UTC",
        "04/10/2026 | 01:50:33",
        "2026-04-10T01:50:33",
        "2026-04-10_01:50:33",
    ]


def test_every_mistake_is_told_at_once():
    line = ["kernel", 0.0, "Xid of {nobody}"]
    wrong = {**ROW, "cause": "ghost", "share": 2, "colour": 1, "variant": [{"sources": ["page"], "lines": [line]}]}

    with pytest.raises(ConfigError) as told:
        read_tables({"a.toml": {"row_failed": wrong}, "job_wide.toml": {"terminated": FAMILY}})

    assert [mistake.key for mistake in told.value.mistakes] == [
        "row_failed",
        "row_failed.cause",
        "row_failed.share",
        "row_failed[0].sources",
        "row_failed[0].lines[0]",
        "row_failed.peers",
    ]


@cache
def _strings_of_catalogue() -> frozenset[str]:
    return frozenset().union(*(_strings(tomllib.loads(file.read_text())) for file in CATALOG.rglob("*.toml")))


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(_strings, parts))


def _page(source: str) -> str:
    """Return the page itself: of a thread its number, without anchors and query."""
    return (
        source.partition("#")[0].partition("?")[0].removesuffix("/index.html").rstrip("/").replace("/pull/", "/issues/")
    )


def _is_among(source: str, cited: set[str]) -> bool:
    """Return whether a cited page, or a cited tree or manual that holds it, is the source; threads stand alone."""
    page = _page(source)
    folders = () if "/issues/" in page else (page.rsplit("/", n)[0] for n in range(1, page.count("/") - 2))
    trees = {one.replace("/tree/", "/blob/") for one in cited}
    return page in cited or any(folder in trees for folder in folders)


def test_line_that_what_all_share_was_put_in_prints_the_same_with_what_is_its_own():
    own, moment = ("rank", "local_rank", "pid", "thread", "host", "host_ip"), ("clock", "milli")
    shared = {name: value for name, value in EXAMPLE_VALUES.items() if name not in DERIVED}
    values = {name: shared[name] for name in (*own, *moment)}
    lines = [line for variants in families().values() for variant in variants for line in variant.lines]

    printed = [line.shared(shared, own).printed(values) for line in lines]

    assert printed == [line.printed(shared) for line in lines]


def test_brackets_of_a_shared_value_are_printed_as_they_are():
    line = FleetLine(LineWho.RANK, 0.0, "{{rank {rank:03d}}} in {path!r}").shared({"path": "{x}"}, {"rank"})

    assert line.printed({"rank": 7}) == ["{rank 007} in '{x}'"]
