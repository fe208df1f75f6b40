"""A callback that reports what the Trainer of Hugging Face transformers does.

trainer = Trainer(..., callbacks=[ReportCallback()])
"""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager
from typing import Any

from transformers import TrainerCallback

from .reporting import Reporter


class ReportCallback(TrainerCallback):  # type: ignore[misc] # transformers is not there where this is checked
    """Reports steps, the loss as it was logged last, evaluations and checkpoints.

    The Trainer tells nobody that it begins to save: a checkpoint counts from what was called before it.
    """

    def __init__(self, reporter: Reporter | None = None) -> None:
        """Take what to report to; what the environment names by default."""
        self._reporter = reporter or Reporter.from_environment()
        self._loss: float | None = None
        self._called_at = time.monotonic()
        self._evaluation: AbstractContextManager[None] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report where training goes on, if it was resumed."""
        if state.global_step:
            self._reporter.loaded(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report a step."""
        tokens = getattr(state, "num_input_tokens_seen", 0) or None
        self._reporter.step(state.global_step, self._loss, tokens, total=state.max_steps)
        self._called_at = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Keep the loss for the next step."""
        self._loss = (logs or {}).get("loss", self._loss)
        self._called_at = time.monotonic()

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report that an evaluation is begun, with its first step."""
        if self._evaluation is None:
            self._evaluation = self._reporter.section("evaluate")
            self._evaluation.__enter__()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the end of an evaluation."""
        self._end_evaluation()
        self._called_at = time.monotonic()

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """Report the end of a prediction."""
        self._end_evaluation()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report a checkpoint."""
        seconds = time.monotonic() - self._called_at
        path = os.path.abspath(os.path.join(args.output_dir, f"checkpoint-{state.global_step}"))
        self._reporter.saved(state.global_step, path, seconds, seconds)
        self._called_at = time.monotonic()

    def _end_evaluation(self) -> None:
        if self._evaluation is not None:
            self._evaluation.__exit__(None, None, None)
        self._evaluation = None
