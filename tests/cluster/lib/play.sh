# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# One scenario after the other, each on a cluster of its own.
# shellcheck disable=SC2034,SC2153 # what is set here is read by the other parts

# play_version NAME: the full name of a version
play_version() {
	case $1 in
	1.36) echo 1.36.3 ;;
	1.32) echo 1.32.2 ;;
	1.32-dual-write) echo 1.32.2-dual-write ;;
	1.20) echo 1.20.2 ;;
	*) echo "$1" ;;
	esac
}

# play_regime VERSION
play_regime() {
	case $1 in
	*-dual-write | 1.33.*) echo dual-write ;;
	*) if kube_older_than "$1" 1.33; then echo bitmap; else echo servicecidr; fi ;;
	esac
}

# play_all VERSION SCENARIO...
play_all() {
	local version=$1 scenario
	shift

	WORST=0
	"$LIB/../binaries" "$version" >/dev/null
	programs_build
	tool_build
	for scenario; do
		if ! scenario_fits "$scenario" "$(play_regime "$version")"; then
			say "$scenario is no state of $version"
			continue
		fi
		if [ -n "$RESULTS" ] && [ -f "$RESULTS" ] && jq -se --arg s "$scenario" --arg v "$version" \
			'any(.[]; .scenario == $s and .version == $v and .ok)' "$RESULTS" >/dev/null; then
			say "$scenario on $version was ok"
			continue
		fi
		# Not in a condition: that would switch errexit off in all of it.
		play_guarded "$version" "$scenario"
	done
	return $WORST
}

# In a process of its own, so that a failed command ends this scenario only.
play_guarded() {
	local status=0 work line name=r$$-$RANDOM child

	work=$(mktemp -d "${TMPDIR:-/tmp}/kr-run.XXXXXX")
	result_open "$work"
	# A process group of its own: it can be ended with all that it started. And in
	# the background: a shell's traps wait for what runs in the foreground.
	set -m
	(play_one "$1" "$2" "$name") > >(tee "$work/log" >&2) 2>&1 &
	child=$!
	set +m
	trap 'play_stop "$child" "$name"; exit 130' INT TERM HUP
	wait "$child" || status=$?
	line=$(result_json "$2" "$1" "$(cat "$work/seconds" 2>/dev/null || echo 0)" "$status" \
		"$([ $status -eq 0 ] || grep -a ' error: ' "$work/log" | tail -n 1)")
	printf '%s\n' "$line"
	[ -z "$RESULTS" ] || printf '%s\n' "$line" >>"$RESULTS"
	[ "$(jq .ok <<<"$line")" = true ] || play_logs "$name" "$work/logs"
	if [ "$KEEP" -eq 0 ]; then
		play_remove "$name"
	else
		say "kept: cluster $name (tests/cluster/down $name removes it)"
	fi
	trap - INT TERM HUP
	if [ "$(jq .ok <<<"$line")" = true ]; then
		rm -rf "$work"
	else
		say "$2 on $1 is not ok; its files: $work"
		WORST=1
	fi
}

# play_logs NAME FOLDER: what one looks into when something failed
play_logs() {
	local dir=${KR_CLUSTER_DIR:-/var/tmp/kubectl-renumber-clusters}/$1 node

	mkdir -p "$2"
	cp -r "$dir/log" "$dir/state" "$2" 2>/dev/null || :
	for node in "$dir"/nodes/*; do
		cp -rL "$node/log" "$2/${node##*/}" 2>/dev/null || :
		mkdir -p "$2/${node##*/}"
		cp "$node"/lib/probe/*.{counts,failures,events} "$2/${node##*/}" 2>/dev/null || :
	done
}

play_stop() {
	kill -- "-$1" 2>/dev/null || :
	[ "$KEEP" -eq 1 ] || { play_remove "$2"; rm -rf "$RESULT"; }
}

play_remove() {
	"$LIB/../down" "$1" >&2 || :
}

# play_one VERSION SCENARIO NAME
play_one() {
	set -e
	# shellcheck disable=SC2046 # several options, or none
	"$LIB/../up" "$3" "$1" --proxy "${PROXY_MODE:-$(scenario_proxy "$2" "$1")}" $(scenario_cluster "$2") >/dev/null
	cluster_open "$3"
	REGIME=$(play_regime "$1")
	kills_plan "$2"
	[ -n "$SLOWER" ] || SLOWER=$(scenario_slower "$2")
	PLAY_START=$SECONDS
	trap 'echo $((SECONDS - PLAY_START)) >"$RESULT/seconds"' EXIT
	workloads_create
	services_facts >"$DIR/run/services-whole"
	FRONT_OLD=$(service_address shop front)
	fact proxy "\"$PROXY\""
	if scenario_healthy "$2"; then
		say "$2 on $1: on a healthy cluster"
		scenario_play "$2"
		return
	fi
	say "$2 on $1: breaking"
	scenario_break "$2"
	play_facts "$2"
	[ "$BREAK_ONLY" -eq 0 ] || { check 'broken' true; return; }
	[ "$2" != incident-walk ] || return 0
	say "$2 on $1: healing"
	case $2 in
	incident-procedure) heal_procedure ;;
	certs) heal_certificates ;;
	*) heal "$2" ;;
	esac
}

# What was there when the tool was called. Endpoints are counted on the whole
# cluster; a Service that was made again by hand has the UID that it has now.
play_facts() {
	services_facts >"$DIR/run/services-broken"
	jq -S --slurpfile whole "$DIR/run/services-whole" '. as $broken | $whole[0]
		| with_entries(select($broken[.key]) | .value.uid = $broken[.key].uid)' \
		"$DIR/run/services-broken" >"$DIR/run/services-before"
	fact kubernetes "$(kc get service kubernetes -o json --ignore-not-found | jq -s '.[0].spec.clusterIP')"
}
