# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Things that are built once and kept outside the tree.
#
# cache_item NAME BUILDER: the folder $CACHE/NAME; where it is missing, BUILDER
# is called with two folders, WORK (kept when it fails, so that the next try
# goes on from there) and OUT (renamed to $CACHE/NAME when it succeeds). Two
# runs that want the same item build it once. Never call it where errexit is off
# (in a condition): a failure ends the program.

CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kubectl-renumber

cache_item() {
	local name=$1 builder=$2 start=$SECONDS

	[ ! -d "$CACHE/$name" ] || return 0
	mkdir -p "$CACHE/.work"
	(
		flock 9
		[ ! -d "$CACHE/$name" ] || exit 0
		say "building $name (once)"
		mkdir -p "$CACHE/.work/$name"
		rm -rf "$CACHE/.work/$name.out"
		mkdir -p "$CACHE/.work/$name.out"
		"$builder" "$CACHE/.work/$name" "$CACHE/.work/$name.out" 9>&- >&2
		sync -f "$CACHE/.work/$name.out"
		mv -T "$CACHE/.work/$name.out" "$CACHE/$name"
		# Debian's Go marks module folders read-only.
		chmod -R u+w "$CACHE/.work/$name"
		rm -rf "${CACHE:?}/.work/$name"
	) 9>"$CACHE/.work/$name.lock"
	say "$name is built, $((SECONDS - start)) s"
}
