#!/bin/sh
# SPDX-License-Identifier: MIT
# What others may try: a hostile server, a node, a plan of somebody else, another user of this machine.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

api=$tmp/api
config=$tmp/config
state=$tmp/state
mkdir "$api"
cd "$tmp" || exit 1

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

# answer PATH BODY
answer() {
	printf '200\n%s' "$2" >"$api/$(echo "$1" | sed 's|^/||; s|/|,|g')"
}
# kubeconfig FILE SERVER [CLUSTER-MEMBERS [USER]]
kubeconfig() {
	user=${4-}
	[ -n "$user" ] || user='{token: secret-word}'
	cat >"$1" <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "$2"${3-}}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
users: [{name: u, user: $user}]
current-context: x
END
}
kubeconfig "$config" "http://127.0.0.1:$port"
export KUBECONFIG="$config"
# no connection leaves this machine, and what is called instead of ssh says with what
cat >"$tmp/ssh" <<END
#!/bin/sh
for word; do printf '%s\n' "\$word"; done >>"$tmp/ssh-words"
tr '\\0' '\\n' </proc/\$PPID/cmdline >>"$tmp/ssh-words"
env >>"$tmp/ssh-words"
exit 255
END
chmod 755 "$tmp/ssh"

# ---- a server that says what it likes ----

# identity UID
identity() {
	answer /api/v1/namespaces/kube-system "{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"kube-system\",\"uid\":\"$1\"}}"
}
answer /api/v1/nodes '{"kind":"NodeList","metadata":{},"items":[]}'
for uid in ../../escaped .. . /etc/x '' a/b "$(printf '%065d' 0)" '\u001b[31m'; do
	identity "$uid"
	run status --state-dir "$state/a/b"
	is "$status" 1 "the cluster's UID '$uid' is refused"
	ok 'and no folder is made of it' test ! -e "$state" -a ! -e "$tmp/escaped"
done
identity uid-1
run status --state-dir "$state"
is "$status" 0 'a plain one is taken'
is "$(stat -c %a "$state" "$state/uid-1" "$state/uid-1/journal.db" | tr '\n' ' ')" '700 700 600 ' 'for nobody else to read'

# Every text of a recorded cluster gets something for the terminal behind it, names of nodes but for one stay.
perl -MJSON::PP -e '
	local $/;
	my $seen = JSON::PP->new->utf8->decode(<STDIN>);
	my $evil = "\x1b]0;pwned\x07\x1b[31m\x{9b}2J\r\x08\x7f\x{202e}";
	sub spoil {
		my ($value, $path) = @_;
		if (ref $value eq "HASH") {
			spoil($value->{$_}, "$path.$_") for keys %$value;
			for my $key (keys %$value) {
				next if ref $value->{$key} || !defined $value->{$key} || JSON::PP::is_bool($value->{$key});
				next if $value->{$key} =~ /^-?[0-9]/ || $path =~ /\.(command|labels|annotations)$/;
				next if $key =~ /^(uid|kind|apiVersion|type|status|gitVersion|major|minor|clusterIP|resourceVersion|controller|format|schema.*|serviceCIDRAPI)$/;
				next if "$path.$key" =~ /^\.(nodes|hosts|pods)\b.*\.(name|nodeName|namespace)$/ || $path =~ /^\.(hosts|certs)/ && $key ne "error";
				next if $path =~ /^\.configMaps/ || $path =~ /^\.services.*metadata$/ && $value->{$key} =~ /^(default|kubernetes|kube-system)$/;
				$value->{$key} .= $evil;
			}
		} elsif (ref $value eq "ARRAY") {
			spoil($_, $path) for @$value;
			for (@$value) { $_ .= $evil unless ref $_ || !defined $_ || /^-?[0-9]/ || $path =~ /(command|cidrs|clusterIPs)$/ }
		}
	}
	spoil($seen, "");
	print JSON::PP->new->utf8->canonical->encode($seen);
' <"$KR_SRCDIR/tests/data/doctor/mid-apply-1.36-real/observation.json" >"$tmp/hostile.json"
ok 'the recorded cluster has become hostile' grep -q 'pwned' "$tmp/hostile.json"

# quiet FILE: nothing in it that a terminal obeys
# shellcheck disable=SC2317 # called by ok
quiet() {
	[ -e "$1" ] && ! LC_ALL=C grep -nP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]' "$1"
}
for format in text wide json yaml markdown; do
	run doctor --observation "$tmp/hostile.json" -o $format
	ok "doctor -o $format: a finding was made" test "$status" = 2
	case $format in
	json | yaml) has "$out" 'pwned' "doctor -o $format has the text all the same" ;;
	esac
	# programs get what turns text round as it is
	[ $format = text ] || [ $format = wide ] || sed -i 's/\xe2\x80\xae//g' "$out"
	ok "doctor -o $format: stdout does not drive the terminal" quiet "$out"
	ok "doctor -o $format: stderr neither" quiet "$err"
	run plan --repair --to 10.17.0.0/16 --observation "$tmp/hostile.json" -o $format
	[ $format = text ] || [ $format = wide ] || sed -i 's/\xe2\x80\xae//g' "$out"
	ok "plan -o $format: stdout does not drive the terminal" quiet "$out"
	ok "plan -o $format: stderr neither" quiet "$err"
done
run plan --repair --to 10.17.0.0/16 --observation "$tmp/hostile.json" -o wide
has "$out" 'pwned' 'plan: the hostile text is among what is printed'

answer /version '{"major":"1","minor":"36","gitVersion":"v1.36.3"}'
# The server's error, and what it calls its nodes.
printf '403\n{"kind":"Status","status":"Failure","reason":"Forbidden","code":403,"message":"no\\u001b[31m\\u009b2Jpwned"}' \
	>"$api/api,v1,services"
run doctor --nodes-via none
has "$err" 'pwned' "the server's words are said"
ok 'without what a terminal obeys' quiet "$err"
rm "$api/api,v1,services"
answer /api/v1/nodes '{"kind":"NodeList","metadata":{},"items":[
	{"metadata":{"name":"-oProxyCommand=touch pwned"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}]}},
	{"metadata":{"name":"$(touch pwned)"}},
	{"metadata":{"name":"../../../escaped"}},
	{"metadata":{"name":"x\u001b[31m"}},
	{"metadata":{"name":"good"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1 -oProxyCommand=touch pwned"}]}}]}'
for list in services pods; do answer /api/v1/$list '{"kind":"List","metadata":{},"items":[]}'; done
run doctor --ssh-command "$tmp/ssh"
ok 'names of nodes that are none are left out' grep -q 'is no name that Kubernetes gives to a node' "$err"
ok 'without what a terminal obeys' quiet "$err"
has "$tmp/ssh-words" good 'ssh was called for the other node'
lacks "$tmp/ssh-words" touch 'but with nothing of these names and addresses'
ok 'and nothing was run' test ! -e pwned
lacks "$tmp/ssh-words" secret-word 'the token is neither in an argument nor in the environment of another program'
lacks "$err" secret-word 'nor on stderr'
run doctor -v --ssh-command "$tmp/ssh"
lacks "$err" secret-word 'nor with -v'
run certs --csr "$tmp/csr" --ssh-command "$tmp/ssh"
ok 'no file is made under the name of such a node' test ! -e "$tmp/escaped" -a ! -e "$tmp/../escaped"
for user in -oProxyCommand=id -l ''; do
	run doctor --ssh-command "$tmp/ssh" --ssh-user="$user"
	is "$status" 1 "--ssh-user '$user' is refused"
done

# ---- a server that never comes to an end ----

cat >"$tmp/endless" <<'END'
use IO::Socket::INET;
use Compress::Raw::Zlib;
$SIG{PIPE} = "IGNORE";
my $listener = IO::Socket::INET->new(Listen => 9, LocalAddr => "127.0.0.1", ReuseAddr => 1) or die;
open my $say, ">", "$ARGV[0].new" or die;
print $say $listener->sockport, "\n";
close $say;
rename "$ARGV[0].new", $ARGV[0];
while (my $client = $listener->accept) {
	while (1) {
		my $head = "";
		while (defined(my $line = <$client>)) { $head .= $line; last if $line eq "\r\n" }
		last unless $head =~ m{^GET (\S+)};
		my $path = $1;
		if ($path =~ m{namespaces/kube-system$} || $ARGV[1] ne "pages") {
			my $body = q({"metadata":{"uid":"uid-1"}});
			if ($ARGV[1] eq "plain") {
				print $client "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{";
				1 while print $client " " x 65536;
				last;
			}
			if ($ARGV[1] eq "gzip") {
				print $client "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n";
				my ($pack) = Compress::Raw::Zlib::Deflate->new(-WindowBits => WANT_GZIP, -Level => 1, -AppendOutput => 1);
				my ($blanks, $piece) = (" " x (1 << 22), "");
				do { $piece = ""; $pack->deflate($blanks, $piece) } while print $client $piece;
				last;
			}
			if ($ARGV[1] eq "headers") {
				print $client "HTTP/1.1 200 OK\r\n";
				1 while print $client "X-A: " . "a" x 60000 . "\r\n";
				last;
			}
			if ($ARGV[1] eq "deep") {
				$body = "[" x 10_000_000;
			}
			if ($ARGV[1] eq "values") {
				$body = "[" . "[]," x 20_000_000 . "0]";
			}
			print $client "HTTP/1.1 200 OK\r\nContent-Length: ", length $body, "\r\n\r\n$body";
			next;
		}
		my $body = q({"metadata":{"continue":"more"},"items":[]});
		print $client "HTTP/1.1 200 OK\r\nContent-Length: ", length $body, "\r\n\r\n$body";
	}
	close $client;
}
END
# endless HOW TEXT
endless() {
	rm -f "$tmp/endless-port"
	perl "$tmp/endless" "$tmp/endless-port" "$1" &
	pid=$!
	tries=0
	until [ -s "$tmp/endless-port" ] || [ "$tries" = 200 ]; do
		sleep 0.05
		tries=$((tries + 1))
	done
	kubeconfig "$tmp/endless-config" "http://127.0.0.1:$(cat "$tmp/endless-port")"
	# more than the largest answer that is taken, and its copy on the way
	status=0
	(
		# shellcheck disable=SC3045 # where it is not known there is no bound to hold
		ulimit -v 1500000
		exec kubectl-renumber doctor --nodes-via none --kubeconfig "$tmp/endless-config" --request-timeout 60s
	) >"$out" 2>"$err" </dev/null || status=$?
	kill "$pid"
	wait "$pid" 2>/dev/null || :
	is "$status" 1 "an answer without end ($1) ends the program, in bounds"
	has "$err" "$2" "and is said ($1)"
}
# sanitizers reserve more than any bound
if [ -z "${KR_SAN-}" ]; then
	endless plain 'larger than'
	endless gzip 'larger than'
	endless headers 'error: '
	endless deep 'nested deeper than'
	endless values 'values, which is more than can be right'
	endless pages 'has no end'
fi

# ---- TLS ----

kubeconfig "$tmp/insecure" https://127.0.0.1:1 ', insecure-skip-tls-verify: true'
run doctor --kubeconfig "$tmp/insecure" --request-timeout 1s
has "$err" "warning: 'https://127.0.0.1:1' is not verified (insecure-skip-tls-verify" 'a server that is not verified is said'

# ---- a credential plugin ----

cat >"$tmp/plugin" <<END
#!/bin/sh
env >"$tmp/plugin-env"
printf '%s\n' "\$@" >"$tmp/plugin-words"
echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"from-plugin"}}'
END
chmod 755 "$tmp/plugin"
kubeconfig "$tmp/exec" "http://127.0.0.1:$port" '' \
	"{exec: {apiVersion: client.authentication.k8s.io/v1, command: \"$tmp/plugin\", args: [\"\$(touch pwned)\", \"; touch pwned\"], env: [{name: OWN, value: \"\$(touch pwned)\"}]}}"
run status --kubeconfig "$tmp/exec" --state-dir "$state"
is "$status" 0 'a plugin gives the credential'
# shellcheck disable=SC2016
has "$tmp/plugin-env" 'OWN=$(touch pwned)' 'its environment is as the kubeconfig says'
# shellcheck disable=SC2016
has "$tmp/plugin-words" '$(touch pwned)' 'its arguments are'
ok 'no shell sees either' test ! -e pwned
has "$tmp/plugin-env" 'KUBERNETES_EXEC_INFO=' 'it learns what kubectl would tell it'

# ---- another user of this machine ----

chmod 770 "$state"
run status --state-dir "$state"
is "$status" 3 'a state folder in which others may write is refused'
has "$err" "'$state' can be written by others (mode 0770)" 'and named'
chmod 700 "$state"
chmod 777 "$state/uid-1"
run status --state-dir "$state"
is "$status" 3 "so is a cluster's"
chmod 700 "$state/uid-1"
if [ "$(id -u)" = 0 ]; then
	chown 12345 "$state/uid-1"
	run status --state-dir "$state"
	is "$status" 3 'and one that belongs to somebody else'
	has "$err" 'belongs to user 12345' 'whose it is stands there'
	chown 0 "$state/uid-1"
fi
mv "$state/uid-1/journal.db" "$tmp/real.db"
ln -s "$tmp/real.db" "$state/uid-1/journal.db"
run status --state-dir "$state"
is "$status" 1 'a journal that is a link is not followed'
rm "$state/uid-1/journal.db"
mv "$tmp/real.db" "$state/uid-1/journal.db"
(
	umask 000
	run status --state-dir "$tmp/open"
	kubectl-renumber plan --repair --to 10.17.0.0/16 --observation "$tmp/hostile.json" --out "$tmp/open.plan" >"$out" 2>"$err"
)
is "$(stat -c %a "$tmp/open" "$tmp/open/uid-1" "$tmp/open/uid-1/journal.db" "$tmp/open.plan" | tr '\n' ' ')" '700 700 600 600 ' \
	'umask 000 opens nothing'
echo kept >"$tmp/victim"
ln -s "$tmp/victim" "$tmp/link.plan"
run plan --repair --to 10.17.0.0/16 --observation "$tmp/hostile.json" --out "$tmp/link.plan"
is "$(cat "$tmp/victim")" kept 'a plan is not written through a link'
ok 'but in its place' test -f "$tmp/link.plan" -a ! -L "$tmp/link.plan"

# ---- a plan of somebody else ----

# plan_of FILE PERL: the plan above, changed
plan_of() {
	perl -MJSON::PP -0777 -e 'my $p = decode_json(<STDIN>); $p->{cluster}{identity} = "uid-1"; '"$2"'
		print JSON::PP->new->utf8->canonical->encode($p)' <"$tmp/open.plan" >"$1"
	chmod 600 "$1"
}
# refused NAME STATUS TEXT PERL
refused() {
	plan_of "$tmp/theirs" "$4"
	: >"$api/requests"
	run apply --yes --nodes-via none --state-dir "$state" "$tmp/theirs"
	is "$status" "$2" "a plan with $1 is refused"
	has "$err" "$3" "and why ($1)"
	ok "without what a terminal obeys ($1)" quiet "$err"
	grep -v '^GET ' "$api/requests" >"$tmp/writes"
	empty "$tmp/writes" "before anything is written ($1)"
}
refused 'a run that is a path' 1 "the run's id is not one of ours" '$p->{run} = "../../x";'
refused 'a run that drives the terminal' 1 "the run's id is not one of ours" '$p->{run} = "\x1b[31m";'
refused 'another cluster' 3 'the plan is for the cluster at' '$p->{cluster}{identity} = "uid-2\x1b[31m";'
refused 'an unknown kind of step' 1 "is of the unknown kind" '$p->{steps}[0]{kind} = "run-shell\x1b[31m";'
refused 'notes that are none' 1 "'notes' has to be a list of texts" '$p->{notes} = [{}];'
plan_of "$tmp/theirs" ''
chmod 666 "$tmp/theirs"
run apply --yes --nodes-via none --state-dir "$state" "$tmp/theirs"
is "$status" 3 'a plan that anybody may write is refused'
has "$err" "'$tmp/theirs' can be written by others (mode 0666)" 'and named'
if [ "$(id -u)" = 0 ]; then
	chmod 600 "$tmp/theirs"
	chown 12345 "$tmp/theirs"
	run apply --yes --nodes-via none --state-dir "$state" "$tmp/theirs"
	is "$status" 3 'so is one that belongs to somebody else'
fi

# ---- the threat model names what there is ----

grep -o '[uclf]:[a-z_-][a-z_-]*' "$KR_SRCDIR/doc/threat-model.md" | sort -u | while IFS=: read -r kind name; do
	case $kind in
	u) file=unit/$name.c ;;
	c) file=cli/$name.t ;;
	l) file=lab/$name.t ;;
	f) file=fuzz/$name.c ;;
	esac
	test -e "$KR_SRCDIR/tests/$file" || echo "tests/$file"
done >"$tmp/lost"
grep -o '`[a-z]*/*[a-z_]*\.c`' "$KR_SRCDIR/doc/threat-model.md" | tr -d '`' | sort -u | while read -r file; do
	test -e "$KR_SRCDIR/src/$file" || echo "src/$file"
done >>"$tmp/lost"
empty "$tmp/lost" 'each file and each test that the threat model names is there'
is "$(grep -c '^| .* | .* | *|$' "$KR_SRCDIR/doc/threat-model.md")" 0 'and each claim has a test'

# ---- what is left over ----

run --version
is "$status" 0 '--version is the command version'
cp "$out" "$tmp/version"
run version
same "$out" "$tmp/version" 'and says the same'
run -o json --version
has "$out" '"version":' 'with its options'
run doctor --version
is "$status" 1 'a command has no --version'
done_testing
