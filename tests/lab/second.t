#!/bin/sh
# SPDX-License-Identifier: MIT
# In the lab, a second operator with a plan of his own is told of the first one's run, who has the lock no more.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"
. "$KR_SRCDIR/tests/lib/steps.sh"

cat >"$tmp/two" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
step first-plan 0 plan --to 10.17.0.0/16 --out "$HERE/first"
step second-plan 0 plan --to 10.17.0.0/16 --out "$HERE/second" --state-dir "$HERE/other"
step first-apply 0 apply "$HERE/first" --until certificates --yes --max-failed 100%
dump between
step second-apply 3 apply "$HERE/second" --yes --state-dir "$HERE/other"
dump after
step first-resume 0 resume --until services --yes --max-failed 100%
step second-again 3 apply "$HERE/second" --yes --state-dir "$HERE/other"
step first-back 0 rollback --yes
step second-late 0 apply "$HERE/second" --until certificates --yes --state-dir "$HERE/other" --max-failed 100%
EOF

HERE=$tmp
export HERE
renumber-lab --scenario healthy --clock shared -- sh "$tmp/two" >"$tmp/lab.out" 2>&1 </dev/null || sed 's/^/# /' "$tmp/lab.out"
steps_ended
run=$(sed -n 's/.*"run": *"\([^"]*\)".*/\1/p' "$tmp/first" | head -n 1)
has "$tmp/second-apply.err" "run $run is not ended in this cluster" 'it is said which run it is'
has "$tmp/second-again.err" "run $run is not ended in this cluster" 'and again'
# of a Lease, and what the servers count, no more is asked than that nothing of ours came
for name in between after; do
	perl -MJSON::PP -0777 -ne 'my $d = decode_json($_); for my $kind (sort keys %$d) { next unless ref $d->{$kind} eq "HASH";
		print "$kind $_\n" for grep { !/renumber.*progress/ } sort keys %{$d->{$kind}} }' "$tmp/$name" |
		grep -v '^leases ' >"$tmp/$name.names"
done
same "$tmp/after.names" "$tmp/between.names" 'nothing came and nothing went by his'
done_testing
