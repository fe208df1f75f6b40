"""A training loop in miniature: it resumes where ClusterWatch says, prints its steps and saves by rename."""

import json
import os
import time
from pathlib import Path

STEPS = int(os.environ.get("STEPS", "200"))
SAVE_EVERY = int(os.environ.get("SAVE_EVERY", "20"))
STEP_SECONDS = float(os.environ.get("STEP_SECONDS", "0.1"))
FOLDER = Path(os.environ.get("CLUSTERWATCH_CHECKPOINT_DIR") or "checkpoints")


def load() -> dict[str, float]:
    """Return the state to go on from: the checkpoint ClusterWatch chose, or a new one."""
    path = os.environ.get("CLUSTERWATCH_RESUME_CHECKPOINT")
    return json.loads(Path(path).read_text()) if path else {"step": 0, "weight": 5.0}


def save(state: dict[str, float]) -> None:
    """Write beside the final name and rename: a reader sees a whole checkpoint or none."""
    path = FOLDER / f"step_{state['step']}.ckpt"
    path.with_suffix(".tmp").write_text(json.dumps(state))
    path.with_suffix(".tmp").rename(path)


FOLDER.mkdir(parents=True, exist_ok=True)
state = load()
print(f"attempt {os.environ.get('CLUSTERWATCH_ATTEMPT', '1')} trains from step {state['step']}", flush=True)
while state["step"] < STEPS:
    state["weight"] -= 0.05 * state["weight"]
    state["step"] += 1
    time.sleep(STEP_SECONDS)
    print(f"step: {state['step']} loss: {state['weight'] ** 2:.6f}", flush=True)
    if state["step"] % SAVE_EVERY == 0:
        save(state)
