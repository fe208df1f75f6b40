"""The tables: one per word of the model, the same on SQLite and PostgreSQL.

1. Columns are named like the fields of the model, except where SQL reserves the word or a time has a common name:
   `happened_at` (opened, made, started, saved), `observed_at` (when ClusterWatch noticed), `received_at` (when the
   store wrote it first). All times are UTC.
2. Nested values are JSON. What people filter or draw by is a column of its own.
3. The events are partitioned by day of `observed_at` on PostgreSQL, so that time is part of their key. On SQLite the
   number is their key, in the order of which rows lie, and the id is unique beside it.
4. A child refers to its incident or decision by foreign key. Rows about a job do not: its evidence may arrive first.
"""

from __future__ import annotations

import sqlalchemy as sa

from clusterwatch.store.columns import (
    CURRENT_TRANSACTION,
    JSON,
    NEXT_EVENT,
    RowNumber,
    Text,
    TransactionId,
    UTCDateTime,
)

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# An identity column is not allowed on a partitioned table before PostgreSQL 17, hence a sequence of our own.
events_seq = sa.Sequence("events_seq", metadata=metadata)


def _key(name: str, type_: sa.types.TypeEngine[int] | type[Text] | type[sa.Integer] = Text) -> sa.Column[object]:
    return sa.Column(name, type_, primary_key=True, autoincrement=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, Text, nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, JSON, nullable=False)


def _whole(name: str, *, optional: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=optional)


def _real(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=True)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _time(name: str, *, optional: bool = True) -> sa.Column[object]:
    return sa.Column(name, UTCDateTime, nullable=optional)


def _part_of(name: str, parent: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, Text, sa.ForeignKey(parent), primary_key=key, nullable=False)


def _record(name: str, *columns: sa.Column[object] | sa.schema.SchemaItem) -> sa.Table:
    times = [_time(time, optional=False) for time in ("happened_at", "observed_at", "received_at")]
    return sa.Table(name, metadata, *columns, *times)


events = sa.Table(
    "events",
    metadata,
    _key("id"),
    sa.Column("observed_at", UTCDateTime, primary_key=True),
    sa.Column("seq", RowNumber, nullable=False, server_default=NEXT_EVENT),
    sa.Column("xact", TransactionId, nullable=False, server_default=CURRENT_TRANSACTION),
    _time("happened_at", optional=False),
    _time("received_at", optional=False),
    _text("node"),
    _text("kind"),
    _text("component_kind"),
    _text("component_id"),
    _text("source"),
    _text("origin"),
    _text("trust"),
    sa.Column("severity", sa.Integer, nullable=False),
    sa.Column("job", Text),
    _whole("attempt", optional=True),
    _whole("rank", optional=True),
    _text("text"),
    _json("fields"),
    _whole("count"),
    _time("until"),
    _text("rule"),
    _text("boot_id"),
    _flag("simulated"),
    sa.Index(None, "job", "observed_at"),
    sa.Index(None, "node", "observed_at"),
    postgresql_partition_by="RANGE (observed_at)",
)

incidents = _record(
    "incidents",
    _key("id"),
    _text("state"),
    sa.Column("severity", sa.Integer, nullable=False),
    _time("updated_at", optional=False),
    _time("closed_at"),
    _json("evidence"),
    _json("jobs"),
    _json("nodes"),
    _flag("stale"),
    _whole("revision"),
    sa.Column("merged_into", Text),
    _flag("simulated"),
    sa.Index(None, "state"),
)

incident_events = sa.Table(
    "incident_events",
    metadata,
    _part_of("incident_id", "incidents.id", key=True),
    _key("event_id"),
    _time("received_at", optional=False),
)

diagnoses = _record(
    "diagnoses",
    _part_of("incident_id", "incidents.id", key=True),
    _key("revision", sa.Integer),
    _text("cause"),
    sa.Column("confidence", sa.Double, nullable=False),
    _json("alternatives"),
    _json("suspects"),
    _json("evidence"),
    _json("absent"),
    _text("explanation"),
    _text("advice"),
    _flag("node_confirmed"),
)

decisions = _record(
    "decisions",
    _key("id"),
    _part_of("incident_id", "incidents.id"),
    _whole("revision"),
    sa.Column("job_id", Text),
    _whole("attempt", optional=True),
    _text("mode"),
    _text("reason"),
    _text("policy"),
    _text("rule"),
    _text("cause"),
    _json("considered"),
    sa.Index(None, "incident_id"),
)
sa.Index(None, decisions.c.happened_at)

holds = _record(
    "holds",
    _key("subject"),
    _text("reason"),
    _text("made_by"),
    _time("lifted_at"),
    _text("lifted_by"),
)

steps = _record(
    "steps",
    _key("id"),
    _part_of("decision_id", "decisions.id"),
    _whole("position"),
    _text("kind"),
    _text("actuator"),
    _text("target"),
    _json("arguments"),
    _time("not_after", optional=False),
    _text("state"),
    _time("changed_at"),
    _text("detail"),
    sa.Index(None, "decision_id"),
    sa.Index(None, "state"),
)

outcomes = _record(
    "outcomes",
    _part_of("step_id", "steps.id", key=True),
    _text("state"),
    _text("detail"),
    _json("facts"),
)

approvals = _record(
    "approvals",
    sa.Column("id", RowNumber, primary_key=True),
    _part_of("decision_id", "decisions.id"),
    _text("verdict"),
    _text("actor"),
    _text("reason"),
)

jobs = _record(
    "jobs",
    _key("id"),
    _text("name"),
    _text("state"),
    _time("updated_at", optional=False),
    _json("command"),
    _text("user_name"),
    _json("nodes"),
    _whole("gpus"),
    _text("actuator"),
    _text("checkpoint_dir"),
    _time("ended_at"),
    _whole("attempt"),
    _whole("highest_step"),
    _whole("last_step", optional=True),
    _time("last_step_at"),
    _real("step_seconds"),
    _real("report_seconds"),
    _real("loss"),
    _whole("last_checkpoint_step", optional=True),
    _time("last_checkpoint_at"),
    _real("checkpoint_seconds"),
    _text("section"),
    _json("section_seconds"),
    _time("rank_lost_at"),
    _json("left_out"),
    _text("held"),
    _text("outcome"),
    _flag("simulated"),
    sa.Index(None, "state"),
)

attempts = _record(
    "attempts",
    _key("job_id"),
    _key("number", sa.Integer),
    _time("running_at"),
    _time("first_step_at"),
    _time("ended_at"),
    _whole("resumed_step"),
    _text("resumed_checkpoint"),
    _whole("first_step", optional=True),
    _whole("last_step", optional=True),
    _time("last_step_at"),
    _time("slowed_at"),
    _time("loss_went_wrong_at"),
    _time("first_new_step_at"),
    _time("interrupted_at"),
    _time("decided_at"),
    _flag("hung"),
    _whole("exit_code", optional=True),
    _text("fingerprint"),
    _time("fingerprint_at"),
    _json("nodes"),
    _whole("ranks_per_node"),
    _time("communicators_ready_at"),
    _time("checkpoint_loading_at"),
    _time("checkpoint_loaded_at"),
)

placements = _record(
    "placements",
    _key("job_id"),
    _key("attempt", sa.Integer),
    _key("rank", sa.Integer),
    _text("node"),
    _text("gpu"),
    _whole("pid", optional=True),
    _json("groups"),
)

interruptions = _record(
    "interruptions",
    _key("id"),
    _text("job_id"),
    _whole("attempt"),
    sa.Column("incident_id", Text),
    _flag("planned"),
    _whole("highest_step"),
    _json("edges"),
    _flag("processes_ran"),
    _time("ended_at"),
    sa.Index(None, "job_id"),
    sa.Index(None, "incident_id"),
)

checkpoints = _record(
    "checkpoints",
    _key("job_id"),
    _key("path"),
    _whole("step"),
    _text("format"),
    _flag("complete"),
    _flag("verified"),
    _whole("size_bytes"),
    _text("problem"),
    _real("stall_seconds"),
    _real("save_seconds"),
    _real("load_seconds"),
)

progress = _record(
    "progress",
    _key("job_id"),
    _key("attempt", sa.Integer),
    _key("step", sa.BigInteger()),
    _real("loss"),
    _real("tokens"),
    _real("step_seconds"),
)

nodes = _record(
    "nodes",
    _key("name"),
    _text("state"),
    _text("boot_id"),
    _whole("gpus"),
    _text("reason"),
    _text("drained_by"),
    _text("suspected_by"),
    _json("addresses"),
)

topology = sa.Table(
    "topology",
    metadata,
    _key("node"),
    _json("neighbourhoods"),
    _time("received_at", optional=False),
)

maintenance_windows = _record(
    "maintenance_windows",
    _key("id"),
    _json("nodes"),
    _time("ends_at", optional=False),
    _text("reason"),
    _text("made_by"),
)

collector_state = sa.Table(
    "collector_state",
    metadata,
    _key("node"),
    _key("collector"),
    _json("position"),
    _time("last_success_at"),
    _time("last_run_at"),
    sa.Column("seconds", sa.Double, nullable=False, server_default="0"),
    sa.Column("condition", Text, nullable=False, server_default=""),
    sa.Column("error", Text, nullable=False, server_default=""),
    sa.Column("readings_total", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failures_total", sa.BigInteger, nullable=False, server_default="0"),
    _time("received_at", optional=False),
)

responder = sa.Table(
    "responder",
    metadata,
    _key("id", sa.Integer),
    _text("holder"),
    _whole("epoch"),
    _time("expires_at"),
    _json("cursor"),
)

audit = _record(
    "audit",
    sa.Column("id", RowNumber, primary_key=True),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("detail"),
)
