"""The loop on a node, with a real SQLite and collectors that misbehave."""

import sqlite3
import threading
from dataclasses import replace

import pytest

from clusterwatch import resources
from clusterwatch.agent import Agent
from clusterwatch.detect import compile_catalog
from clusterwatch.metrics import Metrics
from clusterwatch.model import Collected, Reading, kinds
from clusterwatch.seams import Site
from clusterwatch.store import Store
from clusterwatch.testing import NOON, ManualClock

CATALOG = compile_catalog(resources.catalog_texts())


class Lines:
    """A source of kernel lines that goes on where it was left."""

    name = "kernel_log"
    every_seconds = 1.0
    deadline_seconds = 5.0

    def __init__(self, *lines):
        self.lines = list(lines)

    def collect(self, site, position, now):
        begin = position.get("line", 0)
        readings = [
            Reading(source=self.name, node=site.node, position=str(number), observed_at=now, text=text)
            for number, text in enumerate(self.lines[begin:], start=begin)
        ]
        return Collected(tuple(readings), {"line": len(self.lines)})

    def close(self):
        pass


class Broken(Lines):
    """A plugin that raises until it is mended."""

    name = "broken"
    is_mended = False

    def collect(self, site, position, now):
        if not self.is_mended:
            raise RuntimeError("the probe came loose")
        return Collected()


class Hanging(Lines):
    """A plugin that does not answer until it is let go."""

    name = "hanging"
    deadline_seconds = 0.05

    def __init__(self):
        self.let_go = threading.Event()

    def collect(self, site, position, now):
        self.let_go.wait()
        return Collected()


XID = "NVRM: Xid (PCI:0000:{:02x}:00): 79, pid=1, name=python3, GPU has fallen off the bus."


@pytest.fixture
def store(tmp_path):
    opened = Store.open(f"sqlite:///{tmp_path / 'test.db'}", create=True)
    yield opened
    opened.close()


def agent_of(store, *collectors):
    return Agent(collectors, lambda name: Site("node001"), store, CATALOG, ManualClock(NOON), Metrics())


def texts(store, kind="gpu"):
    return [event.text for _, event in store.read.events(kind=kind)]


def test_what_a_collector_read_is_recorded_with_its_position(store):
    agent_of(store, Lines(XID.format(1), "nothing of interest")).run("kernel_log")

    assert texts(store) == [XID.format(1)]
    assert store.position("node001", "kernel_log")["source"] == {"line": 2}


def test_agent_that_starts_again_goes_on_where_the_last_one_stopped(store):
    agent_of(store, Lines(XID.format(1))).run("kernel_log")

    agent_of(store, Lines(XID.format(1), XID.format(2))).run("kernel_log")

    assert texts(store) == [XID.format(1), XID.format(2)]


def test_plugin_that_raises_is_told_once_and_stops_no_other(store):
    broken = Broken()
    agent = agent_of(store, broken, Lines(XID.format(1)))

    for _ in range(3):
        agent.run("broken")
        agent.run("kernel_log")

    assert len(texts(store)) == 1
    (failed,) = store.read.events(kind=kinds.COLLECTOR_FAILED)
    assert "the probe came loose" in failed[1].text
    assert failed[1].kind == kinds.COLLECTOR_FAILED
    (status,) = [each for each in store.collector_statuses() if each.name == "broken"]
    assert status.error == "the probe came loose"


def test_plugin_that_works_again_says_so(store):
    broken = Broken()
    agent = agent_of(store, broken)
    agent.run("broken")
    broken.is_mended = True

    agent.run("broken")

    assert store.read.events(kind=kinds.COLLECTOR_RECOVERED)
    assert store.collector_statuses()[0].error == ""


def test_plugin_that_hangs_is_given_up_at_its_deadline_and_not_started_twice(store):
    hanging = Hanging()
    agent = agent_of(store, hanging, Lines(XID.format(1)))

    agent.run("hanging")
    agent.run("hanging")
    agent.run("kernel_log")
    errors = [each.error for each in store.collector_statuses() if each.name == "hanging"]
    hanging.let_go.set()

    assert "still hangs" in errors[0]
    assert texts(store)
    told = {each.kind for _, each in store.read.events(kind=kinds.COLLECTOR_FAILED)}
    assert told == {"collector.failed.silent.hanging"}


def test_what_could_not_be_recorded_is_read_again(store, tmp_path):
    agent = agent_of(store, Lines(XID.format(1)))
    database = sqlite3.connect(tmp_path / "test.db")
    database.execute("ALTER TABLE events RENAME TO elsewhere")
    database.commit()
    agent.run("kernel_log")
    database.execute("ALTER TABLE elsewhere RENAME TO events")
    database.commit()
    database.close()

    agent.run("kernel_log")

    assert texts(store) == [XID.format(1)]


def test_observer_state_of_another_version_starts_empty(store):
    written = {"source": {"line": 1}, "observer": {"repeats": {"gpu": {"seen": "many"}}}}
    store.record("node001", "kernel_log", [], written, None, NOON)

    agent_of(store, Lines(XID.format(1), XID.format(2))).run("kernel_log")

    assert texts(store) == [XID.format(2)]


@pytest.fixture
def mistaken(store):
    """An agent whose rules look into a table that has no such entry, as a mistake of ours would."""

    class NoHits:
        def located(self, lines):
            raise KeyError("xid")

    return Agent(
        [Lines(XID.format(1))],
        lambda name: Site("node001"),
        store,
        replace(CATALOG, matcher=NoHits()),
        ManualClock(NOON),
        Metrics(),
    )


def test_mistake_of_ours_in_observing_is_the_failure_of_that_collector(store, mistaken):
    mistaken.run("kernel_log")
    mistaken.drain("kernel_log")

    (status,) = store.collector_statuses()
    assert "KeyError: 'xid'" in status.error
    assert store.position("node001", "kernel_log").get("source") in (None, {})


def test_last_steps_of_a_job_are_told_when_its_log_is_read_to_the_end(store):
    class Steps(Lines):
        name = "job_log"

        def collect(self, site, position, now):
            lines = super().collect(site, position, now)
            stamped = [
                Reading(
                    source="job_log",
                    node="node001",
                    position=each.position,
                    observed_at=now,
                    text=each.text,
                    job="j",
                    attempt=1,
                )
                for each in lines.readings
            ]
            return Collected(tuple(stamped), lines.position)

    agent = agent_of(store, Steps("step: 1 loss: 2.0", "step: 2 loss: 1.9", "step: 3 loss: 1.8"))

    agent.drain("job_log")

    assert max(event.fields["step"] for _, event in store.read.events(kind=kinds.PROGRESS)) == 3


def test_two_agents_with_scopes_of_their_own_keep_their_positions_apart(store):
    clock = ManualClock(NOON)
    for scope, lines in (("", Lines("a")), ("job-1", Lines("a", "b"))):
        Agent([lines], lambda name: Site("node001"), store, CATALOG, clock, Metrics(), scope).run("kernel_log")

    assert store.position("node001", "kernel_log")["source"] == {"line": 1}
    assert store.position("node001", "kernel_log@job-1")["source"] == {"line": 2}


def test_who_responds_hears_of_events_once_they_are_recorded_and_of_nothing_else(store):
    lines, heard = Lines(XID.format(1)), []
    agent = agent_of(store, lines)
    agent.on_recorded = lambda: heard.append(texts(store))

    agent.run("kernel_log")
    lines.lines.append("nothing of interest")
    agent.run("kernel_log")

    assert heard == [[XID.format(1)]]
