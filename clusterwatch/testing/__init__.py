"""For users' tests and ours: builders, a clock moved by hand, an actuator that records."""

from clusterwatch.clock import ManualClock
from clusterwatch.testing.actuators import RecordingActuator
from clusterwatch.testing.builders import NOON, event, progress, seconds, training_job

__all__ = ["NOON", "ManualClock", "RecordingActuator", "event", "progress", "seconds", "training_job"]
