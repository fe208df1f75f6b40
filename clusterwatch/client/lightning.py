"""A callback that reports what the Trainer of PyTorch Lightning does.

trainer = Trainer(..., callbacks=[ReportCallback()])
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any, Callable

try:
    from lightning.pytorch import Callback
except ImportError:
    from pytorch_lightning import Callback

from .environment import rank_of
from .reporting import Reporter


class ReportCallback(Callback):  # type: ignore[misc] # lightning is not there where this is checked
    """Reports steps, the loss as often as the Trainer logs, validations and checkpoints.

    The Trainer tells nobody that it has saved: its `save_checkpoint` is wrapped, on this Trainer only.
    """

    def __init__(self, reporter: Reporter | None = None) -> None:
        """Take what to report to; what the environment names by default."""
        self._reporter = reporter
        self._step = -1
        self._validation: AbstractContextManager[None] | None = None

    @property
    def reporter(self) -> Reporter:
        """What it reports to."""
        if self._reporter is None:
            self._reporter = Reporter.from_environment()
        return self._reporter

    def setup(self, trainer: Any, pl_module: Any, stage: str | None = None) -> None:
        """Take the rank, and begin to see checkpoints."""
        if self._reporter is None:
            # Processes that Lightning itself started have no variable that names it.
            rank = rank_of(os.environ) or (str(trainer.global_rank) if trainer.world_size > 1 else "")
            self._reporter = Reporter.from_environment({**os.environ, "CLUSTERWATCH_RANK": rank})
        if not getattr(trainer.save_checkpoint, "is_reported", False):
            trainer.save_checkpoint = _reporting(trainer.save_checkpoint, trainer, self.reporter)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Report a step, once where gradients of several batches make one."""
        step = trainer.global_step
        if step != self._step:
            self._step = step
            is_logged = step % max(trainer.log_every_n_steps, 1) == 0
            self.reporter.step(step, _loss(outputs) if is_logged else None)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Report that a validation is begun."""
        self._validation = self.reporter.section("validate")
        self._validation.__enter__()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report its end."""
        if self._validation is not None:
            self._validation.__exit__(None, None, None)
        self._validation = None

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        """Report where training goes on."""
        self.reporter.loaded(checkpoint.get("global_step"), trainer.ckpt_path or "")


def _reporting(save: Callable[..., Any], trainer: Any, reporter: Reporter) -> Callable[..., Any]:
    def save_checkpoint(filepath: Any, *arguments: Any, **named: Any) -> Any:
        saving = reporter.checkpoint(trainer.global_step, os.path.abspath(str(filepath)))
        try:
            saved = save(filepath, *arguments, **named)
        except BaseException:
            saving.failed()
            raise
        if _is_asynchronous(trainer):
            saving.training_goes_on()
        else:
            saving.end()
        return saved

    save_checkpoint.is_reported = True  # type: ignore[attr-defined] # so that it is wrapped once
    return save_checkpoint


def _is_asynchronous(trainer: Any) -> bool:
    """Say whether the checkpoint is still being written: only its folder can tell when it is whole."""
    saves_with = getattr(trainer.strategy, "checkpoint_io", None)
    return "Async" in type(saves_with).__name__


def _loss(outputs: Any) -> Any:
    return outputs.get("loss") if isinstance(outputs, dict) else outputs
