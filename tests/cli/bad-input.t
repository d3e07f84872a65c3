#!/bin/sh
# SPDX-License-Identifier: MIT
# Bad input: one clear sentence on stderr, the right exit status, nothing on stdout, nothing changed.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

work=$tmp/work
api=$tmp/api
config=$tmp/config
mkdir "$work" "$api"
cd "$work" || exit 1

# ---- an API server that answers from files ----

mkfifo "$tmp/stop"
"$KR_BUILD/tests/cli/canned_api" "$api" <"$tmp/stop" >"$tmp/port" &
exec 9>"$tmp/stop"
tries=0
until [ -s "$tmp/port" ] || [ "$tries" = 100 ]; do
	sleep 0.05
	tries=$((tries + 1))
done
port=$(cat "$tmp/port")

# answer PATH STATUS BODY
answer() {
	printf '%s\n%s' "$2" "$3" >"$api/$(echo "$1" | sed 's|^/||; s|/|,|g')"
}

# status_of CODE REASON MESSAGE: what an API server says of an error
status_of() {
	printf '{"kind":"Status","apiVersion":"v1","status":"Failure","message":"%s","reason":"%s","code":%s}' \
		"$3" "$2" "$1"
}

# kubeconfig FILE SERVER [USER-LINE]
kubeconfig() {
	user=${3-'{token: secret-word}'}
	cat >"$1" <<END
apiVersion: v1
kind: Config
clusters:
- name: c
  cluster: {server: "$2"}
contexts:
- name: x
  context: {cluster: c, user: u}
users:
- name: u
  user: $user
current-context: x
END
}

identity=/api/v1/namespaces/kube-system
answer $identity 200 '{"kind":"Namespace","metadata":{"name":"kube-system","uid":"uid-1"}}'
answer /api/v1/nodes 200 '{"kind":"NodeList","metadata":{},"items":[]}'
kubeconfig "$config" "http://127.0.0.1:$port"
export KUBECONFIG="$config"

# ---- the check ----

contents() {
	find "$work" "$tmp/home" -exec ls -ld --time-style=full-iso {} + | sort
	find "$work" "$tmp/home" -type f -exec cksum {} + | sort
}

# bad NAME STATUS TEXT ARG…: stderr may say which cluster is meant before the one sentence
bad() {
	name=$1 want=$2 text=$3
	shift 3
	: >"$api/requests"
	contents >"$tmp/before"
	run "$@"
	contents >"$tmp/after"
	why=
	[ "$status" = "$want" ] || why="$why; exit status $status, want $want"
	[ ! -s "$out" ] || why="$why; something on stdout: $(head -c 200 "$out")"
	grep -v '^cluster: ' "$err" >"$tmp/said" || :
	[ "$(wc -l <"$tmp/said")" = 1 ] || why="$why; not one line on stderr"
	grep -q '^error: ' "$tmp/said" || why="$why; no line 'error: …'"
	grep -qF -e "$text" "$tmp/said" || why="$why; it does not say '$text'"
	! grep -q 'secret-word' "$err" || why="$why; it says a secret"
	cmp -s "$tmp/before" "$tmp/after" || why="$why; files were changed: $(diff "$tmp/before" "$tmp/after" | head -5)"
	! grep -v '^GET ' "$api/requests" >"$tmp/writes" || why="$why; it wrote: $(cat "$tmp/writes")"
	if [ -z "$why" ]; then
		tap_result 0 "$name"
	else
		tap_result 1 "$name" || :
		printf '%s\n' "${why#; }" | sed 's/^/# /'
		sed 's/^/# stderr: /' "$err"
	fi
}

# ---- the command line ----

bad 'a command that is not there' 1 "there is no command 'doctr'; did you mean 'doctor'?" doctr
bad 'a command like no other' 1 "there is no command 'xyzzy'; 'kubectl renumber --help' lists them" xyzzy
bad 'help for a command that is not there' 1 "did you mean 'apply'?" help aply
bad 'an unknown option' 1 "unknown option '--contxt'; did you mean '--context'?" doctor --contxt x
bad 'an unknown letter' 1 "unknown option '-q'" doctor -q
bad 'an option without its value' 1 "option '--context' lacks its NAME" doctor --context
bad 'an empty value' 1 "option '--out' is empty" plan --repair --out=
bad 'a value for a flag' 1 "option '--repair' takes no value" plan --repair=yes
bad 'a wrong choice' 1 "option '--output' takes one of: text wide json yaml markdown; not 'xml'" doctor -o xml
bad 'a duration that is none' 1 "option '--request-timeout' takes a duration like 30s or 5m" doctor --request-timeout soon
bad 'a missing argument' 1 "'apply' lacks its FILE" apply
bad 'an argument too many' 1 "'doctor' does not take 'now'" doctor now
bad 'an argument of apply too many' 1 "'apply' does not take 'b'" apply a b
bad 'a stage that is not there' 1 "there is no stage 'amputation'" apply --until amputation x.plan
bad 'finalize as a stage' 1 "'finalize' is a command of its own" apply --until finalize x.plan
bad 'a shell without completion' 1 "no completion for 'tcsh'" completion tcsh
bad 'two ways of --csr' 1 'give one' certs --csr a --import b
bad 'an unknown certificate' 1 "'apiservr'" certs --issue apiservr
bad 'names without a certificate' 1 'go with --issue or --csr' certs --add 10.17.0.1
bad 'a scan without a range' 1 '--cidr' scan .
bad 'a scan for a range that is none' 1 "'10.96'" scan --cidr 10.96 .

# ---- the target ----

bad '--to with host bits' 1 "'10.17.5.0/16' has host bits set; did you mean '10.17.0.0/16'" plan --repair --to 10.17.5.0/16
bad '--to too small' 3 "range '10.17.0.0/30' is too small" plan --repair --to 10.17.0.0/30
bad '--to without a length' 1 "'10.17.0.0'" plan --repair --to 10.17.0.0
bad '--to with a length that is too long' 1 "'10.17.0.0/33'" plan --repair --to 10.17.0.0/33
bad '--to with a number that is too large' 1 "'10.300.0.0/16'" plan --repair --to 10.300.0.0/16
bad '--to with two ranges' 3 'dual-stack clusters are neither moved nor repaired' plan --to 10.17.0.0/16,fd00::/112
bad '--to that is no range' 1 "'tomorrow'" plan --repair --to tomorrow
bad 'a plan for nothing' 1 '--to CIDR says where' plan

# ---- kubeconfig ----

unset KUBECONFIG
bad 'no kubeconfig' 1 'kubeconfig' doctor
export KUBECONFIG="$config"
bad 'a kubeconfig that is not there' 1 "'/nonexistent/config'" doctor --kubeconfig /nonexistent/config
bad 'a folder as kubeconfig' 1 "'$work'" doctor --kubeconfig "$work"
printf 'clusters: [\n' >"$tmp/broken"
bad 'broken YAML' 1 "$tmp/broken:" doctor --kubeconfig "$tmp/broken"
: >"$tmp/empty"
bad 'an empty kubeconfig' 1 "'$tmp/empty'" doctor --kubeconfig "$tmp/empty"
bad 'an unknown context' 1 "'nowhere'" doctor --context nowhere
sed 's/^current-context: .*//' "$config" >"$tmp/contextless"
bad 'no current context' 1 'context' doctor --kubeconfig "$tmp/contextless"
sed 's/user: u}/user: v}/' "$config" >"$tmp/userless"
bad 'an unknown user' 1 "'v'" doctor --kubeconfig "$tmp/userless"
kubeconfig "$tmp/pem" "https://127.0.0.1:$port" '{client-certificate-data: bm8gUEVN, client-key-data: bm8gUEVN}'
bad 'malformed PEM of the client' 1 'certificate' doctor --kubeconfig "$tmp/pem"
kubeconfig "$tmp/base64" "https://127.0.0.1:$port" '{client-certificate-data: "***", client-key-data: "***"}'
bad 'malformed base64' 1 'base64' doctor --kubeconfig "$tmp/base64"
sed 's|{server: "http:\(.*\)"}|{server: "https:\1", certificate-authority-data: bm8gUEVN}|' "$config" >"$tmp/ca"
bad 'malformed PEM of the authority' 1 "cluster 'c' in '$tmp/ca': certificate-authority" doctor --kubeconfig "$tmp/ca"
kubeconfig "$tmp/lost" "https://127.0.0.1:$port" '{client-certificate: lost.crt, client-key: lost.key}'
bad 'a certificate file that is not there' 1 'lost.crt' doctor --kubeconfig "$tmp/lost"
kubeconfig "$tmp/gopher" 'gopher://127.0.0.1:70'
bad 'a server that is no URL of the web' 1 "gopher://127.0.0.1:70" doctor --kubeconfig "$tmp/gopher"

# ---- the server ----

kubeconfig "$tmp/closed" http://127.0.0.1:1
bad 'a server that cannot be reached' 1 'http://127.0.0.1:1' doctor --kubeconfig "$tmp/closed" --request-timeout 2s
kubeconfig "$tmp/plain" "https://127.0.0.1:$port"
bad 'a server that does not speak TLS' 1 "https://127.0.0.1:$port" doctor --kubeconfig "$tmp/plain" --request-timeout 2s
answer $identity 401 "$(status_of 401 Unauthorized Unauthorized)"
bad 'a credential that is not accepted' 1 'its token is wrong or has expired' doctor
answer $identity 403 "$(status_of 403 Forbidden 'namespaces \"kube-system\" is forbidden: User \"u\" cannot get resource')"
bad 'something that is forbidden' 1 'namespaces "kube-system" is forbidden' doctor
answer $identity 200 '{"kind": "Namespace", '
bad 'malformed JSON' 1 "$identity:1:" status
answer $identity 200 '<html><title>Log in</title></html>'
bad 'a page of a login portal' 1 "$identity:1:" status
answer $identity 200 '{"kind":"Namespace","metadata":{}}'
bad 'a namespace without UID' 1 "the server's namespace 'kube-system' has no UID" status
answer $identity 404 "$(status_of 404 NotFound 'the server could not find the requested resource')"
bad 'a server of something else' 1 'cannot identify the cluster' status
answer $identity 200 '{"kind":"Namespace","metadata":{"name":"kube-system","uid":"uid-1"}}'
answer /api/v1/nodes 403 "$(status_of 403 Forbidden 'nodes is forbidden: User \"u\" cannot list resource')"
bad 'nodes that may not be listed' 1 'cannot list the nodes: ' doctor
answer /api/v1/nodes 200 '{"kind":"NodeList","metadata":{},"items":[{]}'
bad 'a malformed list' 1 'cannot list the nodes: ' doctor
answer /api/v1/nodes 200 '{"kind":"NodeList","metadata":{},"items":[]}'

# ---- a target that does not fit the cluster ----

observation=$KR_SRCDIR/tests/data/doctor/healthy-1.36/observation.json
perl -MJSON::PP -e '
	local $/;
	my $seen = decode_json(<STDIN>);
	my %answers = ("version" => $seen->{version});
	$answers{"api,v1,$_"} = { kind => "List", metadata => {}, items => $seen->{$_} } for qw(nodes services pods);
	for my $place (keys %{ $seen->{configMaps} }) {
		my ($space, $name) = split m{/}, $place;
		$answers{"api,v1,namespaces,$space,configmaps,$name"} = $seen->{configMaps}{$place};
	}
	for my $name (keys %answers) {
		open my $out, ">", "$ARGV[0]/$name" or die;
		print $out "200\n", JSON::PP->new->utf8->canonical->encode($answers{$name});
		close $out;
	}' "$api" <"$observation"

target() { # NAME STATUS TEXT [OPTION…]
	name=$1 want=$2 text=$3
	shift 3
	bad "$name" "$want" "$text" plan --repair --nodes-via none --out made.plan "$@"
}
target 'IPv6 on an IPv4 cluster' 3 "range 'fd00:10::/112' is of another address family" --to fd00:10::/112
target 'a range too large for this cluster' 3 "range '10.0.0.0/8' is too large" --to 10.0.0.0/8
target 'the range of the Pods' 3 "range '10.244.0.0/16' overlaps with the Pod range '10.244.0.0/24' of cp1" --to 10.244.0.0/16
target 'the range of the nodes' 3 "range '10.1.0.0/16' contains the address 10.1.15.121 of node 'cp1'" --to 10.1.0.0/16
target 'nodes that are not reached' 3 'use --nodes-via ssh or local' --to 10.17.0.0/16
rm -f "$api/version" "$api/api,v1,services"
answer /api/v1/nodes 200 '{"kind":"NodeList","metadata":{},"items":[]}'

# ---- nodes ----

bad 'a way to nodes that is not served' 1 'daemonset' doctor --nodes-via daemonset
bad 'a map that is not there' 1 "'/nonexistent/map'" doctor --ssh-map /nonexistent/map
echo 'cp1 10.1.15.121' >"$tmp/map"
bad 'a malformed map' 1 "$tmp/map:1" doctor --ssh-map "$tmp/map"
bad 'a malformed ssh command' 1 'ssh' doctor --ssh-command "ssh -o 'x"

# ---- plans ----

plan() { # FILE IDENTITY
	cat >"$1" <<END
{"schemaVersion":1,"kind":"Plan","run":"r-1","mode":"repair","createdAt":"2026-11-22T23:00:00Z",
"cluster":{"server":"https://elsewhere:6443","identity":"$2"},"regime":"bitmap","from":[],
"to":"10.17.0.0/16","map":[],"digest":{},"notes":[],"steps":[{"id":"s01","stage":"services",
"kind":"proxies","subject":"all nodes","why":"","parameters":{"ms":1}}]}
END
}

plan good.plan uid-1
plan other.plan uid-2
sed 's/"schemaVersion":1/"schemaVersion":2/' good.plan >newer.plan
sed 's/"kind":"proxies"/"kind":"amputation"/' good.plan >unknown.plan
sed 's/"to":"10.17.0.0\/16",//' good.plan >lacking.plan
head -c 300 good.plan >cut.plan
bad 'a plan that is not there' 1 "with '--out none.plan', makes it" apply none.plan
bad 'a folder as plan' 1 "'.'" apply .
bad 'a plan that is cut' 1 'cut.plan:4:' apply cut.plan
bad 'a plan without its target' 1 "'lacking.plan' is not a plan: it lacks the text 'to'" apply lacking.plan
bad 'a plan of a newer schema' 1 "'newer.plan' is not a plan that this version reads" apply newer.plan
bad 'a plan with an unknown step' 1 "step 's01' is of the unknown kind 'amputation'" apply unknown.plan
bad 'a kubeconfig as plan' 1 "$config:1:" apply "$config"
bad 'a plan of another cluster' 3 'the plan is for the cluster at https://elsewhere:6443 (identity uid-2)' apply --yes other.plan

# ---- consent, state and output ----

# the folder that is made for the first look at a journal is no change of anything
mkdir "$tmp/state"
bad 'no terminal and no --yes' 3 'give --yes' apply --state-dir "$tmp/state" good.plan
sed 's/"notes":\[\],/"notes":[],"consents":[{"code":"load-balancers","message":"one balances","subjects":[]},{"code":"cluster-owner","message":"it is another one'"'"'s","subjects":[]}],/' good.plan >asks.plan
bad 'a plan that asks for consents' 3 'give --accept load-balancers,cluster-owner' apply --state-dir "$tmp/state" asks.plan
bad 'one consent of two' 3 'give --accept load-balancers' apply --state-dir "$tmp/state" --accept cluster-owner asks.plan
bad 'all consents, and the general one' 3 'give --yes' apply --state-dir "$tmp/state" --accept cluster-owner,load-balancers asks.plan
bad 'nothing to resume' 1 'no run of this cluster is open here' resume --state-dir "$tmp/state"
bad 'a consent that nobody asks for' 1 "there is no consent 'load-balancer'; there are cluster-owner, load-balancers" apply --state-dir "$tmp/state" --accept cluster-owner,load-balancer asks.plan
bad 'a consent that nobody asks for, on the way back' 1 "there is no consent 'load-balancer'" rollback --state-dir "$tmp/state" --accept load-balancer
bad 'the same for a resume' 1 "there is no consent 'x'" resume --state-dir "$tmp/state" --accept x
bad 'a stage that is none' 1 "there is no stage 'service'; the stages are: tourniquet preflight certificates" apply --until service good.plan
bad 'the way back to one' 1 "there is no stage 'service'; the stages are: tourniquet" rollback --to service
bad 'a limit that is none' 1 "--max-failed: '5.5' is neither a number of requests, like 5, nor a share" apply --max-failed 5.5 good.plan
bad 'nothing to finalize' 1 "'resume --adopt' takes it over" finalize --state-dir "$tmp/state"
: >file
bad 'a file in the way of the state' 1 "file" status --state-dir "$work/file"
bad 'a state folder that cannot be made' 1 '/proc/none' apply --yes --state-dir /proc/none good.plan
mkdir -p "$tmp/state/uid-1"
echo 'this is not a database, and it is long enough to be seen as none' >"$tmp/state/uid-1/journal.db"
cp "$tmp/state/uid-1/journal.db" "$tmp/journal"
for command in status resume finalize "apply --yes good.plan"; do
	# shellcheck disable=SC2086
	bad "a damaged journal: $command" 1 "journal.db': file is not a database" $command --state-dir "$tmp/state"
done
same "$tmp/state/uid-1/journal.db" "$tmp/journal" 'a damaged journal is left as it is'
bad 'a record that cannot be written' 1 '/nonexistent/file' doctor --observation "$observation" --record /nonexistent/file

full() { # NAME ARG…
	name=$1
	shift
	status=0
	kubectl-renumber "$@" >/dev/full 2>"$err" </dev/null || status=$?
	is "$status $(cat "$err")" "1 error: cannot write the result: No space left on device" "a full disk behind stdout: $name"
}
full version version
full version version -o json
full doctor doctor --observation "$observation"
full completion completion bash
full help help
full status status --state-dir "$tmp/none"
status=0
kubectl-renumber --help >/dev/full 2>"$err" || status=$?
is "$status $(cat "$err")" '1 error: cannot write the help page: No space left on device' 'a full disk behind stdout: --help'

exec 9>&-
wait
done_testing
