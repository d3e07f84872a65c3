# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Probes on every node and in Pods. Their files lie in $DIR/nodes/NODE/lib/probe,
# which both the node and the Pod see.

# Where the probe's own process for comparison listens, on nodes and in Pods
PROBE_CONTROL=18999

# probe_pods: nodes whose Pods probe; those of one are enough, and cost less,
# but each kind of proxy is looked at
probe_pods() {
	local node seen=''

	for node in $NODES; do
		[[ " $seen " == *" $(proxy_mode "$node") "* ]] || echo "$node"
		seen+=" $(proxy_mode "$node")"
	done
}

# probe_next NODE: the address of another node
probe_next() {
	local node all=" $NODES ${NODES%% *} "

	node=${all#* "$1" }
	node_address "${node%% *}"
}

# probes_start: lines "KIND NAME ADDRESS PORT PERIOD_MS [QUESTION]" on
# stdin; on the nodes and in the Pods the counting begins (anew) with them
probes_start() {
	local node folder targets

	targets=$(cat)
	for node in $NODES; do
		folder=$DIR/nodes/$node/lib/probe
		rm -f "$folder"/node* "$folder"/{pod,ended}-*
		cp -f "$PROGRAMS/probe" "$folder/probe"
		probe_targets "$node" "$targets" >"$folder/targets"
		node_spawn "$node" probe nice -n -15 /var/lib/probe/probe --config /var/lib/probe/targets \
			--out /var/lib/probe/node --ca /etc/kubernetes/pki/ca.crt --node "$node" --from node --control $PROBE_CONTROL
	done
	for node in $(probe_pods); do
		probe_targets "$node" "$targets" >"$DIR/nodes/$node/lib/probe/targets-pod"
	done
	sleep 3
}

# probe_targets NODE TARGETS: each node asks its own NodePort, and another node
probe_targets() {
	sed "s/ NODE / $(node_address "$1") /; s/ NEXT / $(probe_next "$1") /" <<<"$2"
}

# probes_stop: ends them; what they saw is in probes_results and probes_events
probes_stop() {
	local node file

	# Every one writes its summary each two seconds.
	sleep 3
	for node in $NODES; do
		node_stop "$node" probe
		for file in "$DIR/nodes/$node/lib/probe"/pod-*; do
			[[ $file = *.tmp || ! -s $file ]] || cp "$file" "${file/pod-/ended-}"
		done
		: >"$DIR/nodes/$node/lib/probe/targets-pod"
	done
}

# probes_results: one JSON array of all summaries, Pods that were replaced added up
probes_results() {
	local node

	for node in $NODES; do
		find "$DIR/nodes/$node/lib/probe" -maxdepth 1 \( -name node -o -name 'ended-*' \) \
			! -name '*.*' -exec cat {} +
	done | jq -sc 'map(select(.requests > 0)) | group_by([.node, .from, .name]) | map({
		probe: .[0].probe, name: .[0].name, address: .[0].address, node: .[0].node, from: .[0].from,
		requests: (map(.requests) | add), failed: (map(.failed) | add), gaps: (map(.gaps) | add),
		greatest_gap_ms: (map(.greatest_gap_ms) | max), greatest_latency_ms: (map(.greatest_latency_ms) | max),
		greatest_stall_ms: (map(.greatest_stall_ms) | max), failures: (map(.failures) | add | .[:3]) })'
}

# probes_events: "TIME NODE NAME ADDRESS ok|failed REASON", in order of time
probes_events() {
	local node

	for node in $NODES; do
		cat "$DIR/nodes/$node/lib/probe"/node.events 2>/dev/null || :
	done | sort -n
}

# probes_answering SINCE NAME: seconds from SINCE until NAME was answered on every
# node, 0 where it was all the time, "null" where it never was on some
probes_answering() {
	local node

	for node in $NODES; do
		awk -v since="$1" -v name="$2" '
			$3 == name && $5 == "failed" && $1 <= since { down = 1 }
			$3 == name && $5 == "ok" && $1 <= since { down = 0; seen = 1 }
			$3 == name && $5 == "ok" && $1 > since && (down || !seen) && !at { at = $1; seen = 1 }
			END { print !seen ? "null" : at ? at - since : down ? "null" : 0 }
		' OFMT=%.3f CONVFMT=%.3f "$DIR/nodes/$node/lib/probe/node.events" 2>/dev/null || echo null
	done | jq -s 'if any(. == null) then null else max end'
}

# probes_windows WINDOWS STEPS: two files with JSON, see windows.jq; prints probes,
# failures and stalls as one JSON object
probes_windows() {
	local node file in process

	for node in $NODES; do
		for file in "$DIR/nodes/$node/lib/probe"/{node,ended-*}.counts; do
			[ -e "$file" ] || continue
			in=node process=$(basename "$file" .counts)
			[[ $process = node ]] || in=pod
			sed "s/^/$node-$process $node $in /" "$file"
		done
	done >"$RESULT/probe-counts"
	for node in $NODES; do
		cat "$DIR/nodes/$node/lib/probe"/{node,ended-*}.failures 2>/dev/null || :
	done | sort -n >"$RESULT/probe-failures"
	probes_known >"$RESULT/probe-known"
	probes_results >"$RESULT/probe-summaries"
	jq -n -f "$LIB/windows.jq" --rawfile counts "$RESULT/probe-counts" --rawfile failures "$RESULT/probe-failures" \
		--argjson windows "$(cat "$1")" --argjson steps "$(cat "$2")" --argjson known "$(cat "$RESULT/probe-known")" |
		jq -c --slurpfile whole "$RESULT/probe-summaries" '.probes |= map(. as $p | . + (
			$whole[0] | map(select(.name == $p.name and .node == $p.node and .from == $p.from)) | .[0] // {}
			| { greatest_latency_ms, greatest_stall_ms }))'
}

# probes_known: { NAME: { probe, address, period_ms } }
probes_known() {
	awk 'NF >= 5 { print $1, $2, $3 ":" $4, $5 }' "$DIR/nodes/${NODES%% *}/lib/probe/targets" |
		jq -Rn '[inputs | split(" ") | { key: .[1], value: { probe: .[0], address: .[2], period_ms: (.[3] | tonumber) } }]
			| from_entries'
}
