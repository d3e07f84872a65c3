# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Other ways to the same end: killed on the way, one control plane, by hops, and
# the incident's own procedure.
# shellcheck disable=SC2034,SC2153 # nodes are read by the other parts

# migrate_killed: the tool is killed (-9) at random, and goes on; loss is counted,
# but nothing keeps a Service whole between the two requests of its flip
migrate_killed() {
	migrate_plan
	migrate_begin
	check 'apply, killed and resumed' heal_apply
	check 'the tool was killed often enough' kills_enough "$KILLS_LEAST"
	[ "$(tail -n 1 "$RESULT/checks" | jq .ok)" = true ] || heal_resume
	fact apply_seconds "$(jq -n "($EPOCHREALTIME - $START) * 10 | round / 10")"
	migrate_finalize
	check 'verify' tool_exits 0 verify
	workloads_wait 120 || :
	migrate_end
	migrate_lost_none >&2 || :
	migrate_checks
}

# node_cut NODE, node_mend NODE: its cable
node_cut() {
	ip -n "kr-$NAME.$1" link set eth0 down
	wait_until 120 1 node_has_ready "$1" Unknown || die "$1 is not missed"
}

# The routes went with the link.
node_mend() {
	local other

	ip -n "kr-$NAME.$1" link set eth0 up
	ip -n "kr-$NAME.$1" route replace default via "$HOST_ADDRESS"
	for other in $NODES; do
		[ "$other" = "$1" ] || ip -n "kr-$NAME.$1" route replace "$(node_pod_cidr "$other")" via "$(node_address "$other")"
	done
	wait_until 120 1 node_has_ready "$1" True || die "$1 does not come back"
}

# node_has_ready NODE STATUS
node_has_ready() {
	[ "$(kc get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = "$2" ]
}

# migrate_single: one control plane, two workers, one of them away until the end
migrate_single() {
	local away=worker2 all=$NODES

	node_cut $away
	sleep 5
	NODES=${all/ $away/} WORKERS=${WORKERS/ $away/}
	migrate_plan
	migrate_begin
	check 'apply does what can be done' migrate_apply_away $away
	fact apply_seconds "$(jq -n "($EPOCHREALTIME - $START) * 10 | round / 10")"
	check "status lists $away as pending" status_lists $away
	check "finalize refuses while $away is away" tool_exits 3 finalize --yes
	NODES=$all WORKERS+=" $away"
	node_mend $away
	follow_note "$away is back"
	check 'resume finishes' tool_follow 0 resume "${CONSENTS[@]}"
	NODES=${all/ $away/}
	migrate_finalize
	check 'verify' tool_exits 0 verify
	migrate_end
	check 'every address was probed on every node' migrate_asked_all
	check 'no request failed but those to the only API server' migrate_lost_none_but '^api-'
	NODES=$all
	workloads_wait 120 || :
	migrate_checks
}

# migrate_apply_away NODE: done but for it, which is said
migrate_apply_away() {
	tool_follow 0 apply "$RESULT/plan" "${CONSENTS[@]}" || tail -n 3 "$RESULT/apply.err" | grep -q 'done but\|pending\|stay.* pending' || return 1
	grep "$1" "$RESULT/apply.err" "$RESULT/apply.out"
}

status_lists() {
	tool_exits 2 status || return 1
	grep "$1" "$RESULT/status.out"
}

# migrate_lost_none_but REGEX
migrate_lost_none_but() {
	migrate_lost_none || :
	jq -e --arg but "$1" '[.failures[] | select((.stalled or (.name | startswith("control") or test($but))) | not)] | length == 0' \
		"$RESULT/measured" >/dev/null
}

# migrate_procedure: what the incident's author did, from the beginning, counted in
# the same way; the other Services are left where they are
migrate_procedure() {
	local end

	objects_keep before
	BUSY=$(machine_busy)
	: >"$RESULT/steps"
	follow_note 'the probes begin'
	migrate_targets | grep -v -e '^tcp service-new' -e '^dns dns-new' | probes_start
	watch_flips
	sleep 10
	START=$EPOCHREALTIME
	follow_note 'the flags are changed'
	incident_change_flags
	follow_note 'default/kubernetes is deleted'
	incident_delete delete
	incident_calico_fails "$(calico_complaint incident-delete)"
	follow_note 'calico is pinned'
	incident_pin_calico
	follow_note 'certificates are made'
	# shellcheck disable=SC2086 # a list of nodes
	incident_certificates $CONTROL_PLANES
	follow_note 'calico gets the new address'
	calico_configure "$NEW_API" 443
	wait_until 120 1 calico_ready || die "calico is not up with the new address"
	fact apply_seconds "$(jq -n "($EPOCHREALTIME - $START) * 10 | round / 10")"
	end=$EPOCHREALTIME
	migrate_end migrate_windows "$end"
	check 'calico runs on every node' check_calico
	check "a new Pod reaches https://$NEW_API verified" check_pod_reaches
	fact client_answered "$(if client_answered; then echo true; else echo false; fi)"
	migrate_lost_none >&2 || :
}

# hop NODE COMMAND...: the tool on that control plane itself, with its own admin.conf
hop() {
	local node=$1
	shift

	node_exec "$node" env KUBECONFIG=/etc/kubernetes/admin.conf /root/renumber/kubectl-renumber "$@" --nodes-via local \
		--state-dir /root/renumber/state </dev/null
}

# hop_run NAME STATUSES NODE COMMAND...: sets HOP_STATUS
hop_run() {
	local name=$1 want=$2
	shift 2

	say "tool on $1: ${*:2}"
	HOP_STATUS=0
	follow_note "on $1: ${*:2}"
	hop "$@" >"$RESULT/$name.out" 2>"$RESULT/$name.err" || HOP_STATUS=$?
	tail -n 12 "$RESULT/$name.err" >&2
	[[ " $want " = *" $HOP_STATUS "* ]] || {
		echo "exit $HOP_STATUS, not $want: $(tail -n 3 "$RESULT/$name.out") $(tail -n 3 "$RESULT/$name.err")"
		return 1
	}
}

# hop_next FILE: the node that the last words name
hop_next() {
	tail -n 4 "$1" | grep -oE "$(tr ' ' '|' <<<"$CONTROL_PLANES")" | tail -n 1
}

# migrate_hops: no ssh at all; exit 4 names where to go on
migrate_hops() {
	local node=${CONTROL_PLANES%% *} next n=0

	for next in $NODES; do
		mkdir -p "$DIR/nodes/$next/root/renumber"
		cp "$TOOL" "$(dirname "$TOOL")/renumber-agent" "$DIR/nodes/$next/root/renumber"
	done
	objects_keep before
	check 'plan on the first control plane' hop_run plan 0 "$node" plan --to "$NEW_RANGE" --out /root/renumber/plan
	cp "$DIR/nodes/$node/root/renumber/plan" "$RESULT/plan" || die "no plan: $(tail -n 3 "$RESULT/plan.err")"
	consents_read
	migrate_begin
	check 'apply does its part, or stops with exit 4' hop_run apply '0 4' "$node" apply /root/renumber/plan "${CONSENTS[@]}"
	while [ "$HOP_STATUS" -eq 4 ] && [ $n -lt 20 ]; do
		n=$((n + 1))
		next=$(hop_next "$RESULT/$([ $n -eq 1 ] && echo apply || echo resume).err")
		check "stop $n names the next node" test -n "$next"
		[ -n "$next" ] || break
		node=$next
		check "resume --adopt on $node" hop_run resume '0 4' "$node" resume --adopt --yes
	done
	fact hops $n
	check 'the last one ends with exit 0' test "$HOP_STATUS" -eq 0
	fact apply_seconds "$(jq -n "($EPOCHREALTIME - $START) * 10 | round / 10")"
	# what the tool says goes to files of its hops: old addresses count until here
	printf '%s drain: finalize begins\n' "$EPOCHREALTIME" >>"$RESULT/steps"
	check 'finalize' hop_finalize "$node"
	check 'verify' tool_exits 0 verify
	workloads_wait 120 || :
	migrate_end
	migrate_loss_checks
	migrate_checks
}

# Taking away old names and backups is by hops, too.
hop_finalize() {
	local node=$1 try

	hop_run finalize '0 4' "$node" finalize --yes --accept in-use --window 0 || return 1
	for try in {1..10}; do
		[ "$HOP_STATUS" -eq 4 ] || break
		node=$(hop_next "$RESULT/finalize.err")
		[ -n "$node" ] || return 1
		hop_run finalize '0 4' "$node" resume --adopt --yes || return 1
	done
	[ "$HOP_STATUS" -eq 0 ]
}
