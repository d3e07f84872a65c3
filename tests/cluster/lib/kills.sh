# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The tool is killed (-9) on its way, and goes on.
# shellcheck disable=SC2153 # what run and the scenario say is read here

# kills_plan SCENARIO: how often, at most so many seconds after each start, and how
# often at least: sets KILLS, KILL_WITHIN, KILLS_LEAST
kills_plan() {
	case $1 in
	campaign-*) [ "$KILLS" -gt 0 ] || KILLS=12 ;;
	kill-*) [ "$KILLS" -gt 0 ] || KILLS=3 ;;
	esac
	KILLS_LEAST=1
	case $1 in
	campaign-*) KILL_WITHIN=12 KILLS_LEAST=$((KILLS * 3 / 4)) ;;
	kill-migrate) KILL_WITHIN=80 ;;
	*) KILL_WITHIN=30 ;;
	esac
}

# tool_killed COMMAND...: 137 when it was hit. What it had said last is noted in
# $RESULT/kills, a JSON object a line.
tool_killed() {
	local pid killer wait=$((RANDOM % KILL_WITHIN)).$((RANDOM % 10)) status=0

	[ ! -e "$RESULT/$1.err" ] || mv "$RESULT/$1.err" "$RESULT/$1.err.$SECONDS"
	say "tool: $* (kill -9 after $wait s)"
	tool "$@" >"$RESULT/$1.out" 2>"$RESULT/$1.err" &
	pid=$!
	(
		sleep "$wait"
		tool_pids "$pid" | xargs -r kill -9
	) &
	killer=$!
	wait "$pid" || status=$?
	# these two only: `wait` alone would wait for the log as well
	wait "$killer" || :
	[ $status -ne 137 ] || jq -nc --arg command "$1" --argjson after "$wait" \
		--arg last "$(grep -av -e '^ *$' -e ' Killed  ' "$RESULT/$1.err" | tail -n 1 | cut -c 1-120)" \
		'{ command: $command, after_s: $after, last: $last }' >>"$RESULT/kills"
	return "$status"
}

# The tool's own process among those that started it
tool_pids() {
	local child

	for child in $(pgrep -P "$1"); do
		tool_pids "$child"
	done
	[ "$(readlink "/proc/$1/exe")" != "$(realpath "$TOOL")" ] || echo "$1"
}

# tool_through KILLS GO-ON COMMAND...: COMMAND, and GO-ON after each kill, until one
# ends by itself; after KILLS of them nobody kills any more
tool_through() {
	local left=$1 on=$2 status=0
	shift 2

	while [ "$left" -gt 0 ]; do
		status=0
		tool_killed "$@" || status=$?
		if [ $status -ne 137 ]; then
			[ $status -eq 0 ] || echo "exit $status: $(tail -n 3 "$RESULT/$1.err")"
			return $status
		fi
		left=$((left - 1))
		# shellcheck disable=SC2086 # a command and its options
		set -- $on
	done
	tool_exits 0 "$@"
}

# What was hit, of a run in which it could have been more: not by chance a few
kills_enough() {
	fact kills "$(jq -sc . "$RESULT/kills")"
	jq -se --argjson least "$1" 'length >= $least' "$RESULT/kills"
}

# campaign_rollback: begun, killed again and again, taken back, killed again and again
campaign_rollback() {
	migrate_plan
	files_keep before
	migrate_begin
	check "apply until it was killed $((KILLS / 2)) times" campaign_begun $((KILLS / 2))
	fact state_at_stage "$(rollback_state)"
	check 'rollback, killed and taken up again' tool_through $((KILLS - KILLS / 2)) 'rollback --yes' rollback --yes
	check 'the tool was killed often enough' kills_enough "$KILLS_LEAST"
	check 'no run is open' tool_exits 0 status
	workloads_wait 120 || :
	sleep 5
	migrate_end
	migrate_lost_none >&2 || :
	rollback_checks
}

# campaign_begun KILLS: apply and resume, each killed; it may be done before
campaign_begun() {
	local status=0 left=$1

	tool_killed apply "$RESULT/plan" "${CONSENTS[@]}" || status=$?
	while [ $status -eq 137 ] && [ "$left" -gt 1 ]; do
		left=$((left - 1))
		status=0
		tool_killed resume "${CONSENTS[@]}" || status=$?
	done
	[ $status -eq 137 ] || [ $status -eq 0 ]
}
