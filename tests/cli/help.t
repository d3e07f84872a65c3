#!/bin/sh
# SPDX-License-Identifier: MIT
# --help, the manual page and the completions name the same commands and options.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

ok 'check-help finds no difference' "$KR_SRCDIR/tools/check-help" "$KR_BUILD/kubectl-renumber"

sed 's/^\.It Fl -kubeconfig/.It Fl -cubeconfig/' "$KR_SRCDIR/doc/kubectl-renumber.1" >"$tmp/page.1"
status=0
"$KR_SRCDIR/tools/check-help" "$KR_BUILD/kubectl-renumber" "$tmp/page.1" >"$out" 2>"$err" || status=$?
is "$status" 1 'an option by another name in the page is found'
has "$out" "'--kubeconfig' is not in" 'the one that is missing is named'
has "$out" "'--cubeconfig' is in" 'the one that is too much is named'

kubectl-renumber apply --help >"$out"
has "$out" '      --accept CODE,…         consents' 'the column of the texts is counted in characters'
for command in '' $(kubectl-renumber --help | sed -n 's/^ [ *]\([a-z][a-z-]*\)  .*/\1/p'); do
	# shellcheck disable=SC2086
	run $command --help
	is "$status" 0 "$command --help ends well"
	empty "$err" "$command --help says nothing on stderr"
	has "$out" 'Usage: ' "$command --help shows the usage"
done
done_testing
