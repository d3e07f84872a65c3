#!/bin/sh
# SPDX-License-Identifier: MIT
# Test clusters on a host with cgroup v2: a node's tree is made, filled, and removed again, in a real
# v2 hierarchy. Which controllers it can give depends on the host: where v1 holds most of them, the
# rest is taken.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

[ "$(id -u)" = 0 ] || skip_all 'only root mounts'
mkdir "$tmp/cgroup"
unshare -m mount -t cgroup2 cgroup2 "$tmp/cgroup" 2>/dev/null || skip_all 'no cgroup v2 can be mounted here'

group=kr-test-$$
cat >"$tmp/inside" <<'EOF'
set -eu
mount -t cgroup2 cgroup2 "$1/cgroup"
for part in say cgroup; do . "$KR_SRCDIR/tests/cluster/lib/$part.sh"; done
CGROUP_ROOT=$1/cgroup
cgroup_is_v2 && echo v2
available=$(<"$CGROUP_ROOT/cgroup.controllers")
CGROUP_NEEDED=$available
cgroup_create "$2"
echo "gives:$(<"$CGROUP_ROOT/$2/cgroup.subtree_control")"
echo "wants:$available"
mkdir "$CGROUP_ROOT/$2/pod"
sleep 300 &
pid=$!
echo $pid >"$CGROUP_ROOT/$2/pod/cgroup.procs"
echo "inside:$(wc -l <"$CGROUP_ROOT/$2/pod/cgroup.procs")"
cgroup_remove "$2*"
[ -d "$CGROUP_ROOT/$2" ] || echo removed
wait $pid || echo "ended with $?"
(CGROUP_NEEDED=nosuch cgroup_v2_prepare) || echo refused
EOF
status=0
unshare -m bash "$tmp/inside" "$tmp" "$group" >"$out" 2>"$err" </dev/null || status=$?
is "$status" 0 'the script runs to its end'
has "$out" v2 'the tree is recognised'
is "$(sed -n 's/^gives://p' "$out")" "$(sed -n 's/^wants://p' "$out")" 'a node hands every controller on to its Pods'
has "$out" 'inside:1' 'a process runs in a Pod'
has "$out" removed 'nothing is left of the node'
has "$out" 'ended with 137' 'its processes are ended'
has "$err" "the cgroup controller 'nosuch' cannot be switched on" 'a controller that is missing is named'
has "$out" refused 'and the cluster is refused'
done_testing
