#!/bin/sh
# SPDX-License-Identifier: MIT
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

# Plans of recorded clusters, as a person and as a program reads them.

healthy=$KR_SRCDIR/tests/data/doctor/healthy-1.36/observation.json

run plan --to 10.17.0.0/16 --observation "$healthy" --out "$tmp/move.plan"
is "$status" 0 'a healthy cluster: a plan'
has "$out" 'range:   10.96.0.0/16 -> 10.17.0.0/16' 'from where to where'
has "$out" '2 Services move, 3 API servers restart, 3 kubelets restart, 1 workload restarts; about ' \
	'what it comes to stands first'
has "$out" 'No consent is needed but the general one.' 'what apply will ask'
has "$out" "kubectl renumber apply $tmp/move.plan" 'and the next command'
is "$(grep -nE '^  (certificates|ranges|services|defaults|nodes|drain|finalize):' "$out" |
	cut -d: -f2 | tr -d '\n')" '  certificates  ranges  services  defaults  nodes  drain  finalize' \
	'stages in their order'
empty "$err" 'nothing on stderr'
has "$tmp/move.plan" '"mode": "migrate"' 'the file says what it is'
is "$(grep -c '"stage": "services"' "$tmp/move.plan")" \
	"$(sed -n '/^  services:/,/^  defaults:/p' "$out" | grep -c '^    s')" 'a line for each step'

run plan --to 10.17.0.0/16 --observation "$healthy" -o json
is "$status" 0 'the same as JSON'
has "$out" '"kind": "Plan"' 'which says what it is'

run plan --to 10.96.0.0/16 --observation "$healthy"
is "$status" 0 'a cluster that is there already'
has "$out" 'Nothing to do' 'has nothing to do'

run plan --to 10.96.128.0/17 --observation "$healthy" --out "$tmp/none.plan"
is "$status" 3 'a range within the present one is refused'
has "$err" "overlaps with the present range '10.96.0.0/16'" 'with the reason'
ok 'and no plan is written' test ! -e "$tmp/none.plan"

sed 's/v1\.36\.3/v1.36.3-eks-1/' "$healthy" >"$tmp/eks.json"
run plan --to 10.17.0.0/16 --observation "$tmp/eks.json"
is "$status" 3 "a provider's cluster is refused"
has "$err" 'Amazon EKS' 'by name'

# ---- own addresses ----

printf '# mine\nkube-system/kube-dns = 10.17.0.10\n' >"$tmp/own.map"
run plan --to 10.17.0.0/16 --observation "$healthy" --map "$tmp/own.map"
is "$status" 0 'an own address that is the right one'
printf 'kube-system/kube-dns 10.17.0.53\n' >"$tmp/own.map"
run plan --to 10.17.0.0/16 --observation "$healthy" --map "$tmp/own.map"
is "$status" 1 'another address for cluster DNS'
has "$err" "own.map:1: new address '10.17.0.53'" 'with its place'
printf '\nshop/cart 10.17.0.53\n' >"$tmp/own.map"
run plan --to 10.17.0.0/16 --observation "$healthy" --map "$tmp/own.map"
is "$status" 1 'a Service that is not there'
has "$err" "own.map:2:1: there is no Service 'shop/cart'" 'with its place'
run plan --to 10.17.0.0/16 --observation "$healthy" --map "$tmp/none.map"
is "$status" 1 'a map that is not there'

# ---- many steps ----

# forty Services: the list is folded, unless all of it is wanted
awk '{ if (/"services": \[/ && !done) { done = 1; print
	for (i = 1; i <= 40; i++)
		printf "{\"metadata\":{\"name\":\"s%d\",\"namespace\":\"n\"},\"spec\":{\"clusterIP\":\"10.96.2.%d\",\"selector\":{\"a\":\"b\"}}},\n", i, i
	} else print }' "$healthy" >"$tmp/many.json"
run plan --to 10.17.0.0/16 --observation "$tmp/many.json"
is "$status" 0 'forty Services more'
has "$out" '42 Services move' 'are counted'
has "$out" '(-o wide lists them)' 'their many steps are folded'
folded=$(grep -c '^    s' "$out")
run plan --to 10.17.0.0/16 --observation "$tmp/many.json" -o wide
lacks "$out" '(-o wide lists them)' 'and listed where that is wanted'
ok 'which is more' test "$(grep -c '^    s' "$out")" -gt "$folded"

done_testing
