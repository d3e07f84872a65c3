# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What a scenario showed, collected as it goes, put together as one JSON object.

# result_open FOLDER
result_open() {
	RESULT=$1
	mkdir -p "$RESULT"
	# As it was at the beginning: the tree may go on meanwhile.
	git rev-parse --short HEAD >"$RESULT/commit" 2>/dev/null || :
	: >"$RESULT/facts"
	: >"$RESULT/checks"
}

# fact KEY JSON
fact() {
	jq -nc --arg key "$1" --argjson value "$2" '{ ($key): $value }' >>"$RESULT/facts"
}

# check WHAT CMD...: goes on when it fails, and remembers
check() {
	local what=$1 ok=true output=$RESULT/check.out
	shift

	if "$@" >"$output" 2>&1; then
		say "ok      $what"
	else
		ok=false
		say "FAILED  $what: $(tail -n 5 "$output")"
	fi
	jq -nc --arg check "$what" --argjson ok $ok --arg output "$([ $ok = true ] || tail -c 600 "$output")" \
		'{ check: $check, ok: $ok } + if $ok then {} else { output: $output } end' >>"$RESULT/checks"
}

# result_json SCENARIO VERSION SECONDS STATUS ERROR
result_json() {
	jq -nc --arg scenario "$1" --arg version "$2" --argjson seconds "$3" --argjson status "$4" --arg error "$5" \
		--arg commit "$(cat "$RESULT/commit")" --arg date "$(date -u +%F)" \
		--slurpfile facts "$RESULT/facts" --slurpfile checks "$RESULT/checks" '
		($facts | add // {}) as $f | ($f.probes // [] | map(select((.name // "") | startswith("control") | not))) as $probes
		| { scenario: $scenario, version: $version, commit: $commit, date: $date,
			ok: ($status == 0 and ($checks | length > 0 and all(.ok))), seconds: $seconds,
			requests: ([$probes[].requests] | add // 0), failed: ([$probes[].failed] | add // 0) }
		+ if $error == "" then {} else { error: $error } end
		+ { failed_checks: [$checks[] | select(.ok | not)], checks: ($checks | length) } + $f'
}
