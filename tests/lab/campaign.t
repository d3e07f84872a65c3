#!/bin/sh
# SPDX-License-Identifier: MIT
# A small campaign: what must hold holds after harm, and what does not hold is seen.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

status=0
"$KR_SRCDIR/tools/campaign" 3 7 >"$out" 2>"$err" || status=$?
is "$status" 0 'three runs with harm end well'
is "$(tail -n 1 "$out")" 'runs 3 violations 0 seed 7' 'and say so in the last line'
has "$out" 'of 3 runs, 3 were harmed' 'each was harmed'

status=0
SABOTAGE=1 "$KR_SRCDIR/tools/campaign" 2 7 2 >"$out" 2>"$err" || status=$?
is "$status" 1 'a lost Service is a violation'
has "$out" 'Service shop/plain is gone' 'and is named'
is "$(tail -n 1 "$out")" 'runs 2 violations 1 seed 7' 'and counted'
done_testing
