# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Probes on every node and in one Pod of every node. Their files lie in
# $DIR/nodes/NODE/lib/probe, which both the node and the Pod see.

# probes_start: lines "KIND NAME ADDRESS PORT PERIOD_MS [QUESTION]" on
# stdin; on the nodes and in the Pods the counting begins (anew) with them
probes_start() {
	local node folder targets

	targets=$(cat)
	for node in $NODES; do
		folder=$DIR/nodes/$node/lib/probe
		rm -f "$folder"/node*
		cp -f "$PROGRAMS/probe" "$folder/probe"
		# Each node asks its own NodePort.
		echo "${targets// NODE / $(node_address "$node") }" >"$folder/targets"
		node_spawn "$node" probe nice -n -15 /var/lib/probe/probe --config /var/lib/probe/targets \
			--out /var/lib/probe/node --ca /etc/kubernetes/pki/ca.crt --node "$node" --from node
	done
	# Pods of one node are enough, and cost less.
	node=${NODES%% *}
	rm -f "$DIR/nodes/$node/lib/probe"/{pod,ended}-*
	echo "${targets// NODE / $(node_address "$node") }" >"$DIR/nodes/$node/lib/probe/targets-pod"
	sleep 3
}

# probes_stop: ends them; what they saw is in probes_results and probes_events
probes_stop() {
	local node file

	# Every one writes its summary each two seconds.
	sleep 3
	for node in $NODES; do
		node_stop "$node" probe
		for file in "$DIR/nodes/$node/lib/probe"/pod-*; do
			[[ $file = *.events || $file = *.tmp || ! -s $file ]] || cp "$file" "${file/pod-/ended-}"
		done
		: >"$DIR/nodes/$node/lib/probe/targets-pod"
	done
}

# probes_results: one JSON array of all summaries, Pods that were replaced added up
probes_results() {
	local node

	for node in $NODES; do
		find "$DIR/nodes/$node/lib/probe" -maxdepth 1 \( -name node -o -name 'pod-*' \) \
			! -name '*.events' ! -name '*.tmp' -exec cat {} +
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
