"""The database: records, migrations, the inbox and the lease."""

from clusterwatch.store.inbox import Cursor
from clusterwatch.store.lease import Lease
from clusterwatch.store.reader import Reader
from clusterwatch.store.store import Store
from clusterwatch.store.views import ASKED_WITHIN, IncidentView, JobHistory, JobView, Stats

__all__ = ["ASKED_WITHIN", "Cursor", "IncidentView", "JobHistory", "JobView", "Lease", "Reader", "Stats", "Store"]
