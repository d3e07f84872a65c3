# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154
#
# Runs of several commands in the lab. The script that renumber-lab starts:
#
#	. "$KR_SRCDIR/tests/lib/steps.sh"
#	step plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan"
#
# and the test around it, which has exported HERE as its $tmp:
#
#	. "$KR_SRCDIR/tests/lib/steps.sh"
#	steps_ended

# step NAME STATUS COMMAND...: what it says goes to $HERE/NAME.out and NAME.err
step() {
	name=$1 want=$2 status=0
	shift 2
	kubectl-renumber "$@" >"$HERE/$name.out" 2>"$HERE/$name.err" </dev/null || status=$?
	echo "$name $status $want" >>"$HERE/steps"
}

# killed NAME WHEN COMMAND...: killed as soon as the shell command WHEN succeeds
killed() {
	name=$1 when=$2
	shift 2
	kubectl-renumber "$@" >"$HERE/$name.out" 2>"$HERE/$name.err" </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		if eval "$when"; then
			kill -9 "$pid"
			break
		fi
	done
	status=0
	wait "$pid" || status=$?
	echo "$name $status 137" >>"$HERE/steps"
}

# dump NAME: all objects of the lab, to $HERE/NAME
dump() {
	renumber-lab as-control "$RENUMBER_LAB" "{\"do\": \"dump\", \"file\": \"$HERE/$1\"}" >/dev/null
}

# api METHOD PATH [BODY [TYPE]]: somebody else asks; the whole answer
api() {
	steps_server=$(sed -n 's|.*server: *"*https://\([^"]*\)"*.*|\1|p' "$KUBECONFIG" | head -n 1)
	steps_token=$(sed -n 's/.*token: *"*\([^",}]*\).*/\1/p' "$KUBECONFIG" | head -n 1)
	{
		printf '%s %s HTTP/1.1\r\nHost: lab\r\nAuthorization: Bearer %s\r\nConnection: close\r\n' "$1" "$2" "$steps_token"
		printf 'Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s' "${4:-application/json}" "${#3}" "$3"
	} | openssl s_client -quiet -connect "$steps_server" 2>/dev/null
}

# steps_ended: each with the status that it was to have
steps_ended() {
	while read -r name got want; do
		err=$tmp/$name.err
		is "$got" "$want" "$name ends with $want"
	done <"$tmp/steps"
}
