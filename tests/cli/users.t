#!/bin/sh
# SPDX-License-Identifier: MIT
# Who uses an old address is named, and keeps it. The API answers from files; nodes are not reached, so
# that only Pods that run since before default/kubernetes was made can be known as users.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

uid=11111111-2222-3333-4444-555555555555
api=$tmp/api
state=$tmp/state
mkdir "$api"
mkfifo "$tmp/stop"
"$KR_BUILD/tests/cli/canned_api" "$api" <"$tmp/stop" >"$tmp/port" &
server=$!
exec 5>"$tmp/stop"
while [ ! -s "$tmp/port" ]; do sleep 0.05; done
port=$(cat "$tmp/port")

answer() {
	printf '200\n%s' "$2" >"$api/$(echo "$1" | sed 's|^/||; s|/|,|g')"
}

cat >"$tmp/config" <<END
apiVersion: v1
kind: Config
current-context: canned
contexts: [{name: canned, context: {cluster: canned, user: nobody}}]
clusters: [{name: canned, cluster: {server: "http://127.0.0.1:$port"}}]
users: [{name: nobody, user: {}}]
END
KUBECONFIG=$tmp/config
export KUBECONFIG

service() {
	printf '{"metadata":{"namespace":"%s","name":"%s","uid":"u-%s","creationTimestamp":"2025-11-24T16:00:41Z"%s},"spec":{"type":"ClusterIP","clusterIP":"%s","clusterIPs":["%s"],"ports":[]}}' \
		"$1" "$2" "$2" "$4" "$3" "$3"
}
pod() {
	printf '{"metadata":{"namespace":"shop","name":"%s","uid":"p-%s"},"spec":{"nodeName":"cp1"},"status":{"phase":"Running","podIP":"10.244.0.9","containerStatuses":[{"name":"c","state":{"running":{"startedAt":"%s"}}}]}}' \
		"$1" "$1" "$2"
}
list() {
	printf '{"kind":"List","apiVersion":"v1","metadata":{},"items":[%s]}' "$1"
}
answer /api/v1/namespaces/kube-system '{"kind":"Namespace","metadata":{"name":"kube-system","uid":"'$uid'"}}'
answer /version '{"gitVersion":"v1.36.3","major":"1","minor":"36"}'
answer /api/v1/nodes "$(list '{"metadata":{"name":"cp1","labels":{"node-role.kubernetes.io/control-plane":""}},"status":{"addresses":[{"type":"InternalIP","address":"10.1.15.121"}]}}')"
answer /api/v1/services "$(list "$(service default kubernetes 10.17.0.1 ''),$(service kube-system api-renumber-previous 10.96.0.1 ',"labels":{"kubectl-renumber/run":"r-report"}')")"
flags='{"metadata":{"namespace":"kube-system","name":"kube-apiserver-cp1","uid":"p-api","annotations":{"kubernetes.io/config.mirror":"x"},"labels":{"component":"kube-apiserver"}},"spec":{"nodeName":"cp1","hostNetwork":true,"containers":[{"name":"kube-apiserver","command":["kube-apiserver","--service-cluster-ip-range=10.17.0.0/16"]}]},"status":{"phase":"Running"}}'
answer /apis/networking.k8s.io '{"kind":"APIGroup","apiVersion":"v1","name":"networking.k8s.io","versions":[{"groupVersion":"networking.k8s.io/v1","version":"v1"}]}'
answer /apis/networking.k8s.io/v1 '{"kind":"APIResourceList","groupVersion":"networking.k8s.io/v1","resources":[{"name":"servicecidrs","namespaced":false,"kind":"ServiceCIDR","verbs":["list"]}]}'
answer /apis/networking.k8s.io/v1/servicecidrs "$(list '{"metadata":{"name":"kubernetes"},"spec":{"cidrs":["10.17.0.0/16"]}},{"metadata":{"name":"renumber-old","deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"cidrs":["10.96.0.0/16"]}}')"

old=$(pod worker-7 2025-11-24T15:00:00Z)
new=$(pod worker-8 2025-11-24T17:00:00Z)
"$KR_BUILD/tests/cli/report_journal" "$state/$uid" drained

for words in 'finalize --yes' status 'apply plan' resume; do
	# shellcheck disable=SC2086
	run $words --window soon --state-dir "$state" --nodes-via none
	is "$status" 1 "$words: a window that is none is a mistake"
	has "$err" "--window: 'soon' is no time" "$words: which is said"
done
run apply --max-failed many --state-dir "$state" --nodes-via none plan
has "$err" "--max-failed: 'many' is neither a number of requests, like 5, nor a share of them, like 2%" 'so is a limit that is none'

answer /api/v1/pods "$(list "$flags,$old,$new")"
: >"$api/requests"
run finalize --yes --window 0 --state-dir "$state" --nodes-via none
is "$status" 3 'finalize refuses while a Pod uses an old address'
has "$err" 'shop/worker-7 uses 10.96.0.1' 'it says who'
is "$(grep -c worker-8 "$err")" 0 'and not who uses the new one'
has "$err" '--accept in-use' 'and what to do all the same'
is "$(grep -vc '^GET ' "$api/requests")" 0 'nothing is written'

run status --state-dir "$state" --nodes-via none
is "$status" 2 'the run is open'
has "$out" '10.96.0.1 (default/kubernetes), kept by kube-system/api-renumber-previous: 1 user' 'status names the alias'
has "$out" 'shop/worker-7 (environment)' 'and its user'
run status --state-dir "$state" --nodes-via none -o json
is "$(jq -r '.evidence.addresses[0] | .address, .alias, .users[0].who, .users[0].how' "$out" | tr '\n' ' ')" \
	'10.96.0.1 kube-system/api-renumber-previous shop/worker-7 environment ' 'as JSON, too'
run finalize --yes --window 0 --accept in-use --state-dir "$state" --nodes-via none
has "$err" 'shop/worker-7 uses 10.96.0.1' 'accepted, it is said all the same'
isnt=$(grep -c 'restart them, or take' "$err" || :)
is "$isnt" 0 'and not refused for that'

exec 5>&-
wait "$server" || :
done_testing
