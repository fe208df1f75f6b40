"""Readings to events: rules as data, changes over time, and absences."""

from clusterwatch.detect.assembling import assemble
from clusterwatch.detect.compiling import Catalog, compile_catalog
from clusterwatch.detect.hangs import STARTUP_HANG, HangLimits, hangs
from clusterwatch.detect.lines import body, cut_off
from clusterwatch.detect.matcher import Hit, Matcher, compile_rules, unbeaten
from clusterwatch.detect.noticing import notice
from clusterwatch.detect.opinions import DEFAULT_PROFILE, Opinion, Opinions, Verdict, provenance
from clusterwatch.detect.overdue import OverdueLimits, overdue
from clusterwatch.detect.rules import Rule
from clusterwatch.detect.selecting import Selected, Selector
from clusterwatch.detect.sightings import event_of
from clusterwatch.detect.state import Assembly, ObserverState

__all__ = [
    "DEFAULT_PROFILE",
    "STARTUP_HANG",
    "Assembly",
    "Catalog",
    "HangLimits",
    "Hit",
    "Matcher",
    "ObserverState",
    "Opinion",
    "Opinions",
    "OverdueLimits",
    "Rule",
    "Selected",
    "Selector",
    "Verdict",
    "assemble",
    "body",
    "compile_catalog",
    "compile_rules",
    "cut_off",
    "event_of",
    "hangs",
    "notice",
    "overdue",
    "provenance",
    "unbeaten",
]
