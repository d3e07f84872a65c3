#!/bin/sh
# SPDX-License-Identifier: MIT
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

cd "$tmp" || exit 1
mkdir -p in/sub in/empty
cat >in/web.yaml <<'EOF'
# once 10.96.0.9
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.50
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      containers:
      - env:
        - name: NO_PROXY
          value: 10.96.0.0/16,.svc
        - name: DB
          value: postgres://user:hunter2@10.96.3.4:5432/x
EOF
printf 'x 110.96.0.1 10.96.0.1.2 10.97.0.1\nnameserver 10.96.0.10\n' >in/sub/resolv.conf
printf 'a: [\n10.96.0.3\n' >in/sub/broken.yaml
printf '{"kind":"Service","metadata":{"name":"k","namespace":"d","uid":"1"},\n"spec":{"clusterIP":"10.96.0.1"}}' >in/live.json
ln -s /etc in/link
ln -s ../web.yaml in/sub/again.yaml
mkfifo in/sub/pipe

# location, class, code and match of each finding, from JSON
list() {
	awk -F'"' '/"code":/ { c = $4 } /"location":/ { l = $4 } /"match":/ { m = $4 }
		/"class":/ { print l, $4, c, m }' "$out"
}

run scan --cidr 10.96.0.0/16 -o json in
is "$status" 2 'references that must change: exit status 2'
is "$(list)" 'in/live.json:2:22 moved KR901 10.96.0.1
in/sub/broken.yaml:2:1 must-change KR908 10.96.0.3
in/sub/resolv.conf:2:12 must-change KR904 10.96.0.10
in/web.yaml:1:8 harmless KR909 10.96.0.9
in/web.yaml:6:14 must-change KR902 10.96.0.50
in/web.yaml:17:18 must-change KR905 10.96.0.0/16
in/web.yaml:19:42 must-change KR903 10.96.3.4' 'each with place, class and code; links and pipes are passed over'
has "$out" '"object": "Service/shop/web"' 'the object that a YAML document holds'
has "$out" '"field": "spec.template.spec.containers[0].env[0].value"' 'and the field'
is "$(grep -c hunter2 "$out")" 0 'no password of a URL'
is "$(grep -c 'schemaVersion": 1' "$out")" 1 'schema version'
for field in code severity subject message remedy evidence location match class; do
	is "$(grep -c "^      \"$field\": \"" "$out")" 7 "every finding has '$field'"
done
empty "$err" 'nothing on stderr'

run scan --cidr 10.96.0.0/16 in/web.yaml in/sub
is "$status" 2 'a file and a folder'
has "$out" 'in/web.yaml:6:14' 'paths are printed as they were given'
has "$out" 'Service/shop/web spec.clusterIP' 'with the object and the field'
has "$out" '6 references in 3 of 3 files: 0 moved by the run, 5 to change, 1 harmless' 'and the sum'
run scan --cidr 10.96.0.0/16 -o markdown in/web.yaml
has "$out" '| in/web.yaml:6:14 | must-change |' 'as Markdown'
run scan --cidr 10.96.0.0/16 -o yaml in/web.yaml
has "$out" 'schemaVersion: 1' 'as YAML'
run scan --cidr 10.96.0.0/16 -o wide in/sub/resolv.conf
has "$out" 'nameserver 10.96.0.10' 'wide: the line itself'

run scan --cidr 10.96.0.0/16 in/live.json in/empty
is "$status" 0 'only what a run moves itself: exit status 0'
run scan --cidr 10.43.0.0/16 in
is "$status" 0 'nothing of that range: exit status 0'
has "$out" '0 references' 'and it is said'

status=0
kubectl-renumber scan --cidr 10.96.0.0/16 - <in/web.yaml >"$out" 2>"$err" || status=$?
is "$status" 2 'stdin'
has "$out" '-:6:14' 'has the name -'
status=0
printf 'ip-10-96-0-1\n' | kubectl-renumber scan --cidr 10.96.0.0/16 - >"$out" 2>"$err" || status=$?
is "$status" 0 'a name made of an address is harmless'
has "$out" '10-96-0-1' 'but said'
status=0
printf 'x: fd00:10:96::A\n' | kubectl-renumber scan --cidr 10.96.0.0/16,fd00:10:96::/112 - >"$out" 2>"$err" || status=$?
is "$status" 2 'dual stack'
has "$out" 'fd00:10:96::A' 'as it stands there'

# a list as kubectl writes it, longer than what is parsed as a whole
{
	printf 'apiVersion: v1\nitems:\n'
	i=0
	while [ $i -lt 900 ]; do
		printf -- '- apiVersion: v1\n  kind: Service\n  metadata: {name: s%d, namespace: n, uid: u%d}\n' $i $i
		printf '  spec:\n    selector: {a: b}\n    # none\n'
		[ $i != 600 ] || printf '    clusterIP: 10.96.3.4 # 10.96.3.5\n'
		i=$((i + 1))
	done
	printf 'kind: List\nmetadata: {}\n---\nkind: ConfigMap\nmetadata: {name: c, namespace: d}\n'
	printf 'data:\n  a: "10.96.9.9"\n---\na: [10.96.9.8\n---\n# 10.96.9.7\nb: c\n'
} >long.yaml
ok 'the list is long' test "$(wc -c <long.yaml)" -gt 65536
run scan --cidr 10.96.0.0/16 -o json long.yaml
is "$(list)" 'long.yaml:3609:16 moved KR901 10.96.3.4
long.yaml:3609:28 harmless KR909 10.96.3.5
long.yaml:5410:7 must-change KR903 10.96.9.9
long.yaml:5412:5 must-change KR908 10.96.9.8
long.yaml:5414:3 harmless KR909 10.96.9.7' 'a long list: each object on its own'
has "$out" '"object": "Service/n/s600"' 'with its name'
has "$out" '"field": "spec.clusterIP"' 'and the field in it'

gzip -c in/web.yaml >web.yaml.gz
run scan --cidr 10.96.0.0/16 web.yaml.gz
has "$out" 'web.yaml.gz:6:14' 'gzip is unpacked'
mkdir cut
head -c 60 web.yaml.gz >cut/web.yaml.gz
run scan --cidr 10.96.0.0/16 cut
is "$status" 2 'a damaged file below a folder counts as a finding'
has "$out" 'cut/web.yaml.gz could not be looked at' 'and is named'
run scan --cidr 10.96.0.0/16 cut/web.yaml.gz
is "$status" 1 'as an argument it is an error'

run scan --cidr 10.96.0.0/16 in/none.yaml
is "$status" 1 'a path that is not there is an error'
has "$err" "cannot open 'in/none.yaml': No such file or directory" 'and named'
empty "$out" 'nothing on stdout'
run scan --cidr 10.96.0.1/16 in
is "$status" 1 'a range with host bits is an error'
has "$err" "did you mean '10.96.0.0/16'?" 'that names the range'
run scan in
is "$status" 1 'without --cidr'
has "$err" "'--cidr'" 'what is missing is named'

if [ "$(id -u)" != 0 ]; then
	chmod 0 in/web.yaml
	run scan --cidr 10.43.0.0/16 in
	is "$status" 2 'what cannot be read below a folder counts as a finding'
	has "$out" 'in/web.yaml could not be looked at: Permission denied' 'and is named'
fi

done_testing
