"""The board for whoever runs the cluster: what is open, what interrupts jobs, where the time goes.

Every server of a fleet shows the same open state, hence `max by` before anything is summed.
"""

from __future__ import annotations

from clusterwatch import metrics
from clusterwatch.model import NodeState
from dashboards.panels import (
    Json,
    Panel,
    annotation,
    any_of,
    bars,
    gauges,
    over_time,
    promql,
    rows_variable,
    source_variable,
    sql,
    stat,
    table,
)
from dashboards.panels import board as board_of

UID = "clusterwatch-overview"

_OUT_OF_SERVICE = any_of((NodeState.DRAINED, NodeState.SILENT))

# The empty job stands for incidents that touch no job, and keeps IN (...) valid where there is no job at all.
_JOBS = """
(SELECT name || ' (' || id || ')' AS "__text", id AS "__value" FROM jobs ORDER BY happened_at DESC LIMIT 200)
UNION ALL
SELECT 'no job', ''
"""

_OPEN_INCIDENTS = """
SELECT
  coalesce(latest.cause, 'not diagnosed yet') AS "Cause",
  latest.confidence AS "Confidence",
  concat_ws(
    ' ',
    latest.suspects #>> '{0,component,kind}',
    latest.suspects #>> '{0,component,id}',
    'on ' || nullif(nullif(latest.suspects #>> '{0,component,node}', ''), latest.suspects #>> '{0,component,id}')
  ) AS "Suspect",
  (SELECT string_agg(job, ', ') FROM jsonb_array_elements_text(incidents.jobs) AS job) AS "Jobs",
  extract(epoch FROM now() - incidents.happened_at)::double precision AS "Age",
  incidents.state AS "State",
  incidents.id AS "Incident"
FROM incidents
LEFT JOIN LATERAL (
  SELECT cause, confidence, suspects FROM diagnoses
  WHERE diagnoses.incident_id = incidents.id ORDER BY revision DESC LIMIT 1
) AS latest ON true
WHERE incidents.state NOT IN ('closed', 'merged')
  AND (
    (incidents.jobs = '[]' AND '' IN (${job:sqlstring}))
    OR EXISTS (SELECT 1 FROM jsonb_array_elements_text(incidents.jobs) AS job WHERE job IN (${job:sqlstring}))
  )
ORDER BY incidents.severity DESC, incidents.happened_at DESC
LIMIT 100
"""

_INTERRUPTIONS_BY_CAUSE = """
SELECT
  coalesce(latest.cause, 'unknown') AS "Cause",
  count(*) FILTER (WHERE NOT interruptions.planned) AS "Unexpected",
  count(*) FILTER (WHERE interruptions.planned) AS "Planned"
FROM interruptions
LEFT JOIN incidents ON incidents.id = interruptions.incident_id
LEFT JOIN LATERAL (
  SELECT cause FROM diagnoses
  WHERE diagnoses.incident_id = coalesce(incidents.merged_into, incidents.id) ORDER BY revision DESC LIMIT 1
) AS latest ON true
WHERE $__timeFilter(interruptions.happened_at) AND interruptions.job_id IN (${job:sqlstring})
GROUP BY 1
ORDER BY count(*) DESC
"""

_NODES = """
SELECT
  name AS "Node",
  state AS "State",
  reason AS "Why",
  extract(epoch FROM now() - observed_at)::double precision AS "Last seen"
FROM nodes
WHERE state <> 'in_service'
ORDER BY state, name
LIMIT 200
"""

_INTERRUPTED = """
SELECT
  interruptions.happened_at AS "time",
  coalesce(interruptions.ended_at, now()) AS "timeend",
  interruptions.job_id || ': ' || coalesce(latest.cause, 'unknown') AS "text",
  CASE WHEN interruptions.planned THEN 'planned' ELSE 'unexpected' END AS "tags"
FROM interruptions
LEFT JOIN incidents ON incidents.id = interruptions.incident_id
LEFT JOIN LATERAL (
  SELECT cause FROM diagnoses
  WHERE diagnoses.incident_id = coalesce(incidents.merged_into, incidents.id) ORDER BY revision DESC LIMIT 1
) AS latest ON true
WHERE interruptions.happened_at <= $__timeTo()
  AND coalesce(interruptions.ended_at, now()) >= $__timeFrom()
  AND interruptions.job_id IN (${job:sqlstring})
ORDER BY 1
"""


def board() -> Json:
    """Return the board as classic JSON."""
    return board_of(
        UID,
        "ClusterWatch overview",
        "What stopped the training jobs, what is out of service, and where the time went.",
        [*_numbers(), *_tables(), *_losses(), *_automation()],
        [
            source_variable("datasource", "Prometheus", "prometheus"),
            source_variable("sql", "PostgreSQL", "grafana-postgresql-datasource"),
            rows_variable("job", "Job", _JOBS),
        ],
        [annotation("Interruptions", _INTERRUPTED, "red")],
    )


def _numbers() -> list[Panel]:
    return [
        stat(
            "Open incidents",
            "Faults that are not over. Each may have caused hundreds of events.",
            promql(f"sum(max by (cause) ({metrics.INCIDENTS_OPEN}))", "incidents", now_only=True),
            worry=True,
        ),
        stat(
            "Nodes out of service",
            "Nodes that are drained, or that nothing was heard of for a while.",
            promql(f'sum(max by (state) ({metrics.NODES}{{state=~"{_OUT_OF_SERVICE}"}}))', "nodes", now_only=True),
            worry=True,
        ),
        stat(
            "Effective training time (ETTR)",
            "Productive time of each running job as a share of its elapsed time, planned stops counted as lost.",
            promql(_of_jobs(metrics.JOB_ETTR), "{{job_id}}", now_only=True),
            "percentunit",
        ),
        stat(
            "Collectors failing",
            "Collectors of which a look failed or passed its deadline just now. What they watch is not seen.",
            promql(
                f"count(increase({metrics.COLLECTOR_FAILURES}[$__rate_interval]) > 0) or vector(0)",
                "collectors",
                now_only=True,
            ),
            worry=True,
        ),
    ]


def _tables() -> list[Panel]:
    return [
        table(
            "Open incidents in detail",
            "The gravest first: cause as diagnosed last, how sure that is (0 to 100 %), and the part most suspected.",
            sql(_OPEN_INCIDENTS),
            {"Confidence": "percentunit", "Age": "s"},
        ),
        table(
            "Nodes out of service or suspect",
            "Every node that is not simply in service, and why.",
            sql(_NODES),
            {"Last seen": "s"},
        ),
    ]


def _losses() -> list[Panel]:
    return [
        bars(
            "Interruptions by cause",
            "How often jobs were interrupted in the time shown, by the cause diagnosed last; planned ones apart.",
            sql(_INTERRUPTIONS_BY_CAUSE),
            "short",
            "Cause",
        ),
        gauges(
            "Lost time by reason",
            "Seconds that the running jobs lost since they began, by what they were waiting for or doing again.",
            promql(
                f"sort_desc(sum by (reason) ({_of_jobs(metrics.JOB_LOST_SECONDS, 'reason')}))",
                "{{reason}}",
                now_only=True,
            ),
            "s",
        ),
        over_time(
            "Effective training time (ETTR) over time",
            "Each running job since its start: the curve falls while the job is down and recovers slowly.",
            promql(_of_jobs(metrics.JOB_ETTR), "{{job_id}}"),
            "percentunit",
        ),
        over_time(
            "Open incidents by cause",
            "Open incidents as they were diagnosed at that time.",
            promql(f"max by (cause) ({metrics.INCIDENTS_OPEN}) > 0", "{{cause}}"),
            "short",
            bars=True,
        ),
    ]


def _automation() -> list[Panel]:
    return [
        over_time(
            "Decisions by mode",
            "What automation decided: observe and suggest change nothing, approve waits for a person, auto acts.",
            promql(f"sum by (mode) (increase({metrics.DECISIONS}[$__rate_interval]))", "{{mode}}"),
            "short",
            bars=True,
        ),
        over_time(
            "Failing looks of collectors",
            "Looks per second that failed or passed their deadline.",
            promql(f"sum by (collector) (rate({metrics.COLLECTOR_FAILURES}[$__rate_interval]))", "{{collector}}"),
            "cps",
        ),
    ]


def _of_jobs(metric: str, *labels: str) -> str:
    """Return *metric* of the chosen jobs by job (and *labels*)."""
    return f'max by ({", ".join(("job_id", *labels))}) ({metric}{{job_id=~"$job"}})'
