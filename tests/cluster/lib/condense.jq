# SPDX-License-Identifier: MIT
# A result without what only who looks for a cause wants: the probes of all nodes
# are added up, the requests that failed stay one by one.
.probes |= ((. // []) | map(select((.name // "") | startswith("control") | not)) | group_by(.name) | map({
	probe: .[0].probe, name: .[0].name, address: ([.[].address] | unique | if length == 1 then .[0] else "every node" end),
	period_ms: .[0].period_ms, requests: (map(.requests) | add), failed: (map(.failed) | add),
	stalled: (map(.stalled // 0) | add), gaps: (map(.gaps // 0) | add),
	greatest_latency_ms: (map(.greatest_latency_ms // 0) | max) }))
| .failed_checks |= ((. // []) | map({ check, output: (.output // "" | .[:160]) }))
| with_entries(select(.key | test("^(codes_|stalls$|failures$)") | not))
+ { failures: ((.failures // []) | map(select((.name // "") | startswith("control") | not)
	| { at, node, from, name, reason, count, stalled, after, since_s }) | .[:40]) }
