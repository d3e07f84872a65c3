#!/bin/sh
# SPDX-License-Identifier: MIT
# The lab's API servers answer as real ones did: the exchanges of tests/faith, as recorded.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

faith=$KR_SRCDIR/tests/faith
export FAITH_SLOW=1
pids=
for folder in "$faith"/recorded/*/; do
	version=$(basename "$folder")
	"$faith/lab" "$version" "$faith/play" --compare >"$tmp/$version.out" 2>&1 </dev/null &
	pids="$pids $!"
done
# shellcheck disable=SC2086
wait $pids

for folder in "$faith"/recorded/*/; do
	version=$(basename "$folder")
	while IFS= read -r line; do
		case $line in
		'ok '*) tap_result 0 "${line#ok * - }" ;;
		'not ok '*) tap_result 1 "${line#not ok * - }" || : ;;
		'1..'*) echo whole >"$tmp/$version.whole" ;;
		*) echo "# ${line#'#'}" >&2 ;; # or nobody sees what differed
		esac
	done <"$tmp/$version.out"
	ok "$version: all exchanges were played" test -s "$tmp/$version.whole"
	for recorded in "$folder"*.json; do
		name=$(basename "$recorded" .json)
		[ -e "$faith/exchanges/$name.x" ] || ok "$version: $name is an exchange" false
	done
done
done_testing
