"""The database: records, migrations, the inbox and the lease."""
