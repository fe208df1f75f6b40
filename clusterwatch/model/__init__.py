"""The words: frozen values that every part of ClusterWatch shares, and nothing else does."""

from clusterwatch.model import kinds
from clusterwatch.model.causes import HARDWARE_CAUSES, PLANNED_CAUSES, TABLE5_ROW, UNDETERMINED_CAUSES, Cause, Table5Row
from clusterwatch.model.component import Component, ComponentKind
from clusterwatch.model.component import node as node_component
from clusterwatch.model.decision import (
    ENDED_STEP_STATES,
    NEXT_STEP_STATES,
    NODE_STEP_KINDS,
    Decision,
    Mode,
    Outcome,
    Step,
    StepKind,
    StepState,
    WorldState,
)
from clusterwatch.model.diagnosis import Alternative, Diagnosis, Suspect, WeighedLine
from clusterwatch.model.event import BY_ACTOR, OF_INCIDENT, Event, Severity, event_id, kind_and_parents
from clusterwatch.model.finding import Finding, findings_printed, findings_told, in_words
from clusterwatch.model.fleet import CLUSTER, CollectorStatus, Hold, MaintenanceWindow, Node, NodeState, Topology
from clusterwatch.model.history import History
from clusterwatch.model.incident import ENDED_STATES, NEXT_STATES, Evidence, Incident, IncidentState, Sample
from clusterwatch.model.job import (
    ENDED_JOB_STATES,
    Attempt,
    Checkpoint,
    Edge,
    Interruption,
    Job,
    JobState,
    LeftOut,
    Placement,
    Progress,
)
from clusterwatch.model.reading import LINE, Collected, Reading, Scalar, Trust
from clusterwatch.model.signal import UNLISTED, Expectation, Knowledge, Role, Signal
from clusterwatch.model.world import Changes, World

__all__ = [
    "BY_ACTOR",
    "CLUSTER",
    "ENDED_JOB_STATES",
    "ENDED_STATES",
    "ENDED_STEP_STATES",
    "HARDWARE_CAUSES",
    "LINE",
    "NEXT_STATES",
    "NEXT_STEP_STATES",
    "NODE_STEP_KINDS",
    "OF_INCIDENT",
    "PLANNED_CAUSES",
    "TABLE5_ROW",
    "UNDETERMINED_CAUSES",
    "UNLISTED",
    "Alternative",
    "Attempt",
    "Cause",
    "Changes",
    "Checkpoint",
    "Collected",
    "CollectorStatus",
    "Component",
    "ComponentKind",
    "Decision",
    "Diagnosis",
    "Edge",
    "Event",
    "Evidence",
    "Expectation",
    "Finding",
    "History",
    "Hold",
    "Incident",
    "IncidentState",
    "Interruption",
    "Job",
    "JobState",
    "Knowledge",
    "LeftOut",
    "MaintenanceWindow",
    "Mode",
    "Node",
    "NodeState",
    "Outcome",
    "Placement",
    "Progress",
    "Reading",
    "Role",
    "Sample",
    "Scalar",
    "Severity",
    "Signal",
    "Step",
    "StepKind",
    "StepState",
    "Suspect",
    "Table5Row",
    "Topology",
    "Trust",
    "WeighedLine",
    "World",
    "WorldState",
    "event_id",
    "findings_printed",
    "findings_told",
    "in_words",
    "kind_and_parents",
    "kinds",
    "node_component",
]
