#!/bin/sh
# SPDX-License-Identifier: MIT
# In the lab: node-local DNS listens at both addresses while a cluster moves, and at the new one alone at the end. Its
# Pods end when their Corefile and their argument differ, so that each of them would show.
# --max-failed: on a busy machine probes time out, and that is not what is looked at here.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"
. "$KR_SRCDIR/tests/lib/steps.sh"

# There, back to before the nodes, there again, and to the end; killed before or after each change that finalize makes.
cat >"$tmp/move" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
step scan 2 scan -o json
step plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
dump before
step dry 0 apply "$HERE/plan" --dry-run --yes
dump dry
step nodes 0 apply "$HERE/plan" --until nodes --yes --max-failed 1000
dump both
step back 0 rollback --to defaults --yes
dump back
step drain 0 resume --yes --max-failed 1000
dump drain
for change in 2 3 4 5 6 7 8; do
	for before in true false; do
		renumber-lab as-control "$RENUMBER_LAB" '{"do": "arm", "killAt": '$change', "before": '$before'}' >/dev/null
		sh -c 'renumber-lab as-control "$RENUMBER_LAB" "{\"do\": \"client\", \"pid\": $$}" >/dev/null
			exec kubectl-renumber finalize --yes --window 1s' >>"$HERE/kills" 2>&1 </dev/null
		echo "finalize $?" >>"$HERE/kills"
		renumber-lab as-control "$RENUMBER_LAB" '{"do": "arm"}' >/dev/null
	done
done
step finalize 0 finalize --yes
dump after
step verify 0 verify
EOF

# Pods that somebody has to delete, and the whole way back.
cat >"$tmp/rollback" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
api PATCH "$SET" '{"spec": {"updateStrategy": {"type": "OnDelete"}}}' application/merge-patch+json >/dev/null
step rollback-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
dump rollback-before
step rollback-apply 0 apply "$HERE/plan" --yes --max-failed 1000
dump rollback-both
step rollback-back 0 rollback --yes
dump rollback-after
EOF

# What somebody else makes and changes is his.
cat >"$tmp/foreign" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
step foreign-plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
step foreign-services 0 apply "$HERE/plan" --until defaults --yes --max-failed 1000
api POST "$MAPS" '{"metadata": {"name": "node-local-dns-renumber"}, "data": {"a": "b"}}' >/dev/null
step foreign-taken 3 resume --until nodes --yes --max-failed 1000
dump foreign-taken-dump
api DELETE "$MAPS/node-local-dns-renumber" >/dev/null
step foreign-nodes 0 resume --until nodes --yes --max-failed 1000
api PATCH "$SET" '{"spec": {"template": {"spec": {"priorityClassName": "theirs"}}}}' application/merge-patch+json >/dev/null
args() {
	api GET "$SET" | perl -MJSON::PP -0777 -ne 's/.*?\r\n\r\n//s; my $c = decode_json($_)->{spec}{template}{spec}{containers};
		s/^169.*/'"$1"'/ for @{$c->[0]{args}}; print encode_json({spec => {template => {spec => {containers => $c}}}})'
}
args 169.254.20.10,10.96.0.10,10.17.0.10,10.17.0.99 >"$HERE/theirs"
api PATCH "$SET" "$(cat "$HERE/theirs")" application/merge-patch+json >/dev/null
step foreign-refused 4 rollback --to defaults --yes
args 169.254.20.10,10.96.0.10,10.17.0.10 >"$HERE/ours"
api PATCH "$SET" "$(cat "$HERE/ours")" application/merge-patch+json >/dev/null
step foreign-back 0 rollback --to defaults --yes
dump foreign-back-dump
EOF

HERE=$tmp
SET=/apis/apps/v1/namespaces/kube-system/daemonsets/node-local-dns
MAPS=/api/v1/namespaces/kube-system/configmaps
export HERE SET MAPS
# within SCENARIO SCRIPT
within() {
	renumber-lab --scenario "$1" --clock shared --requests "$tmp/requests" -- sh "$tmp/$2" >"$tmp/lab.out" 2>&1 </dev/null ||
		sed 's/^/# /' "$tmp/lab.out"
}
within local-dns move
within local-dns-1.20 rollback
within local-dns-1.33 foreign
renumber-lab --scenario local-dns --clock shared --deny list/daemonsets -- \
	sh -c 'kubectl-renumber plan --to 10.17.0.0/16 --out "$HERE/unseen"' >"$tmp/unseen.out" 2>"$tmp/unseen.err" </dev/null
is $? 0 'a plan is made without the right to list DaemonSets'
has "$tmp/unseen.out" 'whether there is node-local DNS could not be seen' 'and says what it could not see'
steps_ended

# dns DUMP: node-local DNS as it stands there; what servers count is left out
dns() {
	perl -MJSON::PP -0777 -ne 'my $all = decode_json($_); my $json = JSON::PP->new->canonical;
		for my $plural (qw(configmaps daemonsets)) {
			for my $o (sort { $a->{metadata}{name} cmp $b->{metadata}{name} } values %{$all->{$plural}}) {
				next unless $o->{metadata}{name} =~ /^node-local-dns/;
				delete @{$o->{metadata}}{qw(resourceVersion generation)};
				delete $o->{status}{observedGeneration};
				print "$plural ", $json->encode($o), "\n";
			}
		}' "$tmp/$1"
}
# pods DUMP: how many Pods of it mount which ConfigMap, listen where, and are ready
pods() {
	perl -MJSON::PP -0777 -ne 'my %seen; for my $o (values %{decode_json($_)->{pods}}) {
			next unless $o->{metadata}{name} =~ /^node-local-dns/;
			my ($ready) = grep { $_->{type} eq "Ready" } @{$o->{status}{conditions}};
			$seen{"$o->{spec}{containers}[0]{args}[1] $o->{spec}{volumes}[1]{configMap}{name} $ready->{status}"}++;
		} print join(", ", map { "$seen{$_} $_" } sort keys %seen)' "$tmp/$1"
}
for dump in before dry both back drain after rollback-before rollback-both rollback-after foreign-taken-dump foreign-back-dump; do
	dns "$dump" >"$tmp/$dump.dns"
done

is "$(jq -r '[.findings[] | select(.subject | test("node-local-dns")) | .class] | unique | join(" ")' "$tmp/scan.out")" moved \
	'scan: a run moves node-local DNS'
has "$tmp/plan.out" 'node-local DNS (DaemonSet/kube-system/node-local-dns) is restarted node by node' 'plan says what it costs'
same "$tmp/dry.dns" "$tmp/before.dns" 'a dry run changes nothing'
ok "and says what would be" grep -q "+ s[0-9]* DaemonSet/kube-system/node-local-dns: node-local DNS at 10.17.0.10 beside 10.96.0.10" "$tmp/dry.err"
is "$(pods before)" '5 169.254.20.10,10.96.0.10 node-local-dns True' 'before: at the old address'
is "$(pods both)" '5 169.254.20.10,10.96.0.10,10.17.0.10 node-local-dns-renumber True' 'nodes: at both, on every node'
is "$(grep -c 'bind 169.254.20.10 10.96.0.10 10.17.0.10\\n.*bind 169.254.20.10 10.96.0.10 10.17.0.10\\n' "$tmp/both.dns")" 1 \
	'nodes: the copy has both'
grep '^configmaps.*"node-local-dns",' "$tmp/both.dns" >"$out"
grep '^configmaps' "$tmp/before.dns" >"$err"
same "$out" "$err" 'nodes: the original is as it was'
same "$tmp/back.dns" "$tmp/before.dns" 'rollback to before the nodes: as it was'
is "$(pods back)" '5 169.254.20.10,10.96.0.10 node-local-dns True' 'and so is each Pod'
is "$(pods drain)" '5 169.254.20.10,10.96.0.10,10.17.0.10 node-local-dns-renumber True' 'drain: at both again'
ok 'finalize was killed on its way' test "$(grep -c '^finalize 137' "$tmp/kills")" -ge 6
sed 's/10\.96\.0\.10/10.17.0.10/g' "$tmp/before.dns" >"$out"
same "$tmp/after.dns" "$out" 'at the end: the new address for the old one, and nothing else'
is "$(pods after)" '5 169.254.20.10,10.17.0.10 node-local-dns True' 'at the end: on every node'

is "$(pods rollback-both)" '5 169.254.20.10,10.96.0.10,10.17.0.10 node-local-dns-renumber True' 'OnDelete: all Pods are new'
same "$tmp/rollback-after.dns" "$tmp/rollback-before.dns" 'OnDelete: the whole way back brings back what was'
is "$(pods rollback-after)" '5 169.254.20.10,10.96.0.10 node-local-dns True' 'OnDelete: and all Pods of it'

has "$tmp/foreign-taken.err" "ConfigMap 'kube-system/node-local-dns-renumber' is there already, and this run did not make it" \
	'a ConfigMap of somebody else is said'
is "$(grep -c '{"a":"b"}' "$tmp/foreign-taken-dump.dns")" 1 'and stays'
is "$(pods foreign-taken-dump)" '5 169.254.20.10,10.96.0.10 node-local-dns True' 'and nothing else was changed'
has "$tmp/foreign-refused.err" 'DaemonSet/kube-system/node-local-dns was changed by somebody since this run wrote it' \
	'where somebody else has it listen is said on the way back'
sed 's/,"priorityClassName":"theirs"//' "$tmp/foreign-back-dump.dns" >"$out"
perl -pe 's/"uid":"[^"]*"|"creationTimestamp":"[^"]*"//g' "$out" >"$err"
perl -pe 's/"uid":"[^"]*"|"creationTimestamp":"[^"]*"//g' "$tmp/before.dns" >"$out"
same "$err" "$out" 'what he changed beside stays, and the rest goes back'
ok 'it was there' grep -q theirs "$tmp/foreign-back-dump.dns"
done_testing
