#!/bin/sh
# HealthCheckProgram of slurm.conf: drain a node on which the scan finds a fault.
#
# The scan takes longer than Slurm should wait. So this starts the next one in the background, acts on what the last one
# found, and ends at once. A scan that hangs, crashes, is older than 15 minutes, or no clusterwatch at all: nothing is done.

folder=${CLUSTERWATCH_HEALTH_DIR:-/run/clusterwatch}
case $SLURMD_NODENAME in '' | *[!A-Za-z0-9._-]*) exit 0 ;; esac
result=$folder/scan.$SLURMD_NODENAME
mkdir -p -m 0755 "$folder" 2>/dev/null || exit 0

# In a session of its own: slurmd ends everything that the program left in its own. The lock: one scan at a time.
setsid --fork flock --nonblock "$result.lock" sh -c '
  timeout --kill-after=5 50 clusterwatch scan --nagios --skip known_answers --skip dcgm >"$1.text" 2>/dev/null
  echo $? >"$1.code"
  cat "$1.code" "$1.text" >"$1.new" && mv -f "$1.new" "$1"
' scan "$result" </dev/null >/dev/null 2>&1

said=$(timeout 0.5 find "$result" -mmin -15 -exec cat {} \; 2>/dev/null)
# Of the codes of monitoring plugins only 2 is a fault of the node.
if [ "$(printf '%s' "$said" | head -n 1)" = 2 ]; then
  # One line of plain characters, as it becomes part of the node's record.
  why=$(printf '%s' "$said" | sed -n 2p | tr -cd '[:alnum:] .,:;_/()=-' | cut -c 1-120)
  timeout --kill-after=0.2 1 scontrol update "NodeName=$SLURMD_NODENAME" State=DRAIN "Reason=health: $why" \
    </dev/null >/dev/null 2>&1
fi
exit 0
