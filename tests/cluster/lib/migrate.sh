# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A healthy cluster moves to another range, and every request is counted.

# tool_follow STATUS COMMAND...: as tool_exits, and each line of stderr goes with
# its time into $RESULT/steps
tool_follow() {
	local want=$1 status=0 fifo=$RESULT/follow stamp
	shift

	[ ! -e "$RESULT/$1.err" ] || mv "$RESULT/$1.err" "$RESULT/$1.err.$SECONDS"
	say "tool: $*"
	rm -f "$fifo"
	mkfifo "$fifo"
	follow_stamp "$RESULT/$1.err" <"$fifo" &
	stamp=$!
	tool "$@" >"$RESULT/$1.out" 2>"$fifo" || status=$?
	wait "$stamp" || :
	tail -n 20 "$RESULT/$1.err" >&2
	[ "$status" -eq "$want" ] || {
		echo "exit $status, not $want: $(tail -n 12 "$RESULT/$1.out" | cut -c 1-200) $(tail -n 3 "$RESULT/$1.err")"
		return 1
	}
}

follow_stamp() {
	local line

	while IFS= read -r line; do
		printf '%s\n' "$line" >>"$1"
		printf '%s %s\n' "$EPOCHREALTIME" "$line" >>"$RESULT/steps"
	done
}

# follow_note TEXT: a moment of the scenario's own
follow_note() {
	printf '%s -- %s\n' "$EPOCHREALTIME" "$*" >>"$RESULT/steps"
}

# follow_time REGEX: when the first line said so, or nothing
follow_time() {
	grep -aE "^[0-9.]+ +$1" "$RESULT/steps" 2>/dev/null | head -n 1 | cut -d ' ' -f 1 || :
}

# follow_steps: [{ at, text }]: the ends of steps, the beginnings of stages
follow_steps() {
	sed -nE 's/^([0-9.]+) +((√|=|↶|⏸|--) .*|[a-z]+: .* \([0-9]+ steps?\))$/\1 \2/p' "$RESULT/steps" |
		jq -Rn '[inputs | capture("^(?<at>[0-9.]+) (?<text>.*)$") | .at |= tonumber | .text |= .[:110]]'
}

# watch_flips: in the background, "TIME NAMESPACE/NAME TYPE ADDRESS" of all Services
# as they change. A watch may end with the API server that served it.
watch_flips() {
	(
		set +e
		while :; do
			kc get services -A --watch -o \
				'jsonpath={.metadata.namespace}/{.metadata.name} {.spec.type} {.spec.clusterIP}{"\n"}' 2>/dev/null |
				while IFS= read -r line; do
					printf '%s %s\n' "$EPOCHREALTIME" "$line"
				done
			sleep 0.2
		done
	) >"$RESULT/flips" &
	WATCH=$!
}

watch_end() {
	[ -z "${WATCH:-}" ] || kill -- "$WATCH" 2>/dev/null || :
	WATCH=''
}

# flip_time SERVICE: when it was first seen with an address of the new range
flip_time() {
	awk -v name="$1" '$2 == name && $4 ~ /^10\.17\./ { print $1; exit }' "$RESULT/flips"
}

# new_address NAMESPACE NAME: from the plan
new_address() {
	jq -r --arg namespace "$1" --arg name "$2" \
		'.map[] | select(.namespace == $namespace and .name == $name) | .to' "$RESULT/plan"
}

# migrate_probes: a handshake costs milliseconds of a processor on both ends; where
# all nodes share few of them, the rates of the contract would measure themselves
migrate_probes() {
	FRONT_NEW=$(new_address shop front)
	[ -n "$FRONT_NEW" ] || die "the plan has no new address for shop/front"
	migrate_targets | probes_start
}

migrate_targets() {
	cat <<-TARGETS
		tls api-old 10.96.0.1 443 $((50 * SLOWER * SLOWER))
		tls api-new $NEW_API 443 $((50 * SLOWER * SLOWER))
		tcp service-old $FRONT_OLD 80 $((10 * SLOWER))
		tcp service-new $FRONT_NEW 80 $((10 * SLOWER))
		tcp nodeport NODE 30080 $((10 * SLOWER))
		dns dns-old 10.96.0.10 53 $((20 * SLOWER)) kubernetes.default.svc.cluster.local
		dns dns-new 10.17.0.10 53 $((20 * SLOWER)) kubernetes.default.svc.cluster.local
		tcp control 127.0.0.1 $PROBE_CONTROL 50
		tcp control-next NEXT $PROBE_CONTROL 100
	TARGETS
}

# migrate_windows END: old addresses until the drain begins, new ones from their
# flip until END
migrate_windows() {
	local end=$1 drain

	drain=$(follow_time 'drain: ')
	jq -n --argjson drain "${drain:-$end}" --argjson until "$end" \
		--argjson api "$(flip_or_never default/kubernetes)" --argjson dns "$(flip_or_never kube-system/kube-dns)" \
		--argjson service "$(flip_or_never shop/front)" '{
			"api-old": { from: 0, to: $drain }, "service-old": { from: 0, to: $drain }, "dns-old": { from: 0, to: $drain },
			"api-new": { from: $api, to: $until }, "service-new": { from: $service, to: $until },
			"dns-new": { from: $dns, to: $until }, nodeport: { from: 0, to: $until } }'
}

flip_or_never() {
	local at

	at=$(flip_time "$1")
	echo "${at:-9e12}"
}

# migrate_measured WINDOWS...: facts from the probes, which have ended
migrate_measured() {
	follow_steps >"$RESULT/steps.json"
	"$@" >"$RESULT/windows.json"
	probes_windows "$RESULT/windows.json" "$RESULT/steps.json" >"$RESULT/measured"
	fact probes "$(jq -c .probes "$RESULT/measured")"
	fact failures "$(jq -c '.failures[:300]' "$RESULT/measured")"
	fact stalled "$(jq '[.probes[] | select(.name | startswith("control") | not) | .stalled] | add // 0' "$RESULT/measured")"
	fact stalls "$(jq -c '.stalls[:50]' "$RESULT/measured")"
}

# Requests that failed while nothing but the cluster can be blamed
migrate_lost_none() {
	jq -r '.failures[] | select(.name | startswith("control") | not)
		| "\(.at) \(.node) \(.from) \(.name) \(.reason) x\(.count)\(if .stalled then " (stalled)" else "" end), \(.since_s) s after \(.after)"' \
		"$RESULT/measured"
	jq -e '[.failures[] | select((.stalled or (.name | startswith("control"))) | not)] | length == 0' "$RESULT/measured" >/dev/null
}

# Each address was asked in its window, on every node.
migrate_asked_all() {
	jq -r '.probes[] | "\(.node) \(.from) \(.name) \(.requests)"' "$RESULT/measured"
	jq -e --arg nodes "$PROBED" '
		[.probes[] | select(.from == "node") | "\(.node) \(.name)"] as $have
		| ["api-old", "api-new", "service-old", "service-new", "nodeport", "dns-old", "dns-new", "control"] as $names
		| all(($nodes | split(" "))[] | select(. != "") as $node | $names[] | "\($node) \(.)"; IN($have[]))' "$RESULT/measured" >/dev/null
}

# migrate_loss_checks: 1.20 has no keep-out: there it is measured, not promised
migrate_loss_checks() {
	PROBED=${PROBED:-$NODES}
	check 'every address was probed on every node' migrate_asked_all
	migrate_lost_check
}

migrate_lost_check() {
	if [[ $VERSION = 1.20* ]]; then
		migrate_lost_none >&2 || :
	else
		check 'no request failed' migrate_lost_none
	fi
}

# migrate_plan: exit 0 and a file
migrate_plan() {
	objects_keep before
	check 'plan --to is made' tool_exits 0 plan --to "$NEW_RANGE" --out "$RESULT/plan"
	[ -s "$RESULT/plan" ] || die "no plan: $(tail -n 3 "$RESULT/plan.err")"
	fact services "$(jq '.map | length' "$RESULT/plan")"
	fact steps "$(jq '.steps | length' "$RESULT/plan")"
	consents_read
}

# consents_read: what an operator who has read the plan would say: sets CONSENTS
consents_read() {
	local codes

	codes=$(jq -r '[.consents[]? | if type == "object" then .code else . end] | unique | join(",")' "$RESULT/plan")
	fact consents "$(jq -c '.consents // []' "$RESULT/plan")"
	CONSENTS=(--yes)
	[ -z "$codes" ] || CONSENTS+=(--accept "$codes")
}

# machine_busy: "BUSY ALL" ticks of all processors since the machine started
machine_busy() {
	awk '/^cpu / { for (i = 2; i <= 9; i++) all += $i; print all - $5 - $6, all }' /proc/stat
}

# machine_busy_since "BUSY ALL": percent
machine_busy_since() {
	machine_busy | awk -v before="$1" '{ split(before, b, " "); printf "%d\n", 100 * ($1 - b[1]) / ($2 - b[2] + 1) }'
}

migrate_begin() {
	BUSY=$(machine_busy)
	follow_note 'the probes begin'
	migrate_probes
	watch_flips
	sleep 10
	START=$EPOCHREALTIME
}

# migrate_finalize: the probes still ask the old addresses: that is seen, and who it is
migrate_finalize() {
	check 'finalize refuses while old addresses are used' tool_exits 3 finalize --yes --window 10s
	check 'it says by whom' grep -qE 'node (cp|worker)[0-9] uses 10\.96\.' "$RESULT/finalize.err"
	check 'finalize' tool_follow 0 finalize --yes --accept in-use --window 0
}

# migrate_end [WINDOWS...]: a command that prints the windows of the probes
migrate_end() {
	[ $# -gt 0 ] || set -- migrate_windows "$EPOCHREALTIME"
	watch_end
	probes_stop
	migrate_measured "$@"
	fact machine_busy_percent "$(machine_busy_since "$BUSY")"
}

# migrate: the whole way, and what it looks like afterwards
migrate() {
	migrate_plan
	migrate_begin
	check 'apply' migrate_apply
	fact apply_seconds "$(jq -n "($EPOCHREALTIME - $START) * 10 | round / 10")"
	fact services_seconds "$(migrate_stage_seconds services)"
	check 'a second apply changes nothing' check_second_apply
	follow_note 'finalize begins'
	migrate_finalize
	check 'verify' tool_exits 0 verify
	workloads_wait 120 || :
	migrate_end
	migrate_loss_checks
	migrate_checks
}

migrate_apply() {
	local try

	tool_follow 0 apply "$RESULT/plan" "${CONSENTS[@]}" && return
	# What an operator would do, so that the rest can be looked at.
	for try in 1 2 3; do
		follow_note "resume $try"
		! tool_follow 0 resume "${CONSENTS[@]}" || break
		sleep 5
	done
	return 1
}

# migrate_stage_seconds STAGE: from its first line to the next stage's, or null
migrate_stage_seconds() {
	follow_steps | jq -c --arg stage "$1: " '([.[] | select(.text | startswith($stage))] | first) as $from
		| ([.[] | select($from and .at > $from.at and (.text | test("^[a-z]+: ")))] | first) as $to
		| if $from and $to then ($to.at - $from.at) * 10 | round / 10 else null end'
}

# migrate_checks: nothing is lost, nothing refers to the old range, new nodes work
migrate_checks() {
	local node

	check 'Services are the same but for the address' objects_same
	check 'nothing else was changed but what the plan says' objects_others_same
	check 'every Service is in the new range' check_services_moved
	check 'no alias is left' check_no_alias
	check 'calico runs on every node' check_calico
	check 'the in-cluster client is answered' check_client
	check "a new Pod reaches https://$NEW_API verified" check_pod_reaches
	for node in $CONTROL_PLANES; do
		check "$node: the API server serves $NEW_API, and 10.96.0.1 no more" after_served "$node"
		check "$node: kubeadm and openssl accept the certificates" check_kubeadm_certificates "$node"
		check "$node: kubeadm upgrade and init write the new range" after_kubeadm "$node"
	done
	check 'flags, kubeadm-config and clusterDNS agree' check_configuration
	check 'the default ServiceCIDR is the new range' check_default_cidr
	check 'no object has an old address that scan does not list' after_objects
	check 'no file of a node has an old address' after_files
	[ "$JOIN" -eq 0 ] || after_joins
}
