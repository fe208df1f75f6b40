"""When parts break, which ones, together with which others, and how long it takes to mend them."""

from simulators.faults.laws import Law, scale_for
from simulators.faults.lives import Lives, failures
from simulators.faults.offenders import Offenders
from simulators.faults.placing import Placer, Struck
from simulators.faults.repairs import Repairs

__all__ = ["Law", "Lives", "Offenders", "Placer", "Repairs", "Struck", "failures", "scale_for"]
