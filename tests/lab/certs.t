#!/bin/sh
# SPDX-License-Identifier: MIT
# In the lab, certs makes certificates anew: all, one with another kind of key and names, and by an external CA.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

HERE=$tmp
export HERE
cat >"$tmp/steps" <<'END'
pki=$RENUMBER_LAB/nodes/cp2/etc/kubernetes/pki
step() {
	name=$1
	shift
	kubectl-renumber certs "$@" >"$HERE/$name.out" 2>"$HERE/$name.err" </dev/null
	echo $? >"$HERE/$name.status"
}
show() { openssl x509 -noout -fingerprint -ext subjectAltName -text -in "$pki/$2" >"$HERE/$1" 2>&1; }

# sign CSR CRT CA USAGES: as an external CA would
sign() {
	echo "extendedKeyUsage=$4" >"$HERE/usages"
	openssl x509 -req -in "$1" -out "$2" -CA "$pki/$3.crt" -CAkey "$pki/$3.key" -days 365 -copy_extensions copy \
		-extfile "$HERE/usages" >>"$HERE/log" 2>&1
}

step before
show old apiserver.crt
step all --issue all --yes
show new apiserver.crt
for name in apiserver apiserver-kubelet-client; do
	openssl verify -CAfile "$pki/ca.crt" "$pki/$name.crt"
done >"$HERE/verified" 2>&1
openssl verify -CAfile "$pki/etcd/ca.crt" "$pki/etcd/peer.crt" >>"$HERE/verified" 2>&1
openssl verify -CAfile "$pki/front-proxy-ca.crt" "$pki/front-proxy-client.crt" >>"$HERE/verified" 2>&1
ls "$RENUMBER_LAB"/nodes/cp2/var/lib/kubectl-renumber/certs-*/pki >"$HERE/backup" 2>&1
step one --issue apiserver --add 10.17.0.1,extra.example --key-algorithm ECDSA-P256 --yes
show ecdsa apiserver.crt
step fewer --issue apiserver --remove extra.example --yes -o json
show without apiserver.crt
step unknown --issue nothing --yes
step silent --issue apiserver
step request --csr "$HERE/requests" --issue apiserver,etcd/peer --yes
step early --import "$HERE/requests" --yes
for node in cp1 cp2 cp3; do
	sign "$HERE/requests/$node/apiserver.csr" "$HERE/requests/$node/apiserver.crt" ca serverAuth
	sign "$HERE/requests/$node/etcd-peer.csr" "$HERE/requests/$node/etcd-peer.crt" etcd/ca serverAuth,clientAuth
done
cp "$HERE/requests/cp1/apiserver.crt" "$HERE/kept"
cp "$HERE/requests/cp1/etcd-peer.crt" "$HERE/requests/cp1/apiserver.crt"
step wrong --import "$HERE/requests" --yes
cp "$HERE/kept" "$HERE/requests/cp1/apiserver.crt"
step import --import "$HERE/requests" --yes
openssl x509 -noout -fingerprint -in "$pki/apiserver.crt" >"$HERE/imported"
openssl x509 -noout -fingerprint -in "$HERE/requests/cp2/apiserver.crt" >"$HERE/signed"
find "$HERE/requests" -name '*.key' >"$HERE/keys"
step after
END
renumber-lab --scenario healthy --clock shared -- sh "$tmp/steps" >"$out" 2>"$err" </dev/null
is $? 0 'the lab ran'

# exits NAME STATUS WHAT
exits() { is "$(cat "$tmp/$1.status")" "$2" "$3"; }

exits before 0 'nothing is wrong beforehand'
exits all 0 'all are made anew'
is "$(grep -c '^cp[123] .* yes ' "$tmp/all.out")" 21 'seven on each control plane, and each is said'
is "$(grep -c 'its API server serves the new certificate' "$tmp/all.out")" 3 'every API server serves its own'
ok 'they are others' test "$(head -n 1 "$tmp/old")" != "$(head -n 1 "$tmp/new")"
is "$(grep -c ': OK$' "$tmp/verified")" 4 'openssl verifies them'
ok 'the old pairs are kept on the node' grep -qx apiserver.key "$tmp/backup"

exits one 0 'one is made anew'
ok 'with the names that are asked for' grep -q 'DNS:extra.example.*IP Address:10.17.0.1' "$tmp/ecdsa"
ok 'and another kind of key' grep -q 'ASN1 OID: prime256v1' "$tmp/ecdsa"
exits fewer 0 'a name is taken out'
ok 'it is gone' sh -c '! grep -q extra.example "$1"' - "$tmp/without"
ok 'the answer is JSON' grep -q '"schemaVersion"' "$tmp/fewer.out"

exits unknown 1 'a name that none has is refused'
exits silent 3 'without --yes and a terminal nothing is replaced'

exits request 0 'requests for an external CA are written'
is "$(find "$tmp/requests" -name '*.csr' | wc -l | tr -d ' ')" 6 'two for each control plane'
exits early 1 'nothing is imported before it is signed'
ok 'it says what is missing' grep -q 'no signed certificate is in' "$tmp/early.err"
ok 'a certificate for another key is refused' test "$(cat "$tmp/wrong.status")" != 0
exits import 0 'what the CA signed is put in place'
same "$tmp/imported" "$tmp/signed" 'it is the one that was signed'
empty "$tmp/keys" 'no key came here'
exits after 0 'nothing is wrong afterwards'
done_testing
