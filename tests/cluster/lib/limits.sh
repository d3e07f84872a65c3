# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# This machine's limits that are too low for several nodes: raised while there
# are clusters, put back with the last one.

limits_wanted() {
	printf '%s\n' 'user_instances 8192' 'user_watches 1048576'
}

# limits_locked CMD...: one at a time, also among runs
limits_locked() {
	(
		flock 8
		"$@"
	) 8>/run/lock/kubectl-renumber-clusters
}

limits_raise() {
	local file want have kept

	while read -r file want; do
		kept=$(dirname "$DIR")/.$file
		file=/proc/sys/fs/inotify/max_$file
		have=$(<"$file")
		[ "$have" -lt "$want" ] || continue
		[ -e "$kept" ] || echo "$have" >"$kept"
		echo "$want" 2>/dev/null >"$file" || say "cannot raise $file from $have: many nodes may not start"
	done < <(limits_wanted)
}

# limits_restore: where the folder of clusters has none any more, it goes too
limits_restore() {
	local file top

	top=$(dirname "$DIR")
	[ -z "$(find "$top" -mindepth 1 -maxdepth 1 -type d 2>/dev/null)" ] || return 0
	while read -r file _; do
		[ ! -e "$top/.$file" ] || cat "$top/.$file" 2>/dev/null >"/proc/sys/fs/inotify/max_$file" || :
		rm -f "$top/.$file"
	done < <(limits_wanted)
	rmdir "$top" 2>/dev/null || :
}
