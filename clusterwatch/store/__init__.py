"""The database: records, migrations, the inbox and the lease."""

from clusterwatch.store.inbox import Cursor
from clusterwatch.store.lease import Lease
from clusterwatch.store.reader import IncidentView, JobView, Reader, Stats
from clusterwatch.store.store import Store

__all__ = ["Cursor", "IncidentView", "JobView", "Lease", "Reader", "Stats", "Store"]
