# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The tool at work on a broken cluster, and the author's own way beside it.

TOOL=${KUBECTL_RENUMBER:-$(realpath "$LIB/../../..")/build/kubectl-renumber}

# What the operator says to what would be asked
CONSENTS=(--yes)

# tool_build: the tool as this tree has it, unless another one was named
tool_build() {
	[ -n "${KUBECTL_RENUMBER:-}" ] || make -s -C "$LIB/../../.." >&2
}

# tool COMMAND...: as an operator would call it
tool() {
	host_exec env KUBECONFIG="$KUBECONFIG_FILE" "$TOOL" "$@" --nodes-via ssh \
		--ssh-command "ssh -F $SSH_CONFIG" --state-dir "$DIR/state" </dev/null
}

# tool_exits STATUS COMMAND...: output in $RESULT/COMMAND.out and .err, earlier ones kept
tool_exits() {
	local want=$1 status=0
	shift

	[ ! -e "$RESULT/$1.err" ] || mv "$RESULT/$1.err" "$RESULT/$1.err.$SECONDS"
	say "tool: $*"
	tool "$@" >"$RESULT/$1.out" 2>"$RESULT/$1.err" || status=$?
	tail -n 20 "$RESULT/$1.err" >&2
	[ "$status" -eq "$want" ] || {
		echo "exit $status, not $want: $(tail -n 12 "$RESULT/$1.out" | cut -c 1-200) $(tail -n 3 "$RESULT/$1.err")"
		return 1
	}
}

# heal_doctor SCENARIO: finds the true state
heal_doctor() {
	local code point

	point=$(scenario_point "$1")
	say "doctor at $point"
	check 'doctor exits with findings' tool_exits 2 doctor -o json
	fact "codes_$point" "$(jq -c '[.findings[].code] | unique' "$RESULT/doctor.out" 2>/dev/null || echo null)"
	for code in $(scenario_codes "$point" "$REGIME"); do
		case $code in
		!*) check "$1: doctor does not claim ${code#!}" jq -e --arg code "${code#!}" \
			'all(.findings[]; .code != $code)' "$RESULT/doctor.out" ;;
		*) check "$1: doctor finds $code" jq -e --arg code "$code" \
			'any(.findings[]; .code == $code)' "$RESULT/doctor.out" ;;
		esac
	done
	[ "$point" != incident-certs-1of3 ] ||
		check 'doctor names the two control planes without the address, not the third' jq -e \
			--arg nodes "$CONTROL_PLANES" '($nodes / " ") as [$a, $b, $c] | .findings[] | select(.code == "KR301")
			| tojson | contains($b) and contains($c) and (contains($a) | not)' "$RESULT/doctor.out"
}

# A handshake costs the server milliseconds of a processor; where three control
# planes share few of them, more would measure the load that the probes make.
heal_probes() {
	local slower=1

	[ "$(nproc)" -ge 4 ] || slower=4
	probes_start <<-TARGETS
		tls api-old 10.96.0.1 443 $((50 * slower))
		tls api-new $NEW_API 443 $((50 * slower))
		tcp front-old $FRONT_OLD 80 $((10 * slower))
		tcp front-nodeport NODE 30080 $((10 * slower))
		dns dns-old 10.96.0.10 53 $((20 * slower)) kubernetes.default.svc.cluster.local
		dns dns-new 10.17.0.10 53 $((20 * slower)) kubernetes.default.svc.cluster.local
	TARGETS
}

# heal_apply: to the end, or with kills in between
heal_apply() {
	tool_through "$KILLS" "resume ${CONSENTS[*]}" apply "$RESULT/plan" "${CONSENTS[@]}"
}

heal_resume() {
	local try

	for try in 1 2 3; do
		say "resume after a failed apply, $try"
		! tool_exits 0 resume "${CONSENTS[@]}" || return 0
		sleep 5
	done
}

# snapshot FILE: all that a second apply could have changed
snapshot() {
	local node types

	types=$(kc api-resources --verbs=list -o name | grep -v -e '^events' -e '^leases' -e '^nodes$' \
		-e '^componentstatuses' | paste -sd,)
	# One type that is not answered leaves out others, too.
	wait_until 10 2 snapshot_objects "$types" "$1" || return 1
	for node in $NODES; do
		node_exec "$node" sh -c 'cd / && find etc/kubernetes var/lib/kubelet/config.yaml -type f \
			-exec stat -c "%n %i %y %a" {} + -exec sha256sum {} + | sort' | sed "s/^/$node /" >>"$1"
	done
}

# snapshot_objects TYPES FILE
snapshot_objects() {
	kc get "$1" -A -o json >"$2.json" || return 1
	# Pods that are ending go away by themselves.
	jq -cS '.items[] | select(.kind != "Pod" or (.metadata.deletionTimestamp | not))
		| del(.status, .metadata.managedFields)
		| if .kind | IN("Service", "ConfigMap", "ServiceCIDR", "IPAddress", "EndpointSlice", "ValidatingAdmissionPolicy")
		  then . else del(.metadata.resourceVersion) end' "$2.json" | sort >"$2"
}

check_second_apply() {
	snapshot "$RESULT/before" || return 1
	tool_exits 0 apply "$RESULT/plan" --yes || return 1
	snapshot "$RESULT/after" || return 1
	diff "$RESULT/before" "$RESULT/after"
}

# heal SCENARIO
heal() {
	local start

	heal_probes
	heal_doctor "$1"
	check 'a plan is made' tool_exits 0 plan --repair --out "$RESULT/plan"
	[ -s "$RESULT/plan" ] || die "no plan: $(tail -n 3 "$RESULT/plan.err")"
	start=$(date +%s.%N)
	check 'apply' heal_apply
	[ "$KILLS" -eq 0 ] || check 'the tool was killed often enough' kills_enough "$KILLS_LEAST"
	# It stopped part-way: what an operator would do, so that the rest can be looked at.
	[ "$(tail -n 1 "$RESULT/checks" | jq .ok)" = true ] || heal_resume
	fact apply_seconds "$(jq -n "now - $start | . * 10 | round / 10")"
	workloads_wait 120 || :
	check 'a second apply changes nothing' check_second_apply
	sleep 3
	fact old_address_seconds "$(probes_answering "$start" api-old)"
	fact new_address_seconds "$(probes_answering "$start" api-new)"
	check 'the old address answers within 2 s' old_address_in_time
	check 'finalize' tool_exits 0 finalize --yes
	check 'verify' tool_exits 0 verify
	kc get pods -A -o json >"$RESULT/pods.json" || :
	probes_stop
	fact probes "$(probes_results)"
	checks_healed
}

# Only 1.20's API servers and proxies may take longer.
old_address_in_time() {
	local seconds

	seconds=$(jq -s 'add.old_address_seconds' "$RESULT/facts")
	echo "$seconds s"
	[[ $VERSION = 1.20* ]] || jq -en "$seconds != null and $seconds <= 2" >/dev/null
}

# heal_procedure: what the incident's author did, without the time to think
heal_procedure() {
	local start

	heal_probes
	start=$(date +%s.%N)
	incident_pin_calico
	fact calico_seconds "$(jq -n "now - $start | round")"
	# shellcheck disable=SC2086 # a list of nodes
	incident_certificates $CONTROL_PLANES
	calico_configure "$NEW_API" 443
	wait_until 120 1 calico_ready || die "calico is not up with the new address"
	fact apply_seconds "$(jq -n "now - $start | round")"
	sleep 3
	fact old_address_seconds "$(probes_answering "$start" api-old)"
	fact new_address_seconds "$(probes_answering "$start" api-new)"
	probes_stop
	fact probes "$(probes_results)"
	check 'calico runs on every node' check_calico
	check "a new Pod reaches https://$NEW_API verified" check_pod_reaches
	fact client_answered "$(if client_answered; then echo true; else echo false; fi)"
}

# heal_certificates: all certificates made anew on a healthy cluster
heal_certificates() {
	local node

	heal_probes
	check 'certs finds nothing wrong' tool_exits 0 certs -o json
	check 'certs --issue all' tool_exits 0 certs --issue all --yes
	for node in $CONTROL_PLANES; do
		check "$node: kubeadm and openssl accept the certificates" check_kubeadm_certificates "$node"
		check "$node: the API server serves what is on disk" served_is_on_disk "$node" 6443 apiserver
		check "$node: etcd serves what is on disk" served_is_on_disk "$node" 2379 etcd/server
		check "$node: etcd's peers see what is on disk" served_is_on_disk "$node" 2380 etcd/peer
		check "$node: the API server works with its new clients" kc_at "$node" get --raw '/readyz?verbose'
	done
	# an API server that takes up a new client certificate closes its connections to kubelets
	check 'logs are read with the new kubelet client' wait_until 10 1 kc -n shop logs -l app=client --tail=1
	check 'etcd starts with its new certificates' etcd_restarts
	probes_stop
	fact probes "$(probes_results)"
}

# served_is_on_disk NODE PORT NAME: within the minute that servers take to look
served_is_on_disk() {
	wait_until 75 1 served_same "$@"
}

served_same() {
	local want got client=etcd/healthcheck-client

	[ "$2" != 2380 ] || client=etcd/peer
	want=$(node_exec "$1" openssl x509 -noout -fingerprint -in "/etc/kubernetes/pki/$3.crt")
	got=$(node_exec "$1" sh -c "cd /etc/kubernetes/pki && openssl s_client -connect $(node_address "$1"):$2 \
		-cert $client.crt -key $client.key </dev/null 2>/dev/null | openssl x509 -noout -fingerprint")
	[ -n "$got" ] && [ "$want" = "$got" ]
}

etcd_restarts() {
	local node=${CONTROL_PLANES##* } pid

	pid=$(node_exec "$node" pidof etcd) && node_exec "$node" kill "$pid" &&
		wait_until 90 1 etcd_healthy "$node" "$pid"
}

etcd_healthy() {
	[ "$(node_exec "$1" pidof etcd)" != "$2" ] && node_exec "$1" sh -c 'cd /etc/kubernetes/pki/etcd &&
		etcdctl --endpoints https://127.0.0.1:2379 --cacert ca.crt --cert healthcheck-client.crt \
		--key healthcheck-client.key endpoint health --cluster'
}
