#!/bin/sh
# Prolog of slurm.conf: no job starts on a node on which the last scan of health-check.sh found a fault. Slurm then drains the
# node and puts the job back into the queue.
#
# Everything else lets the job through: no result, one older than 15 minutes, a file system that hangs.

folder=${CLUSTERWATCH_HEALTH_DIR:-/run/clusterwatch}
case $SLURMD_NODENAME in '' | *[!A-Za-z0-9._-]*) exit 0 ;; esac

code=$(timeout --kill-after=0.2 1 find "$folder/scan.$SLURMD_NODENAME" -mmin -15 -exec head -n 1 {} \; 2>/dev/null)
if [ "$code" = 2 ]; then exit 1; fi
exit 0
