# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The end of a cluster, from whatever state it is in: what is removed is found
# by its name, not by what a boot wrote down.

# The named network namespaces of the cluster, nodes first
cluster_namespaces() {
	ip netns list | awk '{ print $1 }' | grep -E "^kr-$NAME(\.|\$)" | sort -r || :
}

# A boot whose own process was killed may still be going on.
cluster_stop_boot() {
	local job

	[ -s "$DIR/boot" ] || return 0
	job=$(<"$DIR/boot")
	if tr '\0' ' ' 2>/dev/null <"/proc/$job/cmdline" | grep -q "/up $NAME "; then
		kill -KILL -- "-$job" 2>/dev/null || :
	fi
}

cluster_remove() {
	local ns pids try

	cluster_stop_boot
	for ns in $(cluster_namespaces); do
		for try in {1..100}; do
			pids=$(ip netns pids "$ns" 2>/dev/null)
			[ -n "$pids" ] || break
			# The first process of a node takes all others with it.
			# shellcheck disable=SC2086
			kill -9 $pids 2>/dev/null || :
			sleep 0.1
		done
		[ -z "$pids" ] || say "in $ns still run after $try tries: $pids"
	done
	cgroup_remove "kr-$NAME.*"
	for ns in $(cluster_namespaces); do
		ip netns delete "$ns"
	done
	rm -rf --one-file-system "${DIR:?}"
	limits_locked limits_restore
}
