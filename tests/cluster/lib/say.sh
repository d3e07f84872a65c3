# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Progress and failure, on stderr.

say() {
	printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2
}

die() {
	say "error: $*"
	exit 1
}
