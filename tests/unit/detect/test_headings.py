"""Lines that only say what the next ones are about."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import clusterwatch.detect
from clusterwatch.detect import Catalog, ObserverState, compile_catalog, notice
from clusterwatch.detect.assembling import MOST_UNDER_HEADING
from clusterwatch.errors import CatalogError
from clusterwatch.model import Component, ComponentKind, Reading

CATALOG_FOLDER = Path(clusterwatch.detect.__file__).parent / "catalog"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

RULES = """
[[rule]]
name = "card"
kind = "card"
literal = "CARD "
pattern = 'CARD (?P<pci>[0-9a-f:.]+)'
component = { kind = "gpu", id = "{pci}" }
heading = true
sources = ["https://example.org"]
match = ["CARD 0000:3b:00.0"]

[[rule]]
name = "worn"
kind = "worn"
literal = "spares:"
pattern = 'spares: none(?: on (?P<pci>[0-9a-f:.]+))?'
component = { kind = "gpu", id = "{pci}" }
sources = ["https://example.org"]
match = ["spares: none"]

[[rule]]
name = "alarm"
kind = "alarm"
literal = "alarm"
pattern = 'alarm'
sources = ["https://example.org"]
match = ["alarm"]

[[signal]]
kind = "card"
meaning = "the card that the next lines are about"
severity = "info"
role = "context"
sources = ["https://example.org"]

[[signal]]
kind = "worn"
meaning = "no spares are left"
severity = "error"
role = "fault"
sources = ["https://example.org"]

[[signal]]
kind = "alarm"
meaning = "something is wrong with the node"
severity = "error"
role = "fault"
sources = ["https://example.org"]
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return compile_catalog({"rules.toml": RULES})


def line(text: str, number: int, path: str = "smi.log") -> Reading:
    position = f"{path}:{number}"
    return Reading(
        source="job_log",
        node="node001",
        position=position,
        observed_at=NOON,
        text=text,
        job="1",
        fields={"origin": position},
    )


def components(catalog: Catalog, *texts: str) -> list[str]:
    readings = [line(text, number) for number, text in enumerate(texts)]
    _, events, _ = notice(ObserverState(), readings, catalog, NOON)
    return [str(event.component) for event in events]


def test_line_is_about_what_the_heading_above_it_names(catalog: Catalog) -> None:
    assert components(catalog, "CARD 0000:3b:00.0", "  model: X", "  spares: none") == ["gpu 0000:3b:00 on node001"]


def test_next_heading_takes_the_place_of_the_one_before(catalog: Catalog) -> None:
    assert components(catalog, "CARD 0000:3b:00.0", "CARD 0000:86:00.0", "spares: none") == [
        "gpu 0000:86:00 on node001"
    ]


def test_what_a_line_names_itself_counts_more_than_its_heading(catalog: Catalog) -> None:
    assert components(catalog, "CARD 0000:3b:00.0", "spares: none on 0000:af:00.0") == ["gpu 0000:af:00 on node001"]


def test_line_that_is_about_something_else_takes_nothing_from_a_heading(catalog: Catalog) -> None:
    assert components(catalog, "CARD 0000:3b:00.0", "alarm") == ["job 1"]


def test_line_without_a_heading_is_about_its_job(catalog: Catalog) -> None:
    assert components(catalog, "spares: none") == ["job 1"]


def test_heading_holds_for_a_few_hundred_lines(catalog: Catalog) -> None:
    far = ["other"] * MOST_UNDER_HEADING

    assert components(catalog, "CARD 0000:3b:00.0", *far, "spares: none") == ["job 1"]


def test_heading_of_one_file_says_nothing_about_another(catalog: Catalog) -> None:
    readings = [line("CARD 0000:3b:00.0", 1), line("spares: none", 1, path="other.log")]

    _, events, _ = notice(ObserverState(), readings, catalog, NOON)

    assert [event.component for event in events] == [Component(ComponentKind.JOB, "1")]


def test_heading_holds_across_two_calls_and_through_json(catalog: Catalog) -> None:
    state, _, _ = notice(ObserverState(), [line("CARD 0000:3b:00.0", 1)], catalog, NOON)

    _, events, _ = notice(ObserverState.from_json(state.to_json()), [line("spares: none", 2)], catalog, NOON)

    assert [event.component.id for event in events] == ["0000:3b:00"]


def test_traceback_under_a_heading_is_assembled(catalog: Catalog) -> None:
    texts = ["CARD 0000:3b:00.0", "Traceback (most recent call last):", '  File "a.py", line 1', "ValueError: no"]
    readings = [line(text, number) for number, text in enumerate(texts)]

    _, events, _ = notice(ObserverState(), readings, catalog, NOON)

    assert [event.fields["exception"] for event in events] == ["ValueError"]


def test_heading_that_names_nothing_is_a_mistake() -> None:
    with pytest.raises(CatalogError, match="a heading must name a component"):
        compile_catalog({"rules.toml": RULES.replace('component = { kind = "gpu", id = "{pci}" }\nheading', "heading")})


def test_heading_is_true_or_false() -> None:
    with pytest.raises(CatalogError, match="heading must be true or false"):
        compile_catalog({"rules.toml": RULES.replace("heading = true", 'heading = "yes"')})


def test_node_that_a_scheduler_describes_is_blamed_for_the_reason_below_its_name() -> None:
    texts = {path.name: path.read_text() for path in CATALOG_FOLDER.glob("*.toml")}
    readings = [line("NodeName=cn07 Arch=x86_64", 1), line("   Reason=Not responding [slurm@2024-06-01T10:22:31]", 2)]

    _, events, _ = notice(ObserverState(), readings, compile_catalog(texts), NOON)

    assert Component(ComponentKind.NODE, "cn07", "cn07") in [event.component for event in events]
