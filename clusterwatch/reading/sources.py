"""A line of a log that nobody prepared to what it is: the kernel's or a job's, of which node, when, and its message.

1. What carried the line is taken off first: container runtimes and kubectl, the journal's and Docker's JSON.
2. The kernel's own lines are known by their tag, by dmesg's time, by the record format of /dev/kmsg, or by how
   drivers begin their messages. A record that a program wrote through /dev/kmsg is a user's word.
3. A line of syslog names its node before its program. Every other line is a job's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from clusterwatch.model import Trust
from clusterwatch.reading.journal import entry_text
from clusterwatch.reading.kmsg import KERNEL_FACILITY, kernel_record
from clusterwatch.reading.lines import leading_stamp, ranked_line

KERNEL_LOG = "kernel_log"
JOB_LOG = "job_log"

# Years outside are no time of a log: a clock that was never set, a number that only looks like a date.
_YEARS = range(1990, 2100)
_MOST_WRAPPINGS = 4

_CRI = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:\d\d)) (?:stdout|stderr) [FP] ?")
_KUBECTL_PREFIX = re.compile(r"\[pod/[\w.-]{1,253}/[\w.-]{1,253}\] ?")
_KUBECTL_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z) ")
# Docker, the journal, Google Cloud, and what structured loggers agree on.
_MESSAGE_KEYS = ("log", "message", "msg", "textPayload")
_NODE_KEYS = ("_HOSTNAME", "hostname", "host", "node", "node_name")
_NODE_OBJECTS = ("Node", "node")
_TIME_KEYS = ("time", "timestamp", "ts", "@timestamp")
# Where and how gravely something was logged is no fact of what happened.
_NO_FACTS = frozenset(
    {
        *_NODE_KEYS,
        *_TIME_KEYS,
        "stream",
        "level",
        "severity",
        "logger",
        "caller",
        "filename",
        "lineno",
        "file",
        "line",
        "v",
    }
)
_MOST_FACTS = 20

_HOST = r"[A-Za-z0-9][\w.-]{0,252}"
_SINCE_BOOT = re.compile(r"\[ *\d{1,9}\.\d{6}(?: *<[^>]{1,20}>)?\](?:\[ *[TC]\d+\])? ?")
_KERNEL_TAG = re.compile(
    rf"(?:^|\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?(?:Z|[+-]\d\d:?\d\d)? {{1,2}}(?:(?P<node>{_HOST}) {{1,2}})?"
    rf"|^\[ *\d{{1,9}}\.\d{{6}}\] (?P<node_2>{_HOST}) {{1,2}})kernel: ?"
)
_FROM_NODE = re.compile(rf"(?P<node>{_HOST}): (?=(?:<\d{{1,3}}>)?\[ *\d{{1,9}}\.\d{{6}}\]|NVRM: )")  # pdsh, clush
_TOLD_OF = re.compile(rf"(?P<node>{_HOST})(?: \| |: )")  # what gathers checks of many nodes, before what it quotes
_DMESG_WITH_DATE = re.compile(r"\[(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} ")
_KERNEL_PRIORITIES = ("kern", *(f"<{level}>" for level in range(8)))
_KMSG = re.compile(r"\d{1,4},\d{1,20},\d{1,20},[^;]{0,200};")
# As syslog has it in numbers, and as "dmesg --decode" writes it out.
_PRIORITY = re.compile(r"<\d{1,3}>|kern *:(?:emerg|alert|crit|err|warn|notice|info|debug) *: ?")
# How drivers and the kernel's own parts begin what they say.
_KERNEL_WORDS = re.compile(
    r"NVRM: |nvidia-nvswitch\d*: |nvidia-(?:modeset|uvm|peermem)[: ]|mlx5_|EDAC |mce: "
    r"|[a-z][\w-]{1,30} [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]: "
    r"|nvme nvme\d|nvme\d|EXT4-fs|XFS \(|Buffer I/O error|blk_update_request: |I/O error, dev |sd \d+:\d+:\d+:\d+: "
    r"|ata\d|Out of memory: Killed process|Memory cgroup out of memory|oom-kill:|watchdog: BUG: |INFO: task |INFO: rcu_"
    r"|rcu: |\{\d+\}\[Hardware Error\]|\[Hardware Error\]|Kernel panic - |BUG: |Call Trace:|thermal |CPU\d+: "
    r"|Lustre(?:Error)?: |nfs: server |traps: |[\w./-]{1,40}\[\d+\]: segfault at |[\w./-]{1,40} invoked oom-killer"
)
_SYSLOG = re.compile(
    r"(?:<\d{1,3}>)?"
    r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?|\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:?\d\d)"
    # Behind such a time any program's line may stand ("2026-01-20T11:58:04Z dial tcp: ..."): a host has a number in its
    # name, or a program with a process id follows it.
    r"(?= [\w.]{0,60}[\d-]| \S{1,60} [\w./@-]{1,60}\[\d{1,10}\]: ))"
    rf" (?P<node>{_HOST}) (?=[A-Za-z][\w./@-]{{1,60}}(?:\[\d+\])?: )"
)
_SLURM_STATES = (
    "idle|mix(?:ed)?|alloc(?:ated)?|comp(?:leting)?|down|drain(?:ed|ing)?|drng|fail(?:ing)?|inval|maint|unk(?:nown)?"
)
_NODE_ROWS = (
    re.compile(rf"\s[\w.()-]{{1,40}}\s+\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\s+(?P<node>{_HOST})\s*$"),  # sinfo -R
    re.compile(
        rf"^\s{{0,8}}(?P<node>{_HOST})\s+\d{{1,6}}\s+\S{{1,60}}\s+(?:{_SLURM_STATES})[*~#!%$@^+-]?\s+\d"
    ),  # sinfo -N -l
    re.compile(
        rf"^\s{{0,8}}(?P<node>{_HOST})\s+(?:Not)?Ready(?:,\w{{1,40}})?\s+\S{{1,100}}\s+\d{{1,6}}[smhdy]"
    ),  # kubectl get nodes
    re.compile(
        rf"\s\d{{1,5}}/\d{{1,5}}\s.{{1,100}}\s(?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}|<none>)\s+(?P<node>{_HOST})\s+<none>"
    ),  # get pods -o wide
    re.compile(rf"^\s{{1,8}}hostname:\s{{1,4}}(?P<node>{_HOST})\s*$"),  # Open MPI, of a node it lost
)
_NCCL = re.compile(rf"(?P<node>{_HOST}):\d{{1,10}}:\d{{1,10}} \[\d{{1,3}}\] NCCL ")
_NCCL_RANK = re.compile(r"\brank (?P<rank>\d{1,7}) nranks (?P<ranks>\d{1,7}) .*?cudaDev (?P<gpu>\d{1,3})")

# srun names the node and the task that ended; launchers write their environment down.
_SRUN_TASK = re.compile(rf"srun: error: (?P<node>{_HOST}): task (?P<rank>\d{{1,7}}): ")
_ENVIRONMENT = re.compile(
    r"\b(RANK|LOCAL_RANK|WORLD_SIZE|SLURMD_NODENAME|HOSTNAME)['\"]?\s{0,2}[=:]\s{0,2}['\"]?([\w.-]{1,80})"
)

_RANK_IN_PATH = re.compile(
    r"attempt_\d+/(\d{1,6})/std(?:out|err)\.log(?:\.\w+)?$"  # torchrun --log-dir, the local rank
    r"|(?:^|[/._-])rank[_-]?(\d{1,6})(?=[._][^/\d][^/]*$)"
)
_NODE_IN_PATH = re.compile(
    r"(?:[a-z0-9]+-)*(?:node|host|gpu|compute|worker|server|dgx|hgx|cn|nid|ip)-?\d+(?:-\d+)*[a-z]?"
)
# "slurm-123-node005.out": what --output made of %j and %N.
_JOB_BEFORE_NODE = re.compile(
    r"^(?:(?:slurm|job|train|out|err|log|dmesg|kern|syslog|stdout|stderr)-|\d+-)+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class SourcedLine:
    """A line and what could be told about it.

    Attributes:
        text: The message, without what carried it; a job's own prefixes but for its rank stay. It spans lines
            where a structured logger wrote several as one.
        source: `KERNEL_LOG` or `JOB_LOG`.
        trust: Whose word it is.
        node: Host that the line names; "" where it names none.
        at: Time that the line carries, UTC (a time without a zone is taken as UTC); None where there is none.
        rank: Rank that the line is labelled with.
    """

    text: str
    source: str = JOB_LOG
    trust: Trust = Trust.USER
    node: str = ""
    at: datetime | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class RankSeen:
    """Where a rank runs, as NCCL says when it begins. *ranks* is the size of its communicator."""

    node: str
    rank: int
    ranks: int
    gpu: str


def sourced(line: str, near: datetime) -> SourcedLine:
    """Return what *line* is. *near* tells the year where the line leaves it out."""
    carried = _unwrapped(line, near)
    if carried.source == KERNEL_LOG:  # the journal said so
        return replace(carried, text=_without_boot_time(carried.text))
    found = _kernel_line(carried.text, near) or _syslog_line(carried.text, near) or _job_line(carried.text, near)
    return replace(found, node=found.node or carried.node, at=carried.at or found.at)


def rank_seen(text: str) -> RankSeen | None:
    """Return the rank that a line places: NCCL's, srun's, or an environment written down; None for any other line.

    The node is "" where the line names none. A rank that srun names may be one of a larger job: its size is unknown, 0.
    """
    if " nranks " in text:
        return _rank_of_nccl(text)
    if "WORLD_SIZE" in text:
        return _rank_of_environment(text)
    task = _SRUN_TASK.search(text) if "srun: error: " in text else None
    return RankSeen(task["node"], int(task["rank"]), 0, "") if task else None


def _rank_of_nccl(text: str) -> RankSeen | None:
    place = _NCCL.search(text)
    found = _NCCL_RANK.search(text, place.end()) if place else None
    if place is None or found is None:
        return None
    return RankSeen(place["node"], int(found["rank"]), int(found["ranks"]), found["gpu"])


def _rank_of_environment(text: str) -> RankSeen | None:
    values = dict(_ENVIRONMENT.findall(text))
    rank, ranks = values.get("RANK", ""), values.get("WORLD_SIZE", "")
    if not (rank.isdecimal() and ranks.isdecimal()):
        return None
    node = values.get("SLURMD_NODENAME") or values.get("HOSTNAME") or ""
    return RankSeen(node, int(rank[:7]), int(ranks[:7]), values.get("LOCAL_RANK", ""))


def rank_in_path(path: str) -> int | None:
    """Return the rank that a log file's path names; the local one for torchrun's folders."""
    match = _RANK_IN_PATH.search(path)
    return int(next(number for number in match.groups() if number)) if match else None


def node_in_path(path: str) -> str:
    """Return the node that a folder's or file's name names, the last one that does; "" where none does."""
    names = [_JOB_BEFORE_NODE.sub("", name) for name in re.split(r"[/._:]", path)]
    nodes = [name for name in names if _NODE_IN_PATH.fullmatch(name.lower())]
    return nodes[-1] if nodes else ""


def _unwrapped(line: str, near: datetime) -> SourcedLine:
    found = SourcedLine(line)
    for _ in range(_MOST_WRAPPINGS):
        inner = _without_one_wrapping(found, near)
        if inner is None:
            break
        found = inner
    return found


def _without_one_wrapping(line: SourcedLine, near: datetime) -> SourcedLine | None:
    if line.text.startswith("{"):
        return _from_json(line, near)
    prefix = _KUBECTL_PREFIX.match(line.text)
    if prefix:
        return replace(line, text=line.text[prefix.end() :])
    stamped = _CRI.match(line.text) or _KUBECTL_STAMP.match(line.text)
    # What stands behind the time may be a line of syslog, which needs it.
    if stamped and not _SYSLOG.match(line.text) and not _KERNEL_TAG.search(line.text, 0, stamped.end() + 300):
        return replace(line, text=line.text[stamped.end() :], at=line.at or _time_in(stamped[1], near))
    return None


def _from_json(line: SourcedLine, near: datetime) -> SourcedLine | None:
    try:
        entry = json.loads(line.text)
        text = _message(entry)
    except (ValueError, TypeError, RecursionError):
        return None
    if text is None:
        return None
    is_kernel = entry.get("_TRANSPORT") == "kernel"
    return replace(
        line,
        text=text.rstrip("\r\n"),
        source=KERNEL_LOG if is_kernel else JOB_LOG,
        trust=Trust.NODE if is_kernel else Trust.USER,
        node=line.node or _first_text(entry, _NODE_KEYS) or _node_object(entry),
        at=line.at or _time_of(entry, near),
    )


def _message(entry: Mapping[str, object]) -> str | None:
    """Return what a record says: its message, and behind it the other facts as "name=value"."""
    if "MESSAGE" in entry:
        return entry_text(entry)
    key = next((key for key in _MESSAGE_KEYS if isinstance(entry.get(key), str)), None)
    if key is None:
        return None
    facts = [f"{name}={value}" for name, value in _facts(entry) if name != key]
    return " ".join([str(entry[key]).rstrip("\r\n"), *facts[:_MOST_FACTS]])


def _facts(entry: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield what a record tells, that of an object inside it as "object.name"."""
    for name, value in entry.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items() if _is_fact(inner, each))
        elif _is_fact(name, value):
            yield name, value


def _node_object(entry: Mapping[str, object]) -> str:
    """Return the node that controllers of Kubernetes name as an object: {"Node": {"name": ...}}; "" without one."""
    objects = (value for name, value in entry.items() if name in _NODE_OBJECTS or _is_node(value))
    names = (_first_text(each, ("name",)) for each in objects if isinstance(each, dict))
    return next((name for name in names if name), "")


def _is_node(value: object) -> bool:
    return isinstance(value, dict) and value.get("kind") == "Node"


def _is_fact(name: str, value: object) -> bool:
    is_scalar = isinstance(value, str | int | float) and not isinstance(value, bool)
    return is_scalar and value != "" and name not in _NO_FACTS


def _first_text(entry: Mapping[str, object], keys: tuple[str, ...]) -> str:
    values = (entry.get(key) for key in keys)
    return next((value for value in values if isinstance(value, str) and re.fullmatch(_HOST, value)), "")


def _time_of(entry: Mapping[str, object], near: datetime) -> datetime | None:
    micros = entry.get("__REALTIME_TIMESTAMP")
    if isinstance(micros, str) and micros.isdecimal():
        return _time_in(f"{micros[:-6]}.{micros[-6:]}", near)
    values = (entry.get(key) for key in _TIME_KEYS)
    return next((_time_in(value, near) for value in values if isinstance(value, str)), None)


def _time_in(text: str, near: datetime) -> datetime | None:
    stamp = leading_stamp(text, near)
    return stamp.at if stamp and stamp.at.year in _YEARS else None


def _kernel_line(text: str, near: datetime) -> SourcedLine | None:
    if _KMSG.match(text):
        return _ring_record(text)
    tag = _KERNEL_TAG.search(text) if "kernel:" in text else None
    if tag:
        return _kernel(text[tag.end() :], tag["node"] or tag["node_2"] or "", _time_in(text, near))
    sender = _FROM_NODE.match(text)
    node, text = (sender["node"], text[sender.end() :]) if sender else ("", text)
    bare = _without_priority(text)
    stamp = None if _SINCE_BOOT.match(bare) else leading_stamp(bare, near)
    rest = stamp.rest if stamp else text
    if _is_kernels(text, bare) or _KERNEL_WORDS.match(_without_priority(rest)):
        return _kernel(rest, node, stamp.at if stamp and stamp.at.year in _YEARS else None)
    quoted = text.find("NVRM: ")
    if quoted < 0:
        return None
    told = _TOLD_OF.match(text)
    named = node_in_path(told["node"]) if told else ""
    return _kernel(text[quoted:], node or named, _time_in(text, near))


def _is_kernels(text: str, bare: str) -> bool:
    has_kernels_priority = bare != text and text.startswith(_KERNEL_PRIORITIES)
    return has_kernels_priority or bool(_SINCE_BOOT.match(bare) or _DMESG_WITH_DATE.match(bare))


def _kernel(text: str, node: str, at: datetime | None) -> SourcedLine:
    return SourcedLine(_without_boot_time(text), KERNEL_LOG, Trust.NODE, node, at)


def _ring_record(text: str) -> SourcedLine | None:
    record = kernel_record(text.encode("utf-8", "replace"))
    if record is None:
        return None
    trust = Trust.NODE if record.facility == KERNEL_FACILITY else Trust.USER
    return SourcedLine(record.text, KERNEL_LOG, trust)


def _without_boot_time(text: str) -> str:
    bare = _without_priority(text)
    stamp = _SINCE_BOOT.match(bare)
    return bare[stamp.end() :] if stamp else bare


def _without_priority(text: str) -> str:
    priority = _PRIORITY.match(text)
    return text[priority.end() :] if priority else text


def _syslog_line(text: str, near: datetime) -> SourcedLine | None:
    found = _SYSLOG.match(text)
    if found is None:
        return None
    return SourcedLine(text[found.end() :], node=found["node"], at=_time_in(_without_priority(text), near))


def _row_of_node(text: str) -> re.Match[str] | None:
    """Return the row of a table about nodes, as sinfo and kubectl print them, with the one "node" it is about."""
    return next((row for pattern in _NODE_ROWS if (row := pattern.search(text))), None)


def _job_line(text: str, near: datetime) -> SourcedLine:
    rank, text = ranked_line(text, near)
    place = (_NCCL.match(text) if " NCCL " in text else None) or _row_of_node(text)
    return SourcedLine(text, node=place["node"] if place else "", at=_time_in(text, near), rank=rank)
