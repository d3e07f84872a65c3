#!/bin/sh
# SPDX-License-Identifier: MIT
# A small campaign: what must hold holds after harm, and what does not hold is seen.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

export RESULTS="$tmp/results"
status=0
JOBS=2 "$KR_SRCDIR/tools/campaign" 4 7 >"$out" 2>"$err" || status=$?
is "$status" 0 'four runs with harm end well'
is "$(tail -n 1 "$out" | sed 's/kills [0-9]* faults [0-9]*/kills K faults F/')" \
	'runs 4 violations 0 kills K faults F seed 7' 'and say so in the last line'
lacks "$out" 'of 4 runs, 0 were harmed' 'some were harmed'
is "$(grep -c '"violations":\[\]' "$RESULTS")" 4 'what was done is kept'

status=0
JOBS=2 VERBOSE=1 PATIENCE=1 "$KR_SRCDIR/tools/campaign" 4 7 >"$out" 2>"$err" || status=$?
is "$status" 0 'and not done again'

status=0
export RESULTS=
SABOTAGE=1 "$KR_SRCDIR/tools/campaign" 2 7 1 >"$out" 2>"$err" || status=$?
is "$status" 1 'a lost Service is a violation'
has "$out" 'Service shop/plain is gone' 'and is named'
is "$(tail -n 1 "$out" | sed 's/ kills.*//')" 'runs 1 violations 1' 'and counted'

status=0
JOBS=2 FROM=1 TO=6 "$KR_SRCDIR/tools/campaign" --every incident-delete cut-before resume >"$out" 2>"$err" || status=$?
is "$status" 0 'an alias has its endpoints, whichever of its requests is cut'
has "$out" 'runs 6 violations 0' 'each of the first changes was harmed'
done_testing
