#!/bin/sh
# SPDX-License-Identifier: MIT
# In every scenario of the lab the doctor finds what it finds on real clusters.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

command -v jq >/dev/null || skip_all 'there is no jq'

# doctor SCENARIO STATUS CODE…: with a ! before it, a code that would be untrue
doctor() {
	scenario=$1 want=$2 status=0
	shift 2
	# shellcheck disable=SC2016
	renumber-lab --scenario "$scenario" -- sh -c 'kubectl-renumber doctor -o json' >"$out" 2>"$err" || status=$?
	is "$status" "$want" "$scenario: exit status"
	codes=$(jq -r '[.findings[].code] | unique | join(" ")' "$out")
	for code; do
		case " $codes " in
		*" ${code#!} "*) found=$code ;;
		*) found=!${code#!} ;;
		esac
		is "$found" "$code" "$scenario: $code among $codes"
	done
}

doctor healthy 0
doctor local-dns 0
doctor healthy-1.33 0
doctor healthy-1.32 0
doctor healthy-1.20 0
doctor incident-flag 2 KR102 KR105 KR107 KR110 KR302 KR601 !KR201 !KR203 !KR204 !KR301 !KR501 !KR503 !KR510
doctor incident-flag-1.32 2 KR102 KR105 KR106 KR302 KR601 !KR110 !KR201 !KR203 !KR204 !KR301 !KR501 !KR510
doctor incident-delete 2 KR105 KR107 KR203 KR204 KR301 KR501 KR502 KR507 KR510 KR601 !KR102 !KR201 !KR503
has "$out" 'which holds 1 Service; other sources' 'incident-delete: one Service is not counted as Services'
doctor incident-delete-1.20 2 KR105 KR106 KR203 KR204 KR301 KR501 KR502 KR507 KR510 KR601 !KR102 !KR107 !KR201
doctor incident-gone 2 KR105 KR107 KR110 KR201 KR204 KR501 KR507 KR510 KR601 !KR102 !KR203 !KR503
doctor incident-pinned 2 KR105 KR203 KR204 KR301 KR503 KR601 !KR102 !KR201 !KR501 !KR502 !KR510 !KR604
doctor incident-certs-1of3 2 KR105 KR203 KR204 KR301 KR503 KR601 !KR102 !KR201 !KR501 !KR502 !KR510 !KR604
doctor incident-certs-all 2 KR105 KR203 KR204 KR503 KR601 !KR102 !KR201 !KR301 !KR302 !KR501 !KR510 !KR604
doctor incident-half 2 KR105 KR203 KR204 KR205 KR503 KR601 KR604 !KR102 !KR201 !KR301 !KR302 !KR501 !KR510

status=0
renumber-lab --scenario nonesuch -- true >"$out" 2>"$err" || status=$?
is "$status" 1 'a scenario that is none is an error'
has "$err" "there is no scenario 'nonesuch'" 'and is named'
run lab --list
is "$status" 0 'kubectl renumber lab --list'
has "$out" 'incident-delete' 'names the scenarios'
run lab -- sh -c 'exit 7'
is "$status" 7 'the status of what runs in the lab is its own'
run lab -- sh -c 'echo "$RENUMBER_LAB"'
ok 'the folder of the lab is gone' test ! -e "$(cat "$out")"
done_testing
