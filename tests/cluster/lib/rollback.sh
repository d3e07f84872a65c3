# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# To a stage and back: every byte, every address, every environment as before.

# rollback_from STAGE
rollback_from() {
	local stage=$1 back

	migrate_plan
	files_keep before
	migrate_begin
	check "apply --until $stage" tool_follow 0 apply "$RESULT/plan" "${CONSENTS[@]}" --until "$stage"
	fact apply_seconds "$(jq -n "($EPOCHREALTIME - $START) * 10 | round / 10")"
	fact state_at_stage "$(rollback_state)"
	back=$EPOCHREALTIME
	follow_note 'rollback begins'
	check 'rollback' rollback_whole
	fact rollback_seconds "$(jq -n "($EPOCHREALTIME - $back) * 10 | round / 10")"
	check 'no run is open' tool_exits 0 status
	workloads_wait 120 || :
	sleep 5
	migrate_end rollback_windows "$back"
	PROBED=$NODES
	check 'every address was probed on every node' rollback_asked
	migrate_lost_check
	rollback_checks
}

rollback_whole() {
	local try

	tool_follow 0 rollback --yes && return
	for try in 1 2 3; do
		follow_note "rollback again, $try"
		! tool_follow 0 rollback --yes || break
		sleep 5
	done
	return 1
}

# What of the way was gone when it was taken back: nothing would prove nothing.
rollback_state() {
	local flags=0 node

	for node in $CONTROL_PLANES; do
		[ "$(api_flag "$node")" != "$NEW_RANGE" ] || flags=$((flags + 1))
	done
	jq -nc --argjson flags $flags --argjson moved "$(kc get services -A -o json |
		jq '[.items[] | select((.spec.clusterIP // "") | startswith("10.17.")) | select(.metadata.name | contains("-renumber-") | not)] | length')" \
		--argjson aliases "$(kc get services -A -o name | grep -c -e '-renumber-')" \
		'{ servers_with_new_range: $flags, services_moved: $moved, aliases: $aliases }'
}

# Old addresses all the time, new ones from their flip until the way back begins
rollback_windows() {
	migrate_windows "$1" | jq --argjson until "$EPOCHREALTIME" 'with_entries(
		if .key | endswith("-old") or . == "nodeport" then .value = { from: 0, to: $until } else . end)'
}

rollback_asked() {
	jq -e --arg nodes "$PROBED" '[.probes[] | select(.from == "node") | "\(.node) \(.name)"] as $have
		| all(($nodes | split(" "))[] | select(. != "") as $node
			| ("api-old", "service-old", "nodeport", "dns-old", "control") | "\($node) \(.)"; IN($have[]))' "$RESULT/measured" >/dev/null
}

# files_keep WHEN: every file, with its mode, owner and content
files_keep() {
	local node

	for node in $NODES; do
		node_exec "$node" sh -c 'find /etc/kubernetes /var/lib/kubelet/config.yaml -type f | LC_ALL=C sort |
			while read -r f; do stat -c "%a %u:%g" "$f" | tr "\n" " "; sha256sum "$f"; done' | sed "s/^/$node /"
	done >"$RESULT/files-$1"
}

files_same() {
	files_keep after
	diff "$RESULT/files-before" "$RESULT/files-after"
}

rollback_addresses() {
	kc get services -A -o json | jq -r '.items[] | select((.spec.clusterIP // "") | startswith("10.17."))
		| "\(.metadata.namespace)/\(.metadata.name) is \(.spec.clusterIP)"' >"$RESULT/left"
	cat "$RESULT/left"
	[ ! -s "$RESULT/left" ] || return 1
	[ "$(service_address default kubernetes)" = 10.96.0.1 ] && [ "$(service_address kube-system kube-dns)" = 10.96.0.10 ] &&
		[ "$(service_address shop front)" = "$FRONT_OLD" ]
}

# Processes of the test's Pods: what they were started with. Nobody knows the
# variables that kubelet makes of our aliases; they do not count.
rollback_environment() {
	local node

	for node in $NODES; do
		node_exec "$node" sh -c 'for p in $(pidof client echo coredns calico); do
			tr "\0" "\n" </proc/$p/environ 2>/dev/null | grep "=.*10\.17\." |
				grep -vE "^[A-Z0-9_]*_RENUMBER_(BRIDGE|PREVIOUS)_" | sed "s/^/$p /"
			grep -H "nameserver 10\.17\." /proc/$p/root/etc/resolv.conf 2>/dev/null; done' | sed "s/^/$node: /"
	done >"$RESULT/environment"
	cat "$RESULT/environment"
	[ ! -s "$RESULT/environment" ]
}

rollback_default_cidr() {
	[ "$REGIME" != servicecidr ] || wait_until 60 2 rollback_cidr_old || { kc get servicecidrs; return 1; }
}

rollback_cidr_old() {
	[ "$(kc get servicecidrs -o 'jsonpath={range .items[*]}{.metadata.name} {.spec.cidrs[0]} {.status.conditions[0].status};{end}')" = \
		"kubernetes $OLD_RANGE True;" ]
}

rollback_checks() {
	check 'every file of every node is the same' files_same
	check 'every Service has its address again' rollback_addresses
	check 'Services are the same' objects_same
	check 'nothing else was changed' objects_others_same
	check 'no container was left with a new address' rollback_environment
	check 'every server runs with the old range' apis_have_flag "$OLD_RANGE"
	check 'the default ServiceCIDR is the old range' rollback_default_cidr
	check 'no alias is left' check_no_alias
	check 'calico runs on every node' check_calico
	check 'the in-cluster client is answered' check_client
	check 'verify finds the cluster whole on the old range' tool_exits 0 verify
}
