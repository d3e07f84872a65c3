#!/bin/sh
# SPDX-License-Identifier: MIT
# In the lab, deploy/rbac-read.yaml grants each request of the commands that only look, and none of them writes.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

rights=$KR_SRCDIR/tests/lib/rights
cat >"$tmp/look" <<'END'
for command in doctor certs 'scan --cidr 10.96.0.0/16' 'users --window 1s' status report verify "plan $WHAT --out $HERE/plan"; do
	# shellcheck disable=SC2086
	kubectl-renumber $command >>"$HERE/log" 2>&1 </dev/null || :
done
kubectl-renumber doctor >"$HERE/found" 2>&1 </dev/null
END
HERE=$tmp
export HERE
# look SCENARIO PLAN-OPTION
look() {
	rm -f "$tmp/requests" "$tmp/plan"
	WHAT=$2 renumber-lab --scenario "$1" --hurry 20 --requests "$tmp/requests" -- sh "$tmp/look" >"$out" 2>"$err" </dev/null || :
	"$rights" attributes <"$tmp/requests" >"$tmp/asked"
	ok "$1: a plan was made" test -s "$tmp/plan"
	"$rights" missing renumber-read "$KR_SRCDIR/deploy/rbac-read.yaml" <"$tmp/asked" >"$out"
	printf 'list\t-\tsecrets\t-\t-\n' >"$tmp/secrets"
	same "$out" "$tmp/secrets" "$1: all that the commands ask for is granted, but Secrets"
	grep -E '^(create|update|patch|delete)' "$tmp/asked" >"$out"
	empty "$out" "$1: none of them writes"
}
look local-dns '--to 10.17.0.0/16'
look incident-half-1.20 --repair

# What a run changes it asks for (all but a tourniquet before), and asks for nothing that deploy/rbac-run.yaml does not grant.
cat >"$tmp/run" <<'END'
# shellcheck disable=SC2086
kubectl-renumber plan $WHAT --out "$HERE/plan" >>"$HERE/log" 2>&1 </dev/null
kubectl-renumber apply "$HERE/plan" --yes --max-failed 100 >>"$HERE/log" 2>&1 </dev/null || exit
kubectl-renumber finalize --yes --window 1s >>"$HERE/log" 2>&1 </dev/null
END
# run SCENARIO PLAN-OPTION
run() {
	rm -f "$tmp/requests" "$tmp/plan"
	WHAT=$2 renumber-lab --scenario "$1" --clock shared --requests "$tmp/requests" -- sh "$tmp/run" >"$out" 2>"$err" </dev/null
	is $? 0 "$1: a run ends well"
	"$rights" unasked <"$tmp/requests" >"$out"
	empty "$out" "$1: it asks whether it may do each change"
	"$rights" may <"$tmp/requests" >"$tmp/asked"
	ok "$1: it asked" test -s "$tmp/asked"
	"$rights" missing renumber-run "$KR_SRCDIR/deploy/rbac-read.yaml" "$KR_SRCDIR/deploy/rbac-run.yaml" <"$tmp/asked" >"$out"
	empty "$out" "$1: all that it asks for is granted"
}
run local-dns '--to 10.17.0.0/16'
run healthy-1.20 '--to 10.17.0.0/16'
run incident-half --repair

# A right that is missing is told before anything is changed.
cat >"$tmp/refused" <<'END'
kubectl-renumber plan --to 10.17.0.0/16 --out "$HERE/plan" >>"$HERE/log" 2>&1 </dev/null
: >"$HERE/requests"
kubectl-renumber apply "$HERE/plan" --yes >"$HERE/said" 2>&1 </dev/null
END
rm -f "$tmp/plan"
renumber-lab --scenario healthy --clock shared --deny delete/servicecidrs --requests "$tmp/requests" -- sh "$tmp/refused" \
	>"$out" 2>"$err" </dev/null
is $? 3 'without a right apply stops'
ok 'it names the right' grep -q 'you lack rights that the plan needs: delete servicecidrs.networking.k8s.io; ' "$tmp/said"
"$rights" attributes <"$tmp/requests" | grep -E '^(create|update|patch|delete)' | grep -v -e leases -e configmaps >"$out"
empty "$out" 'and has changed nothing'

# the judge judges
# asks ACCOUNT VERB GROUP RESOURCE NAMESPACE NAME WANTED: granted or missing
asks() {
	account=$1
	shift
	printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" |
		"$rights" missing "$account" "$KR_SRCDIR/deploy/rbac-read.yaml" "$KR_SRCDIR/deploy/rbac-run.yaml" >"$out"
	if [ -s "$out" ]; then got=missing; else got=granted; fi
	is "$got" "$6" "$account: $1 $3 $5 in $4 of group $2 is $6"
}
asks renumber-read list - nodes - - granted
asks renumber-read list - secrets - - missing
asks renumber-read get - namespaces kube-system kube-system granted
asks renumber-read get - namespaces default default missing
asks renumber-read get - configmaps kube-system any granted
asks renumber-read get - configmaps shop any missing
asks renumber-read get - /apis/anything - - granted
asks renumber-read get - /metrics - - missing
asks renumber-read patch - services shop web missing
asks renumber-run patch - services shop web granted
asks renumber-run list - nodes - - granted
asks renumber-run create admissionregistration.k8s.io validatingwebhookconfigurations - - granted
asks renumber-run delete admissionregistration.k8s.io validatingwebhookconfigurations - kubectl-renumber-freeze granted
asks renumber-run delete admissionregistration.k8s.io validatingwebhookconfigurations - theirs missing
asks renumber-run update - endpoints default kubernetes granted
asks renumber-run update - endpoints shop web missing
done_testing
