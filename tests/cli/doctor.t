#!/bin/sh
# SPDX-License-Identifier: MIT
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

data=$KR_SRCDIR/tests/data/doctor

run doctor --observation "$data/healthy-1.36/observation.json"
is "$status" 0 'a healthy cluster: exit status 0'
has "$out" 'no errors, no warnings' 'and it is said'
has "$out" 'regime:  servicecidr, Kubernetes v1.36.3' 'regime and version first'
has "$out" 'ServiceCIDR/kubernetes' 'ranges by source'
empty "$err" 'nothing on stderr'

run doctor --observation "$data/incident-half-1.20-real/observation.json"
is "$status" 2 'a broken cluster: exit status 2'
has "$out" 'KR203' 'with codes'
has "$out" "kubectl renumber plan --repair --out repair.plan" 'and the next command'

run doctor --observation "$data/incident-half-1.20-real/observation.json" -o json
is "$status" 2 'the same as JSON'
codes=$(awk -F'"' '/"code":/ { code = $4 } /"severity": "error"/ { printf "%s ", code }' "$out")
is "$codes" 'KR106 KR203 KR204 KR205 KR604 ' 'errors in order of their codes'
has "$out" '"schemaVersion": 1' 'schema version'
has "$out" '"regime": "bitmap"' 'regime'
for field in code severity subject message remedy evidence; do
	is "$(grep -c "^      \"$field\": \"" "$out")" "$(grep -c '^      "code"' "$out")" \
		"every finding has '$field'"
done

run doctor --observation "$data/incident-half-1.20-real/observation.json" -o yaml
has "$out" 'schemaVersion: 1' 'as YAML'
run doctor --observation "$data/incident-half-1.20-real/observation.json" -o markdown
has "$out" '| KR203 | error |' 'as Markdown'

printf '{' >"$tmp/half.json"
run doctor --observation "$tmp/half.json"
is "$status" 1 'a cut observation is an error'
has "$err" "half.json:1:" 'with its place'
empty "$out" 'nothing on stdout'

printf '{"version":{"gitVersion":"v1.36.3","major":"1","minor":"36"},"nodes":[],"pods":[]}' >"$tmp/some.json"
run doctor --observation "$tmp/some.json"
is "$status" 1 'an observation without Services is an error'
has "$err" "'services'" 'that names the field'

run doctor --observation "$tmp/none.json"
is "$status" 1 'a missing file is an error'

sed -n 's/^| \(KR[0-9][0-9]*\) |.*/\1/p' "$KR_SRCDIR/doc/findings.md" | sort >"$tmp/documented"
grep -oh '"KR[0-9][0-9][0-9]"' "$KR_SRCDIR"/src/doctor/*.c "$KR_SRCDIR"/src/cmd/verify.c \
	"$KR_SRCDIR"/src/scan/*.c "$KR_SRCDIR"/src/cmd/scan.c |
	tr -d '"' | sort -u >"$tmp/used"
is "$(cat "$tmp/documented")" "$(cat "$tmp/used")" 'doc/findings.md lists every code that is used, once'

done_testing
