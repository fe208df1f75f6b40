"""The tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

# Until the first release these tables change in place, and this with them: a database of an earlier build is refused
# where it would be written wrongly.
revision = "0001.2"
down_revision = None
branch_labels = None
depends_on = None


class _Xid8(sa.types.UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


NESTED = sa.JSON().with_variant(JSONB(), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TRANSACTION = sa.BigInteger().with_variant(_Xid8(), "postgresql")


def upgrade() -> None:
    """Make the tables, the one row of the responder, and on PostgreSQL the first partition of the events."""
    if _is_postgresql():
        op.execute("CREATE SEQUENCE events_seq")
    _make_events()
    _make_incidents()
    _make_plans()
    _make_jobs()
    _make_training()
    _make_fleet()
    _make_coordination()
    if _is_postgresql():
        op.execute("CREATE TABLE events_default PARTITION OF events DEFAULT")
    op.execute("INSERT INTO responder (id, holder, epoch, cursor) VALUES (1, '', 0, '{}')")


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _text(name: str, *, nullable: bool = False, server_default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=server_default)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _nested(name: str) -> sa.Column[object]:
    return sa.Column(name, NESTED, nullable=False)


def _whole(name: str, *, nullable: bool = False, server_default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, server_default=server_default)


def _small(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, autoincrement=False)


def _real(name: str, *, nullable: bool = False, server_default: str | None = None) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable, server_default=server_default)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _times() -> list[sa.Column[object]]:
    return [_time("happened_at"), _time("observed_at"), _time("received_at")]


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _part_of(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}_{parent}")


def _make_events() -> None:
    # PostgreSQL wants the key to hold what it partitions by. SQLite keeps rows in the order of their key where that is
    # a whole number: what comes is put at the end.
    by_number = (_key("events", "seq"), sa.UniqueConstraint("id", name="uq_events_id"))
    key = (_key("events", "id", "observed_at"),) if _is_postgresql() else by_number
    number = sa.text("nextval('events_seq')") if _is_postgresql() else None
    transaction = sa.text("pg_current_xact_id()" if _is_postgresql() else "0")
    op.create_table(
        "events",
        _text("id"),
        _time("observed_at"),
        sa.Column("seq", NUMBER, server_default=number, nullable=False),
        sa.Column("xact", TRANSACTION, server_default=transaction, nullable=False),
        _time("happened_at"),
        _time("received_at"),
        _text("node"),
        _text("kind"),
        _text("component_kind"),
        _text("component_id"),
        _text("source"),
        _text("origin"),
        _text("trust"),
        _small("severity"),
        _text("job", nullable=True),
        _whole("attempt", nullable=True),
        _whole("rank", nullable=True),
        _text("text"),
        _nested("fields"),
        _whole("count"),
        _time("until", nullable=True),
        _text("rule"),
        _text("boot_id"),
        _flag("simulated"),
        *key,
        postgresql_partition_by="RANGE (observed_at)",
    )
    op.create_index("ix_events_job_observed_at", "events", ["job", "observed_at"])
    op.create_index("ix_events_node_observed_at", "events", ["node", "observed_at"])
    if _is_postgresql():
        op.create_index("ix_events_xact_seq", "events", ["xact", "seq"])


def _make_incidents() -> None:
    op.create_table(
        "incidents",
        _text("id"),
        _text("state"),
        _small("severity"),
        _time("updated_at"),
        _time("closed_at", nullable=True),
        _nested("evidence"),
        _nested("jobs"),
        _nested("nodes"),
        _flag("stale"),
        _whole("revision"),
        _text("merged_into", nullable=True),
        _flag("simulated"),
        *_times(),
        _key("incidents", "id"),
    )
    op.create_index("ix_incidents_state", "incidents", ["state"])
    op.create_table(
        "incident_events",
        _text("incident_id"),
        _text("event_id"),
        _time("received_at"),
        _part_of("incident_events", "incident_id", "incidents"),
        _key("incident_events", "incident_id", "event_id"),
    )
    op.create_table(
        "diagnoses",
        _text("incident_id"),
        _small("revision"),
        _text("cause"),
        _real("confidence"),
        _nested("alternatives"),
        _nested("suspects"),
        _nested("evidence"),
        _nested("absent"),
        _text("explanation"),
        _text("advice"),
        _flag("node_confirmed"),
        *_times(),
        _part_of("diagnoses", "incident_id", "incidents"),
        _key("diagnoses", "incident_id", "revision"),
    )


def _make_plans() -> None:
    op.create_table(
        "decisions",
        _text("id"),
        _text("incident_id"),
        _whole("revision"),
        _text("job_id", nullable=True),
        _whole("attempt", nullable=True),
        _text("mode"),
        _text("reason"),
        _text("policy"),
        _text("rule"),
        _text("cause"),
        _nested("considered"),
        *_times(),
        _part_of("decisions", "incident_id", "incidents"),
        _key("decisions", "id"),
    )
    op.create_index("ix_decisions_incident_id", "decisions", ["incident_id"])
    op.create_index("ix_decisions_happened_at", "decisions", ["happened_at"])
    op.create_table(
        "holds",
        _text("subject"),
        _text("reason"),
        _text("made_by"),
        _time("lifted_at", nullable=True),
        _text("lifted_by"),
        *_times(),
        _key("holds", "subject"),
    )
    op.create_table(
        "steps",
        _text("id"),
        _text("decision_id"),
        _whole("position"),
        _text("kind"),
        _text("actuator"),
        _text("target"),
        _nested("arguments"),
        _time("not_after"),
        _text("state"),
        _time("changed_at", nullable=True),
        _text("detail"),
        *_times(),
        _part_of("steps", "decision_id", "decisions"),
        _key("steps", "id"),
    )
    op.create_index("ix_steps_decision_id", "steps", ["decision_id"])
    op.create_index("ix_steps_state", "steps", ["state"])
    op.create_table(
        "outcomes",
        _text("step_id"),
        _text("state"),
        _text("detail"),
        _nested("facts"),
        *_times(),
        _part_of("outcomes", "step_id", "steps"),
        _key("outcomes", "step_id"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", NUMBER, nullable=False),
        _text("decision_id"),
        _text("verdict"),
        _text("actor"),
        _text("reason"),
        *_times(),
        _part_of("approvals", "decision_id", "decisions"),
        _key("approvals", "id"),
    )


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        _text("id"),
        _text("name"),
        _text("state"),
        _time("updated_at"),
        _nested("command"),
        _text("user_name"),
        _nested("nodes"),
        _whole("gpus"),
        _text("actuator"),
        _text("checkpoint_dir"),
        _time("ended_at", nullable=True),
        _whole("attempt"),
        _whole("highest_step"),
        _whole("last_step", nullable=True),
        _time("last_step_at", nullable=True),
        _real("step_seconds", nullable=True),
        _real("report_seconds", nullable=True),
        _real("loss", nullable=True),
        _whole("last_checkpoint_step", nullable=True),
        _time("last_checkpoint_at", nullable=True),
        _real("checkpoint_seconds", nullable=True),
        _text("section"),
        _nested("section_seconds"),
        _time("rank_lost_at", nullable=True),
        _nested("left_out"),
        _text("held"),
        _text("outcome"),
        _flag("simulated"),
        *_times(),
        _key("jobs", "id"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_table(
        "attempts",
        _text("job_id"),
        _small("number"),
        _time("running_at", nullable=True),
        _time("first_step_at", nullable=True),
        _time("ended_at", nullable=True),
        _whole("resumed_step"),
        _text("resumed_checkpoint"),
        _whole("first_step", nullable=True),
        _whole("last_step", nullable=True),
        _time("last_step_at", nullable=True),
        _time("slowed_at", nullable=True),
        _time("loss_went_wrong_at", nullable=True),
        _time("first_new_step_at", nullable=True),
        _time("interrupted_at", nullable=True),
        _time("decided_at", nullable=True),
        _flag("hung"),
        _whole("exit_code", nullable=True),
        _text("fingerprint"),
        _time("fingerprint_at", nullable=True),
        _nested("nodes"),
        _whole("ranks_per_node"),
        _time("communicators_ready_at", nullable=True),
        _time("checkpoint_loading_at", nullable=True),
        _time("checkpoint_loaded_at", nullable=True),
        *_times(),
        _key("attempts", "job_id", "number"),
    )


def _make_training() -> None:
    op.create_table(
        "placements",
        _text("job_id"),
        _small("attempt"),
        _small("rank"),
        _text("node"),
        _text("gpu"),
        _whole("pid", nullable=True),
        _nested("groups"),
        *_times(),
        _key("placements", "job_id", "attempt", "rank"),
    )
    op.create_table(
        "interruptions",
        _text("id"),
        _text("job_id"),
        _whole("attempt"),
        _text("incident_id", nullable=True),
        _flag("planned"),
        _whole("highest_step"),
        _nested("edges"),
        _flag("processes_ran"),
        _time("ended_at", nullable=True),
        *_times(),
        _key("interruptions", "id"),
    )
    op.create_index("ix_interruptions_incident_id", "interruptions", ["incident_id"])
    op.create_index("ix_interruptions_job_id", "interruptions", ["job_id"])
    op.create_table(
        "checkpoints",
        _text("job_id"),
        _text("path"),
        _whole("step"),
        _text("format"),
        _flag("complete"),
        _flag("verified"),
        _whole("size_bytes"),
        _text("problem"),
        _real("stall_seconds", nullable=True),
        _real("save_seconds", nullable=True),
        _real("load_seconds", nullable=True),
        *_times(),
        _key("checkpoints", "job_id", "path"),
    )
    op.create_table(
        "progress",
        _text("job_id"),
        _small("attempt"),
        _whole("step"),
        _real("loss", nullable=True),
        _real("tokens", nullable=True),
        _real("step_seconds", nullable=True),
        *_times(),
        _key("progress", "job_id", "attempt", "step"),
    )


def _make_fleet() -> None:
    op.create_table(
        "nodes",
        _text("name"),
        _text("state"),
        _text("boot_id"),
        _whole("gpus"),
        _text("reason"),
        _text("drained_by"),
        _text("suspected_by"),
        _nested("addresses"),
        *_times(),
        _key("nodes", "name"),
    )
    op.create_table(
        "topology",
        _text("node"),
        _nested("neighbourhoods"),
        _time("received_at"),
        _key("topology", "node"),
    )
    op.create_table(
        "maintenance_windows",
        _text("id"),
        _nested("nodes"),
        _time("ends_at"),
        _text("reason"),
        _text("made_by"),
        *_times(),
        _key("maintenance_windows", "id"),
    )
    op.create_table(
        "collector_state",
        _text("node"),
        _text("collector"),
        _nested("position"),
        _time("last_success_at", nullable=True),
        _time("last_run_at", nullable=True),
        _real("seconds", server_default="0"),
        _text("condition", server_default=""),
        _text("error", server_default=""),
        _whole("readings_total", server_default="0"),
        _whole("failures_total", server_default="0"),
        _time("received_at"),
        _key("collector_state", "node", "collector"),
    )


def _make_coordination() -> None:
    op.create_table(
        "responder",
        _small("id"),
        _text("holder"),
        _whole("epoch"),
        _time("expires_at", nullable=True),
        _nested("cursor"),
        _key("responder", "id"),
    )
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, nullable=False),
        _text("actor"),
        _text("action"),
        _text("subject"),
        _text("detail"),
        *_times(),
        _key("audit", "id"),
    )
