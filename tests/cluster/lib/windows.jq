# SPDX-License-Identifier: MIT
# What the probes saw, seen through windows of time.
#   $counts    lines "NODE FROM TIME NAME REQUESTS FAILED", since the beginning of each process
#   $failures  lines "FROM TO COUNT NODE node|pod NAME ADDRESS REASON…"
#   $windows   { NAME: { from, to } }; what has none counts from the beginning to the end
#   $steps     [ { at, text } ]: what the tool said, and when it had done it
#   $known     { NAME: { probe, address, period_ms } }

# A request fails after 500 ms; a stall before it began, or while it lasted, may be its cause.
def overlaps($a; $b): $a.from - 0.6 <= $b.to and $b.from <= $a.to + 0.1;

def window($name): $windows[$name] // { from: 0, to: 9e12 };

# Requests until a moment, of one process: between two looks they are even.
def until($t; $looks):
	if ($looks | length) == 0 or $t <= $looks[0].at then 0
	elif $t >= $looks[-1].at then $looks[-1].requests
	else
		([range(1; $looks | length)] | map(select($looks[.].at >= $t)) | .[0]) as $i
		| $looks[$i - 1] as $a | $looks[$i] as $b
		| $a.requests + (($b.requests - $a.requests) * ($t - $a.at) / ($b.at - $a.at) | round)
	end;

# The part of a line of many failures that lies in a window.
def inside($w):
	if .to < $w.from or .from > $w.to then 0
	elif .count <= 1 or .to <= .from then (if .from >= $w.from then .count else 0 end)
	else (.count * ([.to, $w.to] | min) - .count * ([.from, $w.from] | max)) / (.to - .from) | ceil
	end;

def step_of($steps): . as $f
	| ([$steps[] | select(.at <= $f.from)] | last) as $before
	| ([$steps[] | select(.at > $f.from)] | first) as $after
	| { after: ($before.text // "the beginning"), before: ($after.text // "the end"),
	    since_s: (if $before then ($f.from - $before.at) * 10 | round / 10 else null end) };

($failures | split("\n") | map(select(. != "") | split(" ") | {
	from: (.[0] | tonumber), to: (.[1] | tonumber), count: (.[2] | tonumber),
	node: .[3], in: .[4], name: .[5], address: .[6], reason: (.[7:] | join(" ")) })) as $lines
| [$lines[] | select(.count == 0 or (.name | startswith("control")))] as $stalls
| [$lines[] | select(.count > 0) | .count = inside(window(.name)) | select(.count > 0) | . as $f
	| .stalled = any($stalls[]; overlaps($f; .))] as $failed
| ($counts | split("\n") | map(select(. != "") | split(" ")
	| { process: .[0], node: .[1], in: .[2], at: (.[3] | tonumber), name: .[4], requests: (.[5] | tonumber) })
	| group_by([.process, .name]) | map(sort_by(.at) | . as $looks | .[0] as $p | window($p.name) as $w
		| { node: $p.node, in: $p.in, name: $p.name, requests: (until($w.to; $looks) - until($w.from; $looks)) })
	| group_by([.name, .node, .in]) | map(.[0] + { requests: (map(.requests) | add) })) as $asked
| [$asked[] | select(.requests > 0) | . as $a
	| [$failed[] | select(.name == $a.name and .node == $a.node and .in == $a.in)] as $mine
	| ($known[$a.name] // {}) as $k
	| ([$mine[] | .from, .to] | sort) as $times
	| { probe: $k.probe, name, address: $k.address, period_ms: $k.period_ms, node, from: .in, requests,
	    failed: ([$mine[].count] | add // 0),
	    stalled: ([$mine[] | select(.stalled) | .count] | add // 0),
	    gaps: (reduce ($mine | sort_by(.from))[] as $f ({ n: 0, end: -1 };
		if $f.from > .end then .n += 1 else . end
		| .end = ([.end, ([$f.to - 0.45, $f.from] | max) + ($k.period_ms // 10) * 0.002] | max)) | .n) }] as $probes
| { probes: $probes,
    failures: ([$failed | sort_by(.from)[] | . + step_of($steps)
	| { at: (.from * 1000 | round / 1000), lasted_ms: ((.to - .from) * 1000 | round), count, node, from: .in, name, address,
	    reason, stalled, after, since_s, before }]),
    stalls: ([$stalls | sort_by(.from)[] | { at: (.from * 1000 | round / 1000), ms: ((.to - .from) * 1000 | round),
	node, from: .in, name, reason }]) }
