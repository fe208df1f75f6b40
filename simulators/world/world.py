"""A job on a fleet, struck by a schedule, in closed loop.

The rules:

1. The job trains until a fault stops it, and trains again only after it was started again. A hang lasts until
   something ends it; after the NCCL timeout the ranks that wait give up by themselves.
2. A fault that is due while the job does not train, or trains slowly or wrongly because of another, strikes a minute
   after it trains again: every attempt is ended by one strike.
3. A part that stays broken strikes whoever runs there, until its node was out of service for the time of its repair.
4. What takes how long is the same for every policy: `Terms`. Policies differ in when they notice, what they leave out
   and how often they save.

Times are seconds since the start of the trace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import partial

from clusterwatch.errors import ActionError
from clusterwatch.model import Cause, ComponentKind, Finding, Reading, Scalar, kinds
from clusterwatch.model.collectives import Dump
from simulators.cluster import ClusterSpec, part_ids
from simulators.fleet_lines import LineWho
from simulators.fleet_wording import Blast, FaultKind, FleetVariant, Harm, fault_kinds
from simulators.schedule import seeded
from simulators.terms import Terms
from simulators.trace.schedule import Fault, Follows, Noise, PlannedStop, Schedule
from simulators.whatif.causes import AS_SEEN_BY_JOB, NO_PART
from simulators.whatif.policies import ALL, Policy, Responder
from simulators.world.outbox import Outbox, Whose
from simulators.world.pool import Pool
from simulators.world.recorders import Hung, dumps_of
from simulators.world.regimes import person
from simulators.world.surveying import checked
from simulators.world.timeline import Timeline
from simulators.world.training import Pace, Progress, Training
from simulators.world.truth import Strike
from simulators.world.voices import Scene, Voices, address_of

TOLD_AFTER_SECONDS = 1.1
"""How long it takes until a step that ended is told: files are looked at once a second."""

_REPORT_SECONDS = 0.5
_EXITS_AFTER_SECONDS = 2.0
_GIVE_UP_SECONDS = 15.0
_TERMINATED = -15
_ABORTED = -6
_TIMEOUT = "collective_timeout"
_CHECK_SECONDS = 3600.0
"""Until a node that was left out and is not broken stands by again."""

_ECHO_SECONDS = 60.0
"""How long lines wait at most that say that processes ended which somebody ended."""

_SPREAD_SECONDS = 1.5
"""Over how long all nodes say the same thing that one cause makes them say."""

_MURMURED_AT_ONCE = 10_000
"""How often something harmless is told before the next of it is made: a storm of it is not kept as a whole."""


class Phase(StrEnum):
    """What the job does just now. Hung: processes live and no step ends."""

    TRAINING = "training"
    HUNG = "hung"
    ENDED = "ended"
    STARTING = "starting"
    HELD = "held"


class World:
    """The simulated world of one schedule.

    Attributes:
        truth: What struck, in the order of time.
        manual_total: Restarts that were a person's work.
    """

    def __init__(
        self,
        schedule: Schedule,
        terms: Terms,
        save_every_seconds: float,
        script: Policy | None = None,
        *,
        rank_by_rank: frozenset[str] = frozenset(),
        every_rank: bool = False,
        loss_factor: float = 1.0,
    ) -> None:
        """Take what is to happen; *rank_by_rank* names the faults whose echoes each rank tells by itself.

        With *every_rank* each rank does that all the time.
        """
        self.schedule, self.terms = schedule, terms
        self.plan = schedule.jobs[0]
        self.truth: list[Strike] = []
        self.manual_total = 0
        self.phase = Phase.ENDED
        self.attempt = 0
        self._cluster: ClusterSpec = schedule.cluster
        self._script, self._save_every = script, save_every_seconds
        self._rank_by_rank, self._every_rank, self._loss_factor = rank_by_rank, every_rank, loss_factor
        self._kinds = fault_kinds()
        self._wordings_of = _by_cause(self._kinds.values())
        self._outbox = Outbox(schedule.start, terms.channel, schedule.seed)
        self._voices = Voices(self._outbox, schedule.start, rank_by_rank=every_rank)
        self._timeline = Timeline()
        self._began_on = frozenset(schedule.nodes_of(self.plan))
        self.pool = Pool(schedule.nodes_of(self.plan), self._cluster.spares)
        self._pace = Pace(self.plan.step_seconds, self._cluster.diurnal, schedule.start)
        self._training: Training | None = None
        self._saved_step = self._highest_saved = 0
        self._deferred: deque[Callable[[float], None]] = deque()
        self._noise = deque(each for each in schedule.noise if each.count <= _MURMURED_AT_ONCE)
        self._faults = {fault.id: fault for fault in schedule.faults}
        self._strikes_of: dict[str, int] = {}
        self._free_from = 0.0
        self._is_ailing = False
        self._hung: Hung | None = None

    @property
    def whose(self) -> Whose:
        """The job and its current attempt."""
        return Whose(self.plan.id, self.attempt)

    @property
    def saved_step(self) -> int:
        """Step of the last complete checkpoint."""
        return self._saved_step

    @property
    def is_alive(self) -> bool:
        """Whether the job has processes."""
        return self.phase in (Phase.TRAINING, Phase.HUNG, Phase.STARTING)

    @property
    def next_at(self) -> float | None:
        """When something happens or arrives next that is worth looking at."""
        times = [time for time in (self._timeline.next_at, self._outbox.next_at) if time is not None]
        return min(times, default=None)

    def begin(self) -> None:
        """Submit and start the job, and note what is due."""
        self._state(kinds.JOB_STARTED, {**self._submission(), "nodes": ",".join(self.pool.job)}, 0.0)
        for fault in self.schedule.faults:
            self._timeline.at(fault.at, partial(self._when_training, partial(self._strike, fault)))
        for stop in self.schedule.planned:
            self._timeline.at(stop.at, partial(self._when_training, partial(self._stop_as_planned, stop)))
        for noise in self.schedule.noise:
            if noise.count > _MURMURED_AT_ONCE:
                self._timeline.at(noise.at, partial(self._storm, noise, 0))
        for node in self.pool.job:
            self._introduce(node, 0.0)
        self._start(0.0, 0, 0.0)

    def advance(self, now: float) -> None:
        """Let everything happen that happens up to *now*."""
        while due := self._timeline.pop(now):
            at, action = due
            # What was told by then stands apart from the last steps, which are told after it.
            self._let_pass(at - TOLD_AFTER_SECONDS)
            self._let_pass(at)
            action(at)
        self._let_pass(now - TOLD_AFTER_SECONDS)

    def take(self, now: float) -> tuple[Reading, ...]:
        """Return what was read up to *now*."""
        return self._outbox.take(now)

    def survey(self, at: float) -> dict[str, Sequence[Finding]]:
        """Check all nodes of the job, which starts no sooner than that takes; return what failed, and of what."""
        self._free_from = at + self.terms.survey_seconds
        looked_at = {node: self.check(node, at) for node in self.pool.job}
        return {node: findings for node, findings in looked_at.items() if findings is not None}

    def recalled(self, at: float) -> tuple[Dump, ...]:
        """Return what the ranks' recorders hold, if they can be asked; the job starts no sooner than that takes."""
        if self.phase is not Phase.HUNG or self._hung is None:
            return ()
        if seeded(self.schedule.seed, "recorders", self.attempt).random() >= self.terms.recorders_answer:
            return ()
        self._free_from = max(self._free_from, at + self.terms.recorders_seconds)
        return dumps_of(self._hung, len(self.pool.job), self._cluster.gpus_per_node, self.terms.signal_loss)

    def check(self, node: str, at: float) -> Sequence[Finding] | None:
        """Return what a check of *node* at *at* finds; None where it passes, as a broken one may."""
        if node not in self.pool.broken:
            return None
        fault = self._faults[self.pool.broken[node]]
        gpu = _gpu(fault, self._cluster.gpus_per_node)
        rng = seeded(self.schedule.seed, "survey", node, round(at))
        return checked(node, fault.kind, gpu, self.terms, rng)

    def is_healthy(self, node: str) -> bool:
        """Return whether nothing of *node* is broken."""
        return node not in self.pool.broken

    def end(self, at: float, exit_code: int = _TERMINATED) -> None:
        """End the job's processes, if there are any: all nodes hear of it."""
        if not self.is_alive:
            return
        # Who ended them need not be told so by each of two thousand nodes as soon as its line arrives.
        with self._outbox.in_passing(_ECHO_SECONDS if self._script is None else 0.0):
            self._terminate(at, self._seed("end"))
        self._end_attempt(at, exit_code)

    def take_out(self, node: str, at: float) -> None:
        """Take *node* out of service; broken, it comes back repaired, healthy, it stands by after a reboot."""
        if node in self.pool.out:
            return
        self.pool.take_out(node)
        fault = self._faults.get(self.pool.broken.get(node, ""))
        if fault is not None:
            self._timeline.at(at + fault.repair_seconds, partial(self._repaired, node))
        else:
            self._timeline.at(at + self.terms.reboot_seconds, lambda now: self.put_back(node))

    def leave_out(self, node: str, at: float) -> None:
        """Take *node* out of service, and keep it from the job when it comes back."""
        self.pool.leave_out(node)
        self.take_out(node, at)

    def readmit(self, node: str) -> None:
        """Let the job have *node* again."""
        self.pool.readmit(node)

    def put_back(self, node: str) -> None:
        """Put *node* into service as it is."""
        self.pool.put_back(node)

    def restart(self, at: float, step: int) -> dict[str, Scalar]:
        """Start the job again from the checkpoint of *step*, on its nodes in service and others for the rest."""
        if self.plan.nodes_total == 0:
            raise ActionError(f"{self.plan.id} has no nodes")
        self.end(at)
        before = set(self.pool.job)
        warm, cold = self.pool.replace_missing()
        for node in [name for name in self.pool.job if name not in before] if warm + cold else ():
            self._introduce(node, at)
        seconds = self.terms.cold_node_seconds if cold else self.terms.standby_node_seconds if warm else 0.0
        self._start(max(at, self._free_from), step, seconds)
        return {"attempt": self.attempt, "resumed_step": step, "replaced": warm + cold, "cold": cold}

    def call_person(self, at: float) -> None:
        """Let somebody come, find what is broken, and start the job again, unless it trains by then."""
        takes = person().seconds(seeded(self.schedule.seed, "person", self.attempt).random())
        self._while(at + takes, self._help)

    def could_train(self) -> bool:
        """Return whether the job would go on training if nobody touched it."""
        return self.phase is Phase.TRAINING

    # What happens

    def _start(self, at: float, step: int, replace_seconds: float) -> None:
        self.phase = Phase.STARTING
        self.attempt += 1
        runs_at = at + replace_seconds
        loads_at = runs_at + self.terms.process_start_seconds
        trains_at = loads_at + self._load_seconds(loads_at, step)
        self._while(runs_at, partial(self._run_processes, step))
        self._while(trains_at, partial(self._train, step))

    def _run_processes(self, step: int, at: float) -> None:
        fields: dict[str, Scalar] = {"resumed_step": step, "nodes": ",".join(self.pool.job)}
        fields["resumed_checkpoint"] = self._path(step)
        fields["gpus_per_node"] = self._cluster.gpus_per_node
        self._state(kinds.ATTEMPT_STARTED, fields, at)
        scene, first, seed = self._scene(), self.pool.job[0], self._seed("start")
        with self._outbox.in_passing(_ECHO_SECONDS):
            self._voices.once("starting", scene, first, 0, 0, seed, at + 0.5 * self.terms.process_start_seconds)
            if step:
                self._voices.once("loading", scene, first, 0, 0, seed, at + self.terms.process_start_seconds)

    def _train(self, step: int, at: float) -> None:
        self.phase = Phase.TRAINING
        self._saved_step, self._is_ailing = step, False
        self._training = Training(self._pace, self._save_every, self._save_seconds, step, at)
        strikes_at = at + self.terms.struck_after_restart_seconds
        broken = [node for node in self.pool.job if node in self.pool.broken] if self.pool.broken else []
        for node in broken[:1]:
            self._while(strikes_at, partial(self._relapse, node))
        if self._deferred and not broken:
            due = self._deferred.popleft()
            self._timeline.at(strikes_at, partial(self._when_training, due))

    def _when_training(self, action: Callable[[float], None], at: float) -> None:
        if self.phase is Phase.TRAINING and not self._is_ailing:
            action(at)
        else:
            self._deferred.append(action)

    def _strike(self, fault: Fault, at: float) -> None:
        nodes = self._where(fault)
        if nodes:
            self._hit(fault, self._kinds[fault.kind], nodes, at, fault.id, "")

    def _relapse(self, node: str, at: float) -> None:
        fault = self._faults.get(self.pool.broken.get(node, ""))
        if fault is not None and self.phase is Phase.TRAINING:
            self._strikes_of[fault.id] = self._strikes_of.get(fault.id, 1) + 1
            again = f"{fault.id}.{self._strikes_of[fault.id]}"
            others = [each for each in self.pool.job if self.pool.broken.get(each) == fault.id and each != node]
            self._hit(fault, self._kinds[fault.kind], (node, *others), at, again, fault.id)

    def _hit(
        self, fault: Fault, kind: FaultKind, nodes: tuple[str, ...], at: float, strike_id: str, repeat_of: str
    ) -> None:
        # The same part in other words and numbers each time.
        seed = fault.seed + len(strike_id.partition(".")[2]) * 7_919 + self._strikes_of.get(fault.id, 0)
        variant = kind.variants[int(seeded(seed, "variant").random() * len(kind.variants))]
        gpu = _gpu(fault, self._cluster.gpus_per_node)
        if kind.stays:
            self.pool.broken.update(dict.fromkeys(nodes, fault.id))
        self._voices.rank_by_rank = self._every_rank or fault.id in self._rank_by_rank
        scene = self._scene()
        for each in nodes:
            self._voices.strike(variant, scene, each, gpu, kind.exit_code, seed, at, self._loss_factor)
        stops_at = at + self._goes_on_seconds(kind, variant, seed)
        self.truth.append(
            Strike(
                id=strike_id,
                cause=fault.cause,
                kind=fault.kind,
                planned=False,
                attempt=self.attempt,
                component=str(fault.component),
                nodes=nodes if fault.component.node else (),
                neighbours=tuple(dict.fromkeys(near for each in nodes for near in self._neighbours(kind, each))),
                due=fault.at,
                struck=at,
                interrupted=stops_at,
                repeat_of=repeat_of,
                unseen_wording=variant.unseen,
                harm=str(AS_SEEN_BY_JOB.get(kind.harm, "")),
            )
        )
        if kind.harm is Harm.SLOW and self._training is not None:
            self._training.pace = self._pace.slower(self.terms.slowdown)
        if stops_at > at:
            self._is_ailing = True
            self._while(stops_at, partial(self._break, kind, nodes, gpu, seed, 0.0))
        elif kind.harm is not Harm.NONE:
            self._break(kind, nodes, gpu, seed, _last_words_after(variant), at)

    def _goes_on_seconds(self, kind: FaultKind, variant: FleetVariant, seed: int) -> float:
        """Return how long the job still trains: slowly, or wrongly until it shows."""
        if kind.harm is Harm.SLOW:
            return self.terms.slow_seconds * (0.5 + seeded(seed, "slow").random())
        if kind.harm is Harm.CORRUPT:
            return max((line.after_seconds for line in variant.lines), default=0.0) + _REPORT_SECONDS
        return 0.0

    def _break(self, kind: FaultKind, nodes: tuple[str, ...], gpu: int, seed: int, says_for: float, at: float) -> None:
        if self.phase is not Phase.TRAINING:
            return
        node = nodes[0]
        self._note_torn(at)
        self.phase, self._training = Phase.HUNG, None
        self._hung = Hung(
            kind.stands, tuple(self.pool.slots[each] for each in nodes if each in self.pool.slots), gpu, seed
        )
        scene = self._scene()
        # The timeouts of those that wait come when they have waited.
        for family in (name for name in kind.peers if name != _TIMEOUT):
            self._voices.everywhere(family, scene, self._peers(node), seed, at + 1.0, 4.0, about=node)
        if kind.exit_code:
            # Whoever has something to say says it before it ends.
            ends_at = at + max(says_for + _REPORT_SECONDS, _EXITS_AFTER_SECONDS)
            self._while(ends_at, partial(self._exit_rank, node, gpu, kind.exit_code, seed))
        self._while(at + self.terms.nccl_timeout_seconds, partial(self._give_up, seed))
        if self._script is not None:
            self._plan_by_script(kind, nodes, at)

    def _exit_rank(self, node: str, gpu: int, exit_code: int, seed: int, at: float) -> None:
        rank = self.pool.slots[node] * self._cluster.gpus_per_node + gpu
        fields: dict[str, Scalar] = {"exit_code": exit_code, "rank": rank, "pid": 20_000 + rank}
        fields["signal"] = -exit_code if exit_code < 0 else None
        whose = Whose(self.plan.id, self.attempt, rank)
        self._outbox.state("process", kinds.PROCESS_EXITED, whose, node, fields, at)
        self._voices.once("launcher_report", self._scene(), node, gpu, exit_code, seed, at + _REPORT_SECONDS)

    def _give_up(self, seed: int, at: float) -> None:
        if self.phase is Phase.HUNG:
            self._voices.everywhere(_TIMEOUT, self._scene(), self.pool.job, seed, at, _SPREAD_SECONDS)
            self._while(at + _GIVE_UP_SECONDS, partial(self._end_attempt, exit_code=_ABORTED))

    def _stop_as_planned(self, stop: PlannedStop, at: float) -> None:
        """Save, end, and start again when the work is done: the operators see to that."""
        assert self._training is not None
        cause = Cause.PLANNED_MAINTENANCE if stop.nodes else Cause.PREEMPTION_OR_OPERATOR
        self.truth.append(
            Strike(stop.id, cause, stop.reason, True, self.attempt, "job", stop.nodes, stop.nodes, stop.at, at, at)
        )
        self._save(self._training.step, at, self._save_seconds(at))
        variants = self._wordings_of[cause]
        variant = variants[int(seeded(stop.seed, "variant").random() * len(variants))]
        node = stop.nodes[0] if stop.nodes and stop.nodes[0] in self.pool.slots else self.pool.job[0]
        self._voices.strike(variant, self._scene(), node, 0, _TERMINATED, stop.seed, at, 1.0)
        self._terminate(at + 1.0, stop.seed)
        self._end_attempt(at + 1.0, _TERMINATED)
        self.phase = Phase.HELD
        back = self.terms.process_start_seconds + self.terms.load_seconds
        self._free_from = at + self.terms.planned_stop_seconds - back
        self._while(self._free_from, self._resume_after_stop)

    def _resume_after_stop(self, at: float) -> None:
        if self.phase is Phase.HELD:
            self._start(at, self._highest_saved, 0.0)

    def _repaired(self, node: str, at: float) -> None:
        if node in self.pool.out:
            self.pool.broken.pop(node, None)
            self._outbox.state("host", kinds.REBOOTED, None, node, {"booted_at": f"{at:.0f}"}, at)
            self.pool.put_back(node)

    # A cluster that ClusterWatch only watches

    def _plan_by_script(self, kind: FaultKind, nodes: tuple[str, ...], at: float) -> None:
        assert self._script is not None
        rng = seeded(self.schedule.seed, "script", self.attempt)
        harm = AS_SEEN_BY_JOB[kind.harm]
        seconds = self._script.detects(harm).seconds(rng.random()) + self._script.decides(harm).seconds(rng.random())
        strikes = self._strikes_of.get(self.pool.broken.get(nodes[0], ""), 1)
        is_called = strikes > self._script.person_after or self._script.person_after == 0
        seconds += self._script.person.seconds(rng.random()) if is_called else 0.0
        found = nodes if kind.stays else ()
        out = found if is_called else self._named_by(self._script, kind, nodes, rng.random())
        self._while(at + seconds, partial(self._follow_script, out, is_called))

    def _named_by(self, script: Policy, kind: FaultKind, nodes: tuple[str, ...], chance: float) -> tuple[str, ...]:
        """Return the nodes that are left out. Whether the part would break again only an oracle knows."""
        if not script.excludes or (script.responder is Responder.ORACLE and not kind.stays):
            return ()
        right = 0.0 if kind.component in NO_PART else _chance(script.right, kind)
        if chance < right:
            return nodes
        is_wrong = chance < right + _chance(script.wrong, kind)
        return tuple(name for name in self.pool.job if name not in nodes)[:1] if is_wrong else ()

    def _help(self, at: float) -> None:
        if self.phase in (Phase.HUNG, Phase.ENDED):
            for node in [name for name in self.pool.job if name in self.pool.broken]:
                self.take_out(node, at)
            self.restart(at, self._highest_saved)

    def _follow_script(self, out: tuple[str, ...], is_called: bool, at: float) -> None:
        for node in out:
            self.take_out(node, at)
            if self.is_healthy(node):
                self._timeline.at(at + _CHECK_SECONDS, partial(self._checked, node))
        self.manual_total += is_called
        self.restart(at, self._highest_saved)

    def _checked(self, node: str, at: float) -> None:
        self.put_back(node)

    # Small things

    def _let_pass(self, until: float) -> None:
        while self._noise and self._noise[0].at <= until:
            noise = self._noise.popleft()
            self._murmur(noise, 0, noise.count)
        if self._training is None or self.phase is not Phase.TRAINING:
            return
        for done in self._training.advance(until):
            if isinstance(done, Progress):
                self._tell_progress(done)
            else:
                self._save(done.step, done.at, done.seconds)

    def _introduce(self, node: str, at: float) -> None:
        addresses: dict[str, Scalar] = {"addresses": address_of(node)}
        self._outbox.state("host", kinds.NODE_ADDRESSES, None, node, addresses, at)

    def _tell_progress(self, done: Progress) -> None:
        fields: dict[str, Scalar] = {"step": done.last, "loss": round(1.7 + 4.0 / (1.0 + done.last / 2_000), 4)}
        if done.last > done.first:
            fields |= {"first_step": done.first, "first_at": self._voices.iso(done.first_at)}
        self._outbox.state(
            "job_log", kinds.PROGRESS, Whose(self.plan.id, self.attempt, 0), self.pool.job[0], fields, done.last_at
        )

    def _save_seconds(self, at: float) -> float:
        """Return how long a save that begins at *at* stops training."""
        return self.terms.blocking_save_seconds + self._storage_delay(at)

    def _load_seconds(self, at: float, step: int) -> float:
        """Return how long loading the checkpoint of *step* takes; before the first one there is nothing to read."""
        return self.terms.load_seconds + (self._storage_delay(at) if step else 0.0)

    def _storage_delay(self, at: float) -> float:
        return self._cluster.storage.delay_at(at, self.terms.checkpoint_bytes, self.terms.other_saves)

    def _save(self, step: int, at: float, seconds: float) -> None:
        self._saved_step = self._highest_saved = step
        fields: dict[str, Scalar] = {"path": self._path(step), "step": step, "format": "megatron"}
        fields |= {"size_bytes": int(self.terms.checkpoint_bytes), "verified": True}
        fields["stall_seconds"] = round(seconds, 3)
        self._outbox.state("checkpoints", kinds.CHECKPOINT_SAVED, self.whose, self.pool.job[0], fields, at)

    def _note_torn(self, at: float) -> None:
        if self._training is not None and self._training.is_saving(at):
            step = self._training.step
            fields: dict[str, Scalar] = {"path": self._path(step), "step": step, "format": "megatron"}
            fields["problem"] = "the tracker file names another step: the save was cut short"
            self._outbox.state("checkpoints", kinds.CHECKPOINT_TORN, self.whose, self.pool.job[0], fields, at + 5.0)

    def _storm(self, noise: Noise, first: int, at: float) -> None:
        """Tell so much of *noise* as is made at once, and go on with the rest when that is due."""
        end = min(first + _MURMURED_AT_ONCE, noise.count)
        self._murmur(noise, first, end)
        if end < noise.count:
            self._timeline.at(noise.time_of(end), partial(self._storm, noise, end))

    def _murmur(self, noise: Noise, first: int, end: int) -> None:
        kind = self._kinds[noise.kind]
        variant = kind.variants[int(seeded(noise.seed, "variant").random() * len(kind.variants))]
        gpu = int(seeded(noise.seed, "gpu").random() * self._cluster.gpus_per_node)
        nodes = [self._still_outside(node, noise) for node in noise.nodes]
        for number in range(first, end):
            node, at = nodes[number % len(nodes)], noise.time_of(number)
            self._voices.strike(variant, self._scene(), node, gpu, 0, noise.seed, at, self._loss_factor)

    def _still_outside(self, node: str, noise: Noise) -> str:
        """Return a node outside of the job for one that came to it since: nobody else works where the job runs."""
        if node not in self.pool.slots or node in self._began_on:
            return node
        outside = [name for name in (*self._cluster.spares, *self._cluster.others) if name not in self.pool.slots]
        return outside[int(seeded(noise.seed, "outside").random() * len(outside))] if outside else node

    def _end_attempt(self, at: float, exit_code: int) -> None:
        if self.is_alive:
            self.phase, self._training = Phase.ENDED, None
            self._state(kinds.ATTEMPT_ENDED, {"exit_code": exit_code}, at)

    def _terminate(self, at: float, seed: int) -> None:
        """Let every node say that its processes were told to end; nothing else is printed any more."""
        self._outbox.silence(self.whose, at)
        # The first line says it all; two thousand nodes that say it three times over would be most of all events.
        scene, nodes = self._scene(), self.pool.job
        self._voices.everywhere("terminated", scene, nodes, seed, at, _SPREAD_SECONDS, most_lines=1)

    def _while(self, at: float, action: Callable[[float], None]) -> None:
        """Do *action* at *at*, unless this attempt is over by then."""
        attempt = self.attempt

        def act(now: float) -> None:
            if self.attempt == attempt:
                action(now)

        self._timeline.at(at, act)

    def _where(self, fault: Fault) -> tuple[str, ...]:
        """Return the nodes of the job that *fault* strikes now; () where none of them trains."""
        here = tuple(node for node in fault.nodes if node in self.pool.slots)
        # A switch and a feed stay where they are, whoever took over from a node behind them.
        if fault.follows is Follows.NODE or (here and self._kinds[fault.kind].blast is not Blast.NODE):
            return here
        return tuple(dict.fromkeys(self.pool.in_slot_of(node) for node in fault.nodes)) or (self.pool.job[0],)

    def _neighbours(self, kind: FaultKind, node: str) -> tuple[str, ...]:
        """Return everything that hangs on what broke: there taking a node out harms no healthy one."""
        if kind.blast is Blast.NODE or not self._cluster.has_node(node):
            return (node,)
        if kind.blast is Blast.TOR:
            tor = self._cluster.tor_of(node)
            return (tor, *self._cluster.nodes_of_tor(tor))
        domain = self._cluster.power_domain_of(node)
        return (domain, *self._cluster.nodes_of_power_domain(domain))

    def _peers(self, node: str) -> list[str]:
        """Return the nodes whose ranks hold a connection to those of *node*."""
        size = self._cluster.gpus_per_node
        ranks = self.plan.parallelism.direct_peers(self.pool.slots[node] * size)
        slots = dict.fromkeys(rank // size for rank in sorted(ranks))
        return [name for slot in slots if slot < len(self.pool.job) and (name := self.pool.job[slot]) != node]

    def _scene(self) -> Scene:
        return Scene(
            whose=self.whose,
            nodes=self.pool.job,
            slots=self.pool.slots,
            gpus_per_node=self._cluster.gpus_per_node,
            step=self._training.step if self._training else self._highest_saved,
            user=self.plan.user,
            scheduler_id=self.plan.scheduler_id,
            directory=self._directory,
        )

    @property
    def _directory(self) -> str:
        return f"/checkpoints/{self.plan.name}"

    def _path(self, step: int) -> str:
        return f"{self._directory}/iter_{step:07d}" if step else ""

    def _seed(self, what: str) -> int:
        return int(seeded(self.schedule.seed, what, self.attempt).random() * 2**31)

    def _state(self, subject: str, fields: dict[str, Scalar], at: float) -> None:
        self._outbox.state("scheduler", subject, self.whose, self.pool.job[0], fields, at)

    def _submission(self) -> dict[str, Scalar]:
        gpus = self.plan.nodes_total * self._cluster.gpus_per_node
        return {
            "name": self.plan.name,
            "user": self.plan.user,
            "gpus": gpus,
            "checkpoint_dir": self._directory,
            "actuator": "trace_fleet",
        }


def _chance(chances: Mapping[str, float], kind: FaultKind) -> float:
    return chances.get(kind.cause.value, chances.get(ALL, 0.0))


def _by_cause(fault_kinds: Iterable[FaultKind]) -> Mapping[Cause, tuple[FleetVariant, ...]]:
    found: dict[Cause, tuple[FleetVariant, ...]] = {}
    for kind in fault_kinds:
        found[kind.cause] = (*found.get(kind.cause, ()), *kind.variants)
    return found


def _gpu(fault: Fault, gpus_per_node: int) -> int:
    """Return the number of the GPU, or of the NIC beside it, that *fault* is about; any where it is about neither."""
    parts = part_ids(fault.component.kind, gpus_per_node)
    is_numbered = fault.component.kind in (ComponentKind.GPU, ComponentKind.NIC) and fault.component.id in parts
    return parts.index(fault.component.id) if is_numbered else fault.seed % gpus_per_node


def _last_words_after(variant: FleetVariant) -> float:
    """Return how many seconds after the fault the struck rank prints for the last time."""
    return max((line.after_seconds for line in variant.lines if line.who is LineWho.RANK), default=0.0)
