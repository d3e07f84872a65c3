#!/bin/sh
# SPDX-License-Identifier: MIT
# In the lab, a run that was killed on its way turns round, and certificates of others stay.
# --max-failed: on a busy machine probes time out, and that is not what is looked at here.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"
. "$KR_SRCDIR/tests/lib/steps.sh"

# A server is out of service while its manifest is being written.
cat >"$tmp/roll" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
step roll-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
step roll-services 0 apply "$HERE/plan" --until services --yes --max-failed 1000
dump whole
killed roll-killed 'grep -q 10.17 "$RENUMBER_LAB"/nodes/cp1/etc/kubernetes/manifests/kube-apiserver.yaml' resume --yes --max-failed 1000
dump out
step roll-back 0 rollback --to services --yes
dump again
EOF

# The undo of the default ServiceCIDR takes its cover away, and it stays away.
cat >"$tmp/cover" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
step cover-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
step cover-apply 0 apply "$HERE/plan" --until defaults --yes --max-failed 1000
killed cover-killed 'grep -q "↶.*the default Service range" "$HERE/cover-killed.err"' rollback --yes
step cover-back 0 rollback --yes
dump covers
EOF

cat >"$tmp/certificate" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
pki=$RENUMBER_LAB/nodes/cp1/etc/kubernetes/pki
step certificate-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
cp "$pki/apiserver.crt" "$HERE/first.crt"
cp "$pki/apiserver.key" "$HERE/first.key"
step certificate-apply 0 apply "$HERE/plan" --until certificates --yes --max-failed 1000
names=$(openssl x509 -in "$pki/apiserver.crt" -noout -ext subjectAltName | sed -n '2s/IP Address:/IP:/gp')
openssl req -new -key "$pki/apiserver.key" -subj /CN=kube-apiserver -addext "subjectAltName=$names" |
	openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -copy_extensions copyall -days 30 -out "$HERE/theirs.crt"
cat "$HERE/theirs.crt" >"$pki/apiserver.crt"
step certificate-theirs 4 rollback --yes
cp "$pki/apiserver.crt" "$HERE/stayed.crt"
cat "$HERE/first.key" >"$pki/apiserver.key"
cat "$HERE/first.crt" >"$pki/apiserver.crt"
step certificate-back 0 rollback --yes
EOF

# Somebody makes Services anew while they are moved: in the new range, and in the old one.
cat >"$tmp/foreign" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
services=/api/v1/namespaces/shop/services
# anew NAME ADDRESS: somebody deletes the Service and makes it again
anew() {
	body=$(api GET "$services/$1" | perl -MJSON::PP -0777 -ne 's/.*?\r\n\r\n//s; my $s = decode_json($_);
		delete $s->{metadata}{$_} for qw(uid resourceVersion creationTimestamp managedFields generation); delete $s->{status};
		delete $s->{spec}{$_} for qw(clusterIPs ipFamilies); $s->{spec}{clusterIP} = "'"$2"'"; print encode_json($s)')
	api DELETE "$services/$1" >/dev/null
	api POST "$services" "$body" >>"$HERE/anew"
}
step foreign-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
step foreign-apply 0 apply "$HERE/plan" --until services --yes --max-failed 100%
anew plain 10.17.200.1
anew datagram 10.96.200.1
step foreign-back 4 rollback --yes
dump foreign-left
anew plain 10.96.200.2
step foreign-again 0 rollback --yes
dump foreign-whole
EOF

HERE=$tmp
export HERE
# within SCENARIO SCRIPT
within() {
	renumber-lab --scenario "$1" --hurry 20 --pace 20 --requests "$tmp/requests" -- sh "$tmp/$2" >"$tmp/lab.out" 2>&1 </dev/null ||
		sed 's/^/# /' "$tmp/lab.out"
}
within healthy roll
within healthy-1.33 cover
within healthy certificate
within healthy foreign
steps_ended

# slices DUMP: which API servers our slices hold
slices() {
	perl -MJSON::PP -0777 -ne 'for my $o (values %{decode_json($_)->{endpointslices}}) {
		next if ($o->{metadata}{labels}{"endpointslice.kubernetes.io/managed-by"} // "") ne "kubectl-renumber";
		print "$o->{metadata}{name} ", join(" ", sort map { $_->{addresses}[0] } @{$o->{endpoints}}), "\n";
	}' "$1" | grep 127. | LC_ALL=C sort
}
slices "$tmp/whole" >"$tmp/slices-whole"
slices "$tmp/out" >"$tmp/slices-out"
slices "$tmp/again" >"$tmp/slices-again"
ok 'a server was out of a slice of ours' sh -c '! cmp -s "$0/slices-whole" "$0/slices-out"' "$tmp"
same "$tmp/slices-again" "$tmp/slices-whole" 'and is back in it, although the run turned round'
lacks "$tmp/covers" '-back"' 'no cover of the way back is left'
has "$tmp/certificate-theirs.err" 'was changed by somebody' 'a certificate that somebody changed is said'
same "$tmp/stayed.crt" "$tmp/theirs.crt" 'and stays'
# addresses DUMP: of the Services of the application
addresses() {
	perl -MJSON::PP -0777 -ne 'for my $o (values %{decode_json($_)->{services}}) {
		print "$o->{metadata}{name} ", $o->{spec}{clusterIP} =~ /^(\d+\.\d+)/, "\n"
			if $o->{metadata}{namespace} eq "shop" && $o->{metadata}{name} =~ /^(datagram|front|pair|plain)$/;
	}' "$1" | LC_ALL=C sort | tr '\n' ' '
}
is "$(addresses "$tmp/foreign-left")" 'datagram 10.96 front 10.96 pair 10.96 plain 10.17 ' \
	'the others go back although two Services are of somebody else now'
has "$tmp/foreign-back.err" '1 of 4 Services not moved; Service/shop/plain: it has the address 10.17.200.1, which is not from this run' \
	'the one that is in the way is said'
has "$tmp/foreign-back.err" 'warning: Service/shop/datagram has the address 10.96.200.1, which is not from this run; it stays' \
	'so is the one that is not'
is "$(addresses "$tmp/foreign-whole")" 'datagram 10.96 front 10.96 pair 10.96 plain 10.96 ' 'and the way back can be ended'
"$KR_SRCDIR/tests/lib/rights" attributes <"$tmp/requests" | "$KR_SRCDIR/tests/lib/rights" missing renumber-run \
	"$KR_SRCDIR/deploy/rbac-read.yaml" "$KR_SRCDIR/deploy/rbac-run.yaml" >"$out"
empty "$out" 'deploy/rbac-run.yaml grants each request of a run that turns round'
done_testing
