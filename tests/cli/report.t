#!/bin/sh
# SPDX-License-Identifier: MIT
# The report of a run is made of its journal alone: no cluster, no kubeconfig.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

KUBECONFIG=/nonexistent
export KUBECONFIG
state=$tmp/state
"$KR_BUILD/tests/cli/report_journal" "$state/cluster-a"

run report --state-dir "$state"
is "$status" 0 'the last run is reported'
has "$out" 'r-report' 'it is named'
has "$out" 'open: 3 of 6 steps done' 'its result is said'
has "$out" 'bastion & co' 'and where it was carried out'
has "$out" '2 of 25204 requests failed; 2 more' 'and what its probes saw'
has "$out" 'explains it' 'a failure that the step explains is said to be one'
empty "$err" 'nothing else is said'
has "$out" 'a hostile?]0;title? ??31mnote' 'a note moves no cursor and paints nothing'

run report r-report --state-dir "$state" --html "$tmp/page.html"
is "$status" 0 'a page is written'
page=$tmp/page.html
ok 'it holds a time line' grep -q '<svg ' "$page"
ok 'with a mark for each failure' grep -q 'class="failed"' "$page"
ok 'and one for what was announced' grep -q 'class="explained"' "$page"
is "$(grep -c 'class="cut"' "$page")" 1 'time without probes is cut out'
is "$(grep -ciE '<script|javascript:|onload=|url\(|@import|<link|<img|<iframe' "$page")" 0 'no script and no resource'
is "$(grep -oE '(src|href)=' "$page" | wc -l | tr -d ' ')" 0 'nothing refers to elsewhere'
ok 'names are shown as they are' grep -q 'shop/&lt;script&gt;alert(1)&lt;/script&gt;' "$page"
ok 'so are nodes, in attributes and text' grep -q 'w&lt;1&gt;' "$page"
ok 'notes, too' grep -q '&lt;b&gt;yours&lt;/b&gt;' "$page"
ok 'light and dark' grep -q 'prefers-color-scheme:dark' "$page"
ok 'what remains is said' grep -q 'What remains' "$page"

mkfifo "$tmp/pipe"
ln -s "$tmp/pipe" "$tmp/stdout"
for file in pipe stdout; do
	run report r-report --state-dir "$state" --html "$tmp/$file"
	is "$status" 1 "a $file is not replaced by a page"
	has "$err" 'not a regular file' 'that is said'
done
ok 'the pipe is still one' test -p "$tmp/pipe"
ok 'and the link a link' test -h "$tmp/stdout"

run report --state-dir "$state" -o json
is "$status" 0 'as JSON'
is "$(jq -r '.schemaVersion, .run, .state, .operator.host, .probes.failed, .probes.explained' "$out" | tr '\n' ' ')" \
	'1 r-report open bastion & co 2 2 ' 'its members are as documented'
is "$(jq -r '[.probes.samples[].ok] | add' "$out")" "$(jq .probes.ok "$out")" 'the samples add up'
is "$(jq -r '[.probes.targets[].failed] | add' "$out")" 2 'so do the targets'
is "$(jq -r '.probes.failures[2] | .node, .tookMs, .step, .explained' "$out" | tr '\n' ' ')" 'cp2 500 s03 false ' \
	'each failure is there'
is "$(jq -r '.steps[] | select(.state == "failed") | .id, .detail' "$out" | tr '\n' ' ')" 's04 the server said <no> ' \
	'why a step failed is there'

run report --state-dir "$state" -o markdown
is "$status" 0 'as Markdown'
has "$out" '## Failed requests' 'with headings'

"$KR_BUILD/tests/cli/report_journal" "$state/cluster-b" finished
run report --state-dir "$state" -o json
is "$(jq -r '.state, .endedAt, .stepsDone' "$out" | tr '\n' ' ')" 'open null 3 ' 'of two equally late runs the first is taken'
run report --state-dir "$tmp/nothing"
is "$status" 1 'without a run there is no report'
has "$err" 'no run is known' 'and that is said'
run report other --state-dir "$state"
is "$status" 1 'an unknown run is a mistake'
has "$err" "no run 'other'" 'it is named'
rm -r "$state/cluster-a"
run report --state-dir "$state" --html "$page"
is "$status" 0 'a finished run has its report, too'
ok 'it says so' grep -q 'verdict good">finished' "$page"
is "$(grep -c 'What remains' "$page")" 0 'nothing remains'
ok 'and who used old addresses in the drain' grep -q 'shop/&lt;b&gt;old&lt;/b&gt; (connections tcp/443)' "$page"
run report --state-dir "$state" -o json
is "$(jq -r '.evidence.addresses[0].users[0].who' "$out")" 'shop/<b>old</b>' 'as JSON, too'
run report --state-dir "$state" --html "$tmp/no/such/folder/page.html"
is "$status" 1 'a page that cannot be written is an error'

# journals of other clusters that cannot be read
mkdir "$state/damaged" "$state/linked"
echo 'no database' >"$state/damaged/journal.db"
ln -s "$state/damaged/journal.db" "$state/linked/journal.db"
run report --state-dir "$state"
is "$status" 0 'a damaged journal of another cluster is in nobody'"'"'s way'
has "$out" 'r-report' 'the last run is reported'
has "$err" "warning: passing over the journal in '$state/damaged'" 'the damaged one is said'
has "$err" "warning: passing over the journal in '$state/linked'" 'and one that is a link'
run report r-report --state-dir "$state"
is "$status" 0 'a run that is named is found all the same'
run report r-other --state-dir "$state"
is "$status" 1 'one that is not found may be in the damaged one'
ok 'which is said' grep -q '^error: cannot .* the journal' "$err"
mkdir "$tmp/only"
mv "$state/damaged" "$tmp/only"
run report --state-dir "$tmp/only"
is "$status" 1 'with nothing but a damaged journal there is no report'
done_testing
