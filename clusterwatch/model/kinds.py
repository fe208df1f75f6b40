"""Names of the event kinds that stages act on; all others are known only to the catalogue.

A reading of state carries one of these as its subject; `detect` turns it into the event of that kind.
"""

JOB_STARTED = "job.started"
"""A job is known. Fields: name, command, user, gpus, checkpoint_dir, actuator, nodes (comma-separated)."""

JOB_ENDED = "job.ended"
"""A job will not run again. Fields: state ("completed" or "stopped"), reason."""

ATTEMPT_STARTED = "attempt.started"
"""An incarnation's processes run. Fields: pid, resumed_step, resumed_checkpoint, nodes (comma-separated).

With gpus_per_node, nodes stand in the order of the ranks, and tell where each rank runs without an event for each.
"""

ATTEMPT_ENDED = "attempt.ended"
"""An incarnation's supervised command ended. Fields: exit_code (negative for a signal)."""

RANK_PLACED = "rank.placed"
"""A rank was seen. Fields: rank, local_rank, world_size, pid, gpu."""

PROCESS_EXITED = "process.exit"
"""A process ended; special kinds: process.exit.ok, .error, .sigkill, .sigterm, .sigsegv, .sigabrt, .signal.

Fields: exit_code, signal, pid, rank.
"""

PROCESS_STOPPED = "process.stopped"
"""A process of a job is in state T (stopped by a signal or a debugger). Fields: pid, rank."""

PROCESS_CONTINUED = "process.continued"
"""A stopped process runs again. Fields: pid, rank."""

PROGRESS = "training.progress"
"""Training moved on.

Fields: step, loss, tokens, step_seconds, total; first_step and first_at where several steps were folded; restarted
where the step is not beyond the attempt's highest: a sign of life, no new step.
"""

HANG = "training.hang"
"""No progress for several times the job's own step time. Fields: step, silent_seconds, step_seconds."""

LOSS_JUMPED = "training.loss_jumped"
"""The loss of a job jumped far above what is usual for it. Fields: step, loss, usual."""

LOSS_NAN = "training.loss_nan"
"""The loss of a job is no longer a number."""

EXCEPTION = "python.exception"
"""An uncaught Python exception. Fields: exception, message, where ("file.py:123"), rank."""

TRACEBACK_CUT = "python.traceback_cut"
"""A traceback that breaks off before its exception. Fields: where (its last frame)."""

CHECKPOINT_SAVED = "checkpoint.saved"
"""A complete checkpoint. Fields: path, step, format, size_bytes, verified, stall_seconds (training stopped for it)."""

CHECKPOINT_LOADING = "checkpoint.loading"
"""An attempt begins to load the state it goes on from. Fields: path, step, where the line tells them."""

COMMUNICATORS_READY = "training.ranks_ready"
"""The ranks of an attempt have found each other. Fields: ranks, where the line tells it."""

CHECKPOINT_TORN = "checkpoint.torn"
"""A checkpoint that is not complete. Fields: path, step, format, problem."""

CHECKPOINT_BEGUN = "checkpoint.begun"
"""A training loop says that it begins to save. Fields: path, step."""

CHECKPOINT_REPORTED = "checkpoint.reported"
"""A training loop says how a save went.

Fields: path, step, complete (whether it is whole, as far as the loop knows), save_seconds, stall_seconds, size_bytes.
"""

CHECKPOINT_LOADED = "checkpoint.loaded"
"""A checkpoint was loaded, says a training loop or its framework. Fields: path, step, load_seconds, as far as told."""

CHECKPOINT_DELETED = "checkpoint.deleted"
"""A checkpoint is there no more. Fields: path, step, format."""

CHECKPOINT_OVERDUE = "checkpoint.overdue"
"""A job that trains has saved nothing whole for several times its usual interval.

Fields: step, silent_seconds, interval_seconds, last_checkpoint_step.
"""

SECTION_BEGUN = "section.begun"
"""A training loop enters a named part, such as an evaluation. Fields: section."""

SECTION_ENDED = "section.ended"
"""A training loop leaves a named part. Fields: section, seconds."""

STEP_CHANGED = "action.step"
"""A step of a plan changed its state.

Fields: step_id, step_kind, actuator, state, detail, the step's arguments and the facts of its outcome.
"""

CHECK_FAILED = "node.check_failed"
"""A check of all nodes of a job found this one broken. Fields: step_id."""

NO_ANSWER = "node.check_failed.no_answer"
"""A node did not answer when all nodes of a job were checked. Fields: step_id."""

CHECK_FAILED_OUT = "node.check_failed.out"
"""A node that was taken out of a job, or of service, failed its check. Fields: step_id."""

COLLECTIVE_MISMATCH = "collective.mismatch"
"""Recorders show that a rank asked for another collective than its group.

Fields, as of all kinds below it: rank, process_group, sequence, operation, waiting (ranks).
"""

COLLECTIVE_ABSENT = "collective.absent"
"""Recorders show that a rank never made the call that its group waits in."""

COLLECTIVE_DEVICE_STUCK = "collective.device_stuck"
"""Recorders show that a rank made a call but its device is behind those of its group."""

COLLECTIVE_NO_ANSWER = "collective.no_answer"
"""A rank left no dump, and all others of its group wait."""

COLLECTIVE_STUCK_TOGETHER = "collective.stuck_together"
"""Recorders show a small group in a collective that none of it finishes, while others wait for its ranks."""

COLLECTIVE_STUCK_IN_NODE = "collective.stuck_together.in_node"
"""The same of a group whose ranks all run on one node."""

COLLECTIVE_STALLED = "collective.stalled"
"""Recorders show all ranks that answered in one collective that nobody finishes, and nobody behind the others."""

COLLECTIVE_MANY_BEHIND = "collective.many_behind"
"""Recorders show that many ranks did not come to a collective."""

BREAKER_OPENED = "automation.breaker_opened"
"""ClusterWatch stopped its own automation: too much happened at once. Fields: reason."""

REBOOTED = "host.rebooted"
"""A node started anew. Fields: previous_boot_id, booted_at."""

NODE_DRAINED = "node.drained"
"""The scheduler starts nothing on a node any more. Fields: state, reason, by, own (whether ClusterWatch did it)."""

NODE_DOWN = "node.down"
"""The scheduler gave a node up. Fields: state, reason, by, own."""

NODE_BACK = "node.back"
"""The scheduler uses a node again. Fields: state, before."""

MAINTENANCE = "maintenance.announced"
"""Work on nodes is announced, changed or called off.

Fields: name, nodes (comma-separated), starts_at, ends_at (ISO 8601), over (whether it was called off).
"""

NODE_ADDRESSES = "host.addresses"
"""The addresses of a node: logs of its neighbours name it by them. Fields: addresses (comma-separated)."""

COLLECTOR_FAILED = "collector.failed"
"""A collector could not look. Fields: collector, error, silent.

*silent*: what it asked did not answer in time; as an event it is then "collector.failed.silent." and its name.
"""

COLLECTOR_RECOVERED = "collector.recovered"
"""A collector that failed looks again. Fields: collector."""

GPU_SAMPLE = "gpu.sample"
"""Subject of a reading of NVML values; becomes events only where something changed."""

HOST_SAMPLE = "host.sample"
"""Subject of a reading of host values; becomes events only where a limit is crossed."""

GPU_XID = "gpu.xid"
"""Subject of a reading of an Xid that the driver told NVML; becomes gpu.xid.79. Fields: xid, pci, uuid, index."""

GPU_COUNT = "gpu.count"
"""Subject of a reading of how many GPUs a node has; becomes an event only where they are fewer than before or wanted.

Fields: gpus_listed, gpus_answering, gpus_known, gpus_expected.
"""
