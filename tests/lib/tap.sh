# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# TAP for tests in POSIX sh:
#
#	#!/bin/sh
#	# SPDX-License-Identifier: MIT
#	. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"
#
#	run doctor --kubeconfig /nonexistent
#	is "$status" 1 'a missing kubeconfig is an error'
#	has "$err" "cannot open '/nonexistent'" 'and is named'
#	empty "$out" 'nothing on stdout'
#	done_testing
#
# Why a test failed goes to stderr, which prove lets through.
#
# $tmp is a folder of this test's own, removed at the end. HOME points into it, and KUBECONFIG is
# unset, so that no test meets the cluster of the person who runs it.

KR_BUILD=${KR_BUILD:-$KR_SRCDIR/build}
export KR_SRCDIR KR_BUILD
PATH=$KR_BUILD:$PATH
tmp=$(mktemp -d "${TMPDIR:-/tmp}/kr-test-XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$tmp/home"
HOME=$tmp/home
unset KUBECONFIG KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT XDG_STATE_HOME
export PATH HOME
out=$tmp/out
err=$tmp/err
status=
tap_tests=0
tap_failed=0

# run ARG…: the program under test; stdout in $out, stderr in $err, exit status in $status
run() {
	status=0
	kubectl-renumber "$@" >"$out" 2>"$err" </dev/null || status=$?
}

tap_result() { # held name
	tap_tests=$((tap_tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_tests - $2"
		return 0
	fi
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_tests - $2"
	return 1
}

# ok NAME COMMAND…: the command succeeds
ok() {
	tap_name=$1
	shift
	if "$@" >"$tmp/tap" 2>&1; then
		tap_result 0 "$tap_name"
	else
		tap_result 1 "$tap_name" || :
		echo "# failed: $*" >&2
		sed 's/^/#   /' "$tmp/tap" >&2
	fi
}

# is GOT WANT NAME
is() {
	if [ "$1" = "$2" ]; then
		tap_result 0 "$3"
		return
	fi
	tap_result 1 "$3" || :
	printf ' got: %s\nwant: %s\n' "$1" "$2" | sed 's/^/# /' >&2
	[ ! -s "$err" ] || sed 's/^/# stderr: /' "$err" >&2
}

# has FILE TEXT NAME: the file contains the text
has() {
	if grep -qF -e "$2" "$1"; then
		tap_result 0 "$3"
		return
	fi
	tap_result 1 "$3" || :
	echo "# '$2' is not in:" >&2
	sed 's/^/#   /' "$1" >&2
}

# lacks FILE TEXT NAME: the file does not contain the text
lacks() {
	if ! grep -qF -e "$2" "$1"; then
		tap_result 0 "$3"
		return
	fi
	tap_result 1 "$3" || :
	echo "# '$2' is in:" >&2
	sed 's/^/#   /' "$1" >&2
}

# empty FILE NAME
empty() {
	if [ ! -s "$1" ]; then
		tap_result 0 "$2"
		return
	fi
	tap_result 1 "$2" || :
	sed 's/^/#   /' "$1" >&2
}

# same FILE WANTED NAME: equal, byte for byte
same() {
	if diff -u "$2" "$1" >"$tmp/tap" 2>&1; then
		tap_result 0 "$3"
		return
	fi
	tap_result 1 "$3" || :
	sed 's/^/# /' "$tmp/tap" >&2
}

# skip_all REASON: this machine cannot run these tests
skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

done_testing() {
	echo "1..$tap_tests"
	[ "$tap_failed" = 0 ] && [ "$tap_tests" != 0 ]
	exit
}
