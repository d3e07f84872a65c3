# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A cgroup per node: in every controller on cgroup v1, one subtree on v2.

CGROUP_ROOT=/sys/fs/cgroup
# what kubelet does not start without
CGROUP_NEEDED='cpu cpuset memory pids'

cgroup_is_v2() {
	[ "$(stat -f -c %T "$CGROUP_ROOT")" = cgroup2fs ]
}

# The mount points in which a node gets its folder. A symbolic link (cpu ->
# cpu,cpuacct) is no second mount.
cgroup_mounts() {
	if cgroup_is_v2; then
		echo "$CGROUP_ROOT"
	else
		awk -v root="$CGROUP_ROOT/" '$3 == "cgroup" && index($2, root) == 1 { print $2 }' /proc/mounts | sort -u
	fi
}

# In a container the root of the visible tree may hold processes, and a v2
# cgroup that does cannot give controllers to its children: they go to a leaf.
cgroup_v2_prepare() {
	local controller pid

	if [ -e "$CGROUP_ROOT/cgroup.type" ] && [ -s "$CGROUP_ROOT/cgroup.procs" ]; then
		mkdir -p "$CGROUP_ROOT/kr-outside"
		while read -r pid; do
			echo "$pid" >"$CGROUP_ROOT/kr-outside/cgroup.procs" 2>/dev/null || :
		done <"$CGROUP_ROOT/cgroup.procs"
	fi
	for controller in $(<"$CGROUP_ROOT/cgroup.controllers"); do
		echo "+$controller" >"$CGROUP_ROOT/cgroup.subtree_control" 2>/dev/null || :
	done
	for controller in $CGROUP_NEEDED; do
		grep -qw "$controller" "$CGROUP_ROOT/cgroup.subtree_control" ||
			die "the cgroup controller '$controller' cannot be switched on"
	done
}

# cgroup_create CGROUP: for the Pods of a node; its own processes stay where the
# caller is, kubelet asks nothing of that place.
cgroup_create() {
	local mount file controller

	if cgroup_is_v2; then
		cgroup_v2_prepare
		mkdir -p "$CGROUP_ROOT/$1"
		for controller in $(<"$CGROUP_ROOT/$1/cgroup.controllers"); do
			echo "+$controller" >"$CGROUP_ROOT/$1/cgroup.subtree_control" 2>/dev/null || :
		done
		cgroup_weigh "$1"
		return
	fi
	while read -r mount; do
		mkdir -p "$mount/$1"
		for file in cpuset.cpus cpuset.mems; do
			[ ! -e "$mount/$file" ] || cat "$mount/$file" >"$mount/$1/$file"
		done
	done < <(cgroup_mounts)
	cgroup_weigh "$1"
}

# A node goes before what else this machine does: to it a whole node is but one
# more process, and a cluster that waits for a compiler shows nothing of its own.
cgroup_weigh() {
	if cgroup_is_v2; then
		[ ! -e "$CGROUP_ROOT/$1/cpu.weight" ] || echo 2000 >"$CGROUP_ROOT/$1/cpu.weight"
	else
		[ ! -e "$CGROUP_ROOT/cpu/$1/cpu.shares" ] || echo 20480 >"$CGROUP_ROOT/cpu/$1/cpu.shares"
	fi
}

# cgroup_remove GLOB: ends what still runs in there
cgroup_remove() {
	local mount group pid try

	while read -r mount; do
		# shellcheck disable=SC2086
		for group in $mount/$1; do
			[ -d "$group" ] || continue
			for try in {1..50}; do
				while read -r pid; do
					kill -9 "$pid" 2>/dev/null || :
				done < <(find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null)
				find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
				sleep 0.1
			done
			[ ! -d "$group" ] || say "$group cannot be removed (try $try)"
		done
	# Beside v1 there may be a v2 tree too; runc leaves empty folders there.
	done < <(awk -v root="$CGROUP_ROOT" '$3 ~ /^cgroup2?$/ && index($2, root) == 1 { print $2 }' /proc/mounts | sort -u)
}
