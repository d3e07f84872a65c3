#!/bin/sh
# SPDX-License-Identifier: MIT
# In the lab: the addresses that everything depends on are held from the moment at which servers give
# them out, and endpoints that somebody writes by hand are followed by those of the alias.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"
. "$KR_SRCDIR/tests/lib/steps.sh"

# first METHOD PATH [BODY [TYPE]]: the answer's first line
cat >"$tmp/first" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
first() {
	api "$@" | head -n 1
}
EOF

cat >"$tmp/hold" <<'EOF'
. "$HERE/first"
scenario=$1
step $scenario-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
step $scenario-ranges 0 apply "$HERE/plan" --until ranges --yes
dump $scenario-held
for host in 1 10; do
	first POST /api/v1/namespaces/default/services '{"apiVersion": "v1", "kind": "Service",
		"metadata": {"name": "thief"}, "spec": {"clusterIP": "10.17.0.'$host'", "ports": [{"port": 80}]}}'
done >"$HERE/$scenario-thief"
if [ "$2" ]; then
	step $scenario-services 0 resume --until services --yes
	dump $scenario-moved
	[ "$2" != again ] || {
		step $scenario-to-ranges 0 rollback --to ranges --yes
		dump $scenario-again
		step $scenario-services-again 0 resume --until services --yes
	}
fi
step $scenario-back 0 rollback --yes
dump $scenario-back
EOF

# Somebody else has the address when it is to be held.
cat >"$tmp/taken" <<'EOF'
. "$HERE/first"
step taken-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
step taken-configuration 0 apply "$HERE/plan" --until configuration --yes
first POST /apis/networking.k8s.io/v1/servicecidrs '{"apiVersion": "networking.k8s.io/v1",
	"kind": "ServiceCIDR", "metadata": {"name": "renumber-new"}, "spec": {"cidrs": ["10.17.0.0/16"]}}' >"$HERE/taken-cidr"
sleep 1
first POST /api/v1/namespaces/default/services '{"apiVersion": "v1", "kind": "Service",
	"metadata": {"name": "thief"}, "spec": {"clusterIP": "10.17.0.10", "ports": [{"port": 80}]}}' >"$HERE/taken-thief"
step taken-ranges 4 apply "$HERE/plan" --until ranges --yes
EOF

cat >"$tmp/copies" <<'EOF'
. "$HERE/first"
slice() {
	echo '{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "'$1'",
		"labels": {"kubernetes.io/service-name": "outside"}}, "addressType": "IPv4",
		"endpoints": [{"addresses": ["'$2'"], "conditions": {"ready": true}}],
		"ports": [{"name": "", "port": 9000, "protocol": "TCP"}]}'
}
slices=/apis/discovery.k8s.io/v1/namespaces/default/endpointslices
first POST /api/v1/namespaces/default/services '{"apiVersion": "v1", "kind": "Service",
	"metadata": {"name": "outside"}, "spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 9000}]}}' >"$HERE/copies-made"
first POST $slices "$(slice one 198.51.100.1)" >>"$HERE/copies-made"
first POST $slices "$(slice two 198.51.100.2)" >>"$HERE/copies-made"
step copies-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
step copies-services 0 apply "$HERE/plan" --until services --yes
dump copies-first
first PATCH $slices/one '{"endpoints": [{"addresses": ["198.51.100.9"], "conditions": {"ready": true}}]}' application/merge-patch+json >>"$HERE/copies-made"
first DELETE $slices/two >>"$HERE/copies-made"
first POST $slices "$(slice three 198.51.100.3)" >>"$HERE/copies-made"
step copies-defaults 0 apply "$HERE/plan" --until defaults --yes
dump copies-second
step copies-all 0 apply "$HERE/plan" --yes
step copies-finalize 0 finalize --yes
dump copies-end
EOF

HERE=$tmp
export HERE
# within SCENARIO SCRIPT [moved|again]
within() {
	renumber-lab --scenario "$1" --hurry 20 --pace 20 -- sh "$tmp/$2" "$1" "${3-}" >"$tmp/lab.out" 2>&1 </dev/null ||
		sed 's/^/# /' "$tmp/lab.out"
}
within healthy hold
within healthy-1.33 hold again
within healthy-1.32 hold moved
within healthy-1.20 hold
within healthy taken
within healthy copies
steps_ended

# holders DUMP: who has the first and the tenth address of the new range
holders() {
	perl -MJSON::PP -0777 -ne 'for my $o (values %{decode_json($_)->{services}}) {
		print "$o->{spec}{clusterIP} $o->{metadata}{name}\n" if ($o->{spec}{clusterIP} // "") =~ /^10\.17\.0\.10?$/;
	}' "$1" | LC_ALL=C sort
}
for scenario in healthy healthy-1.33 healthy-1.32 healthy-1.20; do
	is "$(holders "$tmp/$scenario-held")" '10.17.0.1 renumber-hold-kubernetes
10.17.0.10 renumber-hold-dns' "$scenario: held as soon as they are given out"
	is "$(grep -c ' 422 ' "$tmp/$scenario-thief")" 2 "$scenario: nobody else gets them"
	is "$(holders "$tmp/$scenario-back")" '' "$scenario: free again on the way back"
	lacks "$tmp/$scenario-back" 'renumber-hold' "$scenario: and nothing is held then"
done
is "$(holders "$tmp/healthy-1.33-again")" "$(holders "$tmp/healthy-1.33-held")" 'held again after the way back to ranges'
for moved in healthy-1.33-moved healthy-1.32-moved copies-first; do
	is "$(holders "$tmp/$moved")" '10.17.0.1 kubernetes
10.17.0.10 kube-dns' "$moved: released to those that they are for"
	lacks "$tmp/$moved" 'renumber-hold' "$moved: and nothing is held then"
done
has "$tmp/taken-ranges.err" "Service 'default/thief' has the address 10.17.0.10" 'who has such an address is named'

# copies DUMP SERVICE: endpoints of the slices of aliases of "outside" (SERVICE: of itself)
copies() {
	perl -MJSON::PP -0777 -sne 'for my $o (values %{decode_json($_)->{endpointslices}}) {
		my $of = $o->{metadata}{labels}{"kubernetes.io/service-name"} // "";
		print "$of ", join(" ", map { $_->{addresses}[0] } @{$o->{endpoints}}), "\n" if $of =~ /^outside-renumber/;
	}' "$1" | LC_ALL=C sort
}
is "$(copies "$tmp/copies-first")" 'outside-renumber-previous 198.51.100.1
outside-renumber-previous 198.51.100.2' 'an alias has copies of what was written by hand'
is "$(copies "$tmp/copies-second")" 'outside-renumber-previous 198.51.100.3
outside-renumber-previous 198.51.100.9' 'and they follow: changed, new and deleted ones'
is "$(copies "$tmp/copies-end")" '' 'none is left at the end'
done_testing
