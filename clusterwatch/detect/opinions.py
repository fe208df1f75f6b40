"""What published projects say of each Xid, who says it where, and what the catalogue means under one of them.

1. A profile is a project whose verdicts replace severity, role and action of the catalogue's Xid signals.
   "clusterwatch", the default, replaces nothing.
2. What a project does not list stays as the catalogue has it: an unknown code is unknown, not fatal.
3. Weights are no opinion: what an Xid says about the cause is the same under every profile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from clusterwatch.detect.entries import Entry
from clusterwatch.model import UNLISTED, Knowledge, Role, Severity, Signal

DEFAULT_PROFILE = "clusterwatch"

_XID = re.compile(r"gpu\.xid\.(\d+)(?:\.|$)")
_PROJECT_KEYS = frozenset({"name", "title", "source"})
_XID_KEYS = frozenset({"number", "mnemonic", "why", "says"})


class Verdict(StrEnum):
    """How grave a project calls an Xid.

    FATAL: the GPU or its node is taken out. WARNING: it is told. IGNORE: nothing is done.
    DECODE: the rest of the line decides. UNLISTED: the project lists the number without a verdict.
    """

    FATAL = "fatal"
    WARNING = "warning"
    IGNORE = "ignore"
    DECODE = "decode"
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class Project:
    """A project that publishes what it thinks of Xids, and where."""

    name: str
    title: str
    source: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one project says of one Xid.

    Attributes:
        project: Name of the project, as a profile is selected by; "clusterwatch" for ours.
        title: Its name for people.
        verdict: How grave it calls it.
        action: What it does or advises, in its own terms; "" when nothing.
        source: URL where it says so.
        why: Why ClusterWatch chose what it chose; "" for others.
    """

    xid: int
    project: str
    title: str
    verdict: Verdict
    action: str
    source: str
    why: str = ""


@dataclass(slots=True)
class Opinions:
    """Everything that projects say of Xids, and why ClusterWatch chose what it chose."""

    projects: dict[str, Project] = field(default_factory=dict)
    says: dict[int, dict[str, tuple[Verdict, str]]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    mnemonics: dict[int, str] = field(default_factory=dict)

    def of(self, xid: int) -> Iterator[Opinion]:
        """Yield what each project that lists *xid* says of it, in the order of the projects."""
        said = self.says.get(xid, {})
        for project in self.projects.values():
            if project.name in said:
                verdict, action = said[project.name]
                yield Opinion(xid, project.name, project.title, verdict, action, project.source)


def provenance(xid: int, opinions: Opinions, knowledge: Knowledge) -> tuple[Opinion, ...]:
    """Return who says what of *xid*: what this cluster's catalogue means by it first, then what each project says.

    *knowledge* is the catalogue's, so that the first row shows what its profile chose. For a number that nobody
    lists only that row comes: unlisted, which is unknown and not fatal.
    """
    signal = knowledge[f"gpu.xid.{xid}"]
    is_known = signal.kind == f"gpu.xid.{xid}"
    ours = Opinion(
        xid,
        DEFAULT_PROFILE,
        "this cluster",
        _verdict_of(signal) if is_known else Verdict.UNLISTED,
        signal.action if signal is not UNLISTED else "",
        next(iter(signal.sources), ""),
        opinions.reasons.get(xid, ""),
    )
    return (ours, *opinions.of(xid))


def under_profile(signals: Iterable[Signal], opinions: Opinions, profile: str) -> Iterator[Signal]:
    """Yield *signals* as *profile* sees them; only those of Xids that it lists change."""
    for signal in signals:
        found = _XID.match(signal.kind)
        said = opinions.says.get(int(found[1]), {}).get(profile) if found else None
        yield _as_said(signal, *said, opinions.projects[profile]) if said else signal


def add_project(opinions: Opinions, entry: Entry) -> None:
    """Add a [[project]] of a file."""
    entry.only(_PROJECT_KEYS)
    project = Project(entry.text("name"), entry.text("title"), entry.text("source"))
    if project.name in opinions.projects or project.name == DEFAULT_PROFILE:
        entry.wrong("stands twice in the catalogue")
    opinions.projects[project.name] = project


def add_xid(opinions: Opinions, entry: Entry) -> None:
    """Add an [[xid]] of a file: what projects say of one number. Several files may speak of the same number."""
    entry.only(_XID_KEYS)
    number = entry.values.get("number")
    if type(number) is not int:
        entry.wrong("number must be a whole number")
        return
    opinions.reasons.setdefault(number, entry.text("why", required=False))
    opinions.mnemonics.setdefault(number, entry.text("mnemonic", required=False))
    for project, said in entry.table_at("says").items():
        verdict = _said(said)
        if verdict is None:
            entry.wrong(f"says.{project} must be [verdict, action]; verdicts are {', '.join(Verdict)}")
            continue
        opinions.says.setdefault(number, {})[project] = verdict


def loose_ends(opinions: Opinions, profile: str) -> Iterator[str]:
    """Yield what does not fit together: verdicts of projects that nobody introduced, an unknown *profile*."""
    known = (DEFAULT_PROFILE, *opinions.projects)
    if profile not in known:
        yield f"no profile {profile!r}; known are {', '.join(known)}"
    named = {project: xid for xid, said in sorted(opinions.says.items(), reverse=True) for project in said}
    for project, xid in sorted(named.items()):
        if project not in opinions.projects:
            yield f"xid {xid}: says.{project}: no [[project]] has that name"


def _said(said: object) -> tuple[Verdict, str] | None:
    match said:
        case [str(verdict), str(action)] if verdict in frozenset(Verdict):
            return Verdict(verdict), action
    return None


def _verdict_of(signal: Signal) -> Verdict:
    if signal.role is Role.CONTEXT:
        return Verdict.IGNORE
    return Verdict.FATAL if signal.role is Role.FAULT else Verdict.WARNING


def _as_said(signal: Signal, verdict: Verdict, action: str, project: Project) -> Signal:
    if verdict in (Verdict.DECODE, Verdict.UNLISTED):
        return signal
    severity, role_of = _MEANS[verdict]
    return replace(
        signal,
        severity=severity,
        role=role_of.get(signal.role, signal.role),
        action=_words(action, project),
        sources=(*signal.sources, project.source),
    )


# A warning leaves a symptom a symptom: no project means that an echo may be a cause.
_MEANS: Mapping[Verdict, tuple[Severity, Mapping[Role, Role]]] = {
    Verdict.FATAL: (Severity.FATAL, dict.fromkeys(Role, Role.FAULT)),
    Verdict.WARNING: (Severity.WARNING, {Role.FAULT: Role.SUSPECT}),
    Verdict.IGNORE: (Severity.INFO, dict.fromkeys(Role, Role.CONTEXT)),
}

_ACTIONS = {
    "": "",
    "IGNORE": "",
    "RESET_GPU": "Drain the node and reset the GPU.",
    "COMPONENT_RESET": "Drain the node and reset the GPU.",
    "RESTART_BM": "Drain the node and reboot it.",
    "RESTART_VM": "Restart the virtual machine.",
    "RESTART_APP": "Restart the job.",
    "CONTACT_SUPPORT": "Take the node out of service and contact support.",
    "reboot": "Drain the node and reboot it.",
    "inspect": "Have the hardware inspected.",
    "reboot+inspect": "Drain the node and reboot it; have the hardware inspected when it happens again.",
}


def _words(action: str, project: Project) -> str:
    return _ACTIONS.get(action, f"{project.title}: {action}.")
