#!/bin/sh
# SPDX-License-Identifier: MIT
# In the lab, Services that somebody makes after the plan are moved too, and go back with the others.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"
. "$KR_SRCDIR/tests/lib/steps.sh"

# What the plan does not know: one made before the run, one while it is under way.
cat >"$tmp/late" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
services=/api/v1/namespaces/shop/services
# make NAME ADDRESS
make() {
	api POST "$services" '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "'"$1"'"}, "spec": {"selector": {"app": "echo"},
		"clusterIP": "'"$2"'", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]}}' >>"$HERE/made"
}
step late-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
make late 10.96.77.7
step late-begin 0 apply "$HERE/plan" --until configuration --yes --max-failed 100%
make later 10.96.88.8
dump late-before
step late-apply 0 resume --yes --max-failed 100%
dump late-moved
if [ "$1" = back ]; then
	step late-back 0 rollback --yes
else
	step late-finalize 0 finalize --yes --window 1s
	step late-verify 0 verify
fi
dump late-after
EOF

HERE=$tmp
export HERE
# addresses DUMP
addresses() {
	perl -MJSON::PP -0777 -ne 'for my $o (values %{decode_json($_)->{services}}) {
		print "$o->{metadata}{name} $o->{spec}{clusterIP}\n" if $o->{metadata}{name} =~ /^later?$/ }' "$1" | LC_ALL=C sort | tr '\n' ' '
}
# aliases DUMP: Services of ours
aliases() {
	perl -MJSON::PP -0777 -ne 'for my $o (values %{decode_json($_)->{services}}) {
		print "$o->{metadata}{name}\n" if $o->{metadata}{labels}{"kubectl-renumber/run"} }' "$1"
}
# play SCENARIO WAY
play() {
	rm -f "$tmp/steps" "$tmp/plan" "$tmp/made"
	renumber-lab --scenario "$1" --clock shared -- sh "$tmp/late" "$2" >"$tmp/lab.out" 2>&1 </dev/null || sed 's/^/# /' "$tmp/lab.out"
	steps_ended
	is "$(addresses "$tmp/late-before")" 'late 10.96.77.7 later 10.96.88.8 ' "$1: they hold old addresses"
	is "$(addresses "$tmp/late-moved" | sed 's/10\.17\.[0-9.]*/new/g')" 'late new later new ' "$1: both are moved"
	aliases "$tmp/late-moved" >"$out"
	has "$out" late-renumber "$1: their old addresses are kept meanwhile"
	if [ "$2" = back ]; then
		is "$(addresses "$tmp/late-after")" 'late 10.96.77.7 later 10.96.88.8 ' "$1: both go back"
	fi
	aliases "$tmp/late-after" >"$out"
	empty "$out" "$1: nothing of ours is left"
}
play healthy on
play healthy-1.20 back
done_testing
