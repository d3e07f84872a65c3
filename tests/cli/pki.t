#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Certificates beside the openssl program: CAs that openssl made, certificates of ours that openssl
# verifies, and requests that openssl signs. Where kubeadm is at hand, field by field beside it.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-renumber
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

command -v openssl >/dev/null || skip_all 'there is no openssl program'
tool=$KR_BUILD/tests/cli/pki_op

# op NAME REQUEST: the reply in $out, the exit status in $status
op() {
	status=0
	printf '%s' "$2" | "$tool" "$1" >"$out" 2>"$err" || status=$?
}

# make_ca FOLDER NAME CN ALGORITHM: with openssl, not with us
make_ca() {
	mkdir -p "$(dirname "$1/$2")"
	case $4 in
	rsa) set -- "$@" -newkey rsa:2048 ;;
	*) set -- "$@" -newkey ec -pkeyopt "ec_paramgen_curve:$4" ;;
	esac
	ca_folder=$1 ca_name=$2 ca_cn=$3
	shift 4
	openssl req -x509 "$@" -nodes -days 3650 -subj "/CN=$ca_cn" \
		-addext 'keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign' \
		-keyout "$ca_folder/$ca_name.key" -out "$ca_folder/$ca_name.crt" 2>/dev/null
}

# shown FILE: the certificate as openssl shows it, without what differs each time
shown() {
	openssl x509 -in "$1" -noout -text -certopt no_pubkey,no_sigdump,no_serial,no_validity |
		sed 's/Public-Key: .*//'
}

for algorithm in rsa P-256 P-384; do
	pki=$tmp/$algorithm/pki
	make_ca "$pki" ca kubernetes "$algorithm"
	make_ca "$pki" front-proxy-ca front-proxy-ca "$algorithm"
	make_ca "$pki" etcd/ca etcd-ca "$algorithm"
	op issue '{"folder":"'"$pki"'","names":"all","backup":"'"$tmp/$algorithm/backup"'",
		"node":"cp1","address":"10.1.15.121","version":"v1.36.3","algorithm":"ECDSA-P256",
		"add":["10.96.0.1","10.17.0.1"]}'
	is "$status" 0 "$algorithm: all are issued"
	for pair in apiserver:ca:sslserver apiserver-kubelet-client:ca:sslclient \
		front-proxy-client:front-proxy-ca:sslclient etcd/server:etcd/ca:sslserver \
		etcd/server:etcd/ca:sslclient etcd/peer:etcd/ca:sslclient \
		etcd/healthcheck-client:etcd/ca:sslclient apiserver-etcd-client:etcd/ca:sslclient; do
		name=${pair%%:*} rest=${pair#*:}
		ok "$algorithm: openssl verifies $name as ${rest#*:}" \
			openssl verify -x509_strict -CAfile "$pki/${rest%:*}.crt" \
			-purpose "${rest#*:}" "$pki/$name.crt"
	done
	ok "$algorithm: openssl finds the address" sh -c "openssl verify -CAfile '$pki/ca.crt' \
		-verify_ip 10.17.0.1 '$pki/apiserver.crt'"
	ok "$algorithm: openssl does not find another" sh -c "! openssl verify -CAfile '$pki/ca.crt' \
		-verify_ip 10.18.0.1 '$pki/apiserver.crt'"
	openssl x509 -in "$pki/apiserver.crt" -noout -pubkey >"$tmp/from-cert"
	openssl pkey -in "$pki/apiserver.key" -pubout >"$tmp/from-key"
	same "$tmp/from-key" "$tmp/from-cert" "$algorithm: openssl sees the same key in both"
	op audit '{"root":"'"$tmp/$algorithm"'","expected":["10.96.0.1","10.17.0.1"]}'
	is "$(grep -c '"code"' "$out")" 0 "$algorithm: and the audit finds nothing"
	is "$(grep -c '"matches": true' "$out")" 10 "$algorithm: ten keys match"
done

# what kubeadm of 1.36 makes, written down from it (openssl x509 -text)
cat >"$tmp/wanted" <<'EOF'
Certificate:
    Data:
        Version: 3 (0x2)
        Signature Algorithm: sha256WithRSAEncryption
        Issuer: CN = kubernetes
        Subject: CN = kube-apiserver
        X509v3 extensions:
            X509v3 Key Usage: critical
                Digital Signature, Key Encipherment
            X509v3 Extended Key Usage: 
                TLS Web Server Authentication
            X509v3 Basic Constraints: critical
                CA:FALSE
            X509v3 Authority Key Identifier: 
                KEYID
            X509v3 Subject Alternative Name: 
                DNS:cp1, DNS:kubernetes, DNS:kubernetes.default, DNS:kubernetes.default.svc, DNS:kubernetes.default.svc.cluster.local, IP Address:10.96.0.1, IP Address:10.1.15.121, IP Address:10.17.0.1
EOF
shown "$tmp/rsa/pki/apiserver.crt" | sed 's/^ *[0-9A-F][0-9A-F]\(:[0-9A-F][0-9A-F]\)\{19\}$/                KEYID/' \
	>"$tmp/got"
same "$tmp/got" "$tmp/wanted" 'fields and their order are those of kubeadm'

# before 1.21 kubeadm gave no basic constraints, before 1.31 the beginning of the CA, before 1.29
# system:masters
cp -R "$tmp/rsa" "$tmp/old"
rm "$tmp"/old/pki/apiserver*
op issue '{"folder":"'"$tmp/old/pki"'","names":"apiserver,apiserver-kubelet-client","backup":"'"$tmp/old/backup"'",
	"node":"cp1","address":"10.1.15.121","version":"v1.20.2","add":["10.96.0.1"]}'
is "$status" 0 'certificates as of 1.20'
shown "$tmp/old/pki/apiserver.crt" >"$tmp/got"
lacks "$tmp/got" 'Basic Constraints' 'have no basic constraints'
is "$(openssl x509 -in "$tmp/old/pki/apiserver.crt" -noout -startdate)" \
	"$(openssl x509 -in "$tmp/old/pki/ca.crt" -noout -startdate)" 'begin with their CA'
is "$(openssl x509 -in "$tmp/old/pki/apiserver-kubelet-client.crt" -noout -subject)" \
	'subject=O = system:masters, CN = kube-apiserver-kubelet-client' 'and have the old group'
has "$tmp/old/pki/apiserver.key" 'BEGIN RSA PRIVATE KEY' 'with an RSA key'

pki=$tmp/rsa/pki
op issue '{"folder":"'"$pki"'","names":"etcd/server","backup":"'"$tmp/rsa/more"'","force":true,
	"algorithm":"RSA-3072","validity":86400}'
is "$status" 0 'an RSA key of 3072 bits, for a day'
has "$pki/etcd/server.key" 'BEGIN RSA PRIVATE KEY' 'is PKCS#1, as kubeadm writes it'
ok 'openssl says it is sound' openssl rsa -in "$pki/etcd/server.key" -check -noout
ok 'it has expired in two days' sh -c "! openssl x509 -checkend 172800 -noout -in '$pki/etcd/server.crt'"
op audit '{"root":"'"$tmp/rsa"'"}'
has "$out" '"expires-soon"' 'and the audit says so'

# an external CA: the request is signed by openssl
rm -rf "$tmp/external" && cp -R "$tmp/P-256" "$tmp/external"
pki=$tmp/external/pki
mv "$pki/ca.key" "$tmp/ca.key"
op issue '{"folder":"'"$pki"'","names":"apiserver","backup":"'"$tmp/external/before-import"'","force":true}'
is "$status" 1 'without the key of the CA nothing is issued'
has "$err" 'external CA' 'and the reason is said'
request='"folder":"'"$pki"'","names":"apiserver","stage":"'"$tmp/external/stage"'","add":["10.200.0.1"]'
op csr "{$request}"
is "$status" 0 'a request is made'
lacks "$out" 'PRIVATE' 'no key is in the reply'
sed -n 's/^ *"pem": "\(.*\)"$/\1/p' "$out" | sed 's/\\n/\
/g' >"$tmp/apiserver.csr"
ok 'openssl verifies the request' openssl req -in "$tmp/apiserver.csr" -verify -noout
ok 'openssl signs it' openssl x509 -req -in "$tmp/apiserver.csr" -CA "$pki/ca.crt" -CAkey "$tmp/ca.key" \
	-CAcreateserial -days 90 -copy_extensions copy -out "$tmp/bare.crt"
printf 'extendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' >"$tmp/ext"
ok 'openssl signs it for servers' openssl x509 -req -in "$tmp/apiserver.csr" -CA "$pki/ca.crt" \
	-CAkey "$tmp/ca.key" -CAcreateserial -days 90 -copy_extensions copy -extfile "$tmp/ext" \
	-out "$tmp/good.crt"
pem() { sed 's/$/\\n/' "$1" | tr -d '\n'; }
before=$(openssl x509 -in "$pki/apiserver.crt" -noout -fingerprint)
op import "{$request,"'"backup":"'"$tmp/external/before-import"'","certificates":[{"name":"apiserver","pem":"'"$(pem "$tmp/bare.crt")"'"}]}'
is "$status" 3 'one that is not for servers is refused'
is "$(openssl x509 -in "$pki/apiserver.crt" -noout -fingerprint)" "$before" 'and nothing is changed'
op import "{$request,"'"backup":"'"$tmp/external/before-import"'","certificates":[{"name":"apiserver","pem":"'"$(pem "$tmp/good.crt")"'"}]}'
is "$status" 0 'one that is for servers is imported'
is "$(openssl x509 -in "$pki/apiserver.crt" -noout -fingerprint)" \
	"$(openssl x509 -in "$tmp/good.crt" -noout -fingerprint)" 'it is in place'
openssl x509 -in "$pki/apiserver.crt" -noout -pubkey >"$tmp/from-cert"
openssl pkey -in "$pki/apiserver.key" -pubout >"$tmp/from-key"
same "$tmp/from-key" "$tmp/from-cert" 'with its key'
cp "$pki/apiserver.crt" "$tmp/imported"
op import "{$request,"'"backup":"'"$tmp/external/before-import"'","certificates":[{"name":"apiserver","pem":"'"$(pem "$tmp/good.crt")"'"}]}'
is "$status" 0 'importing it again is fine'
has "$out" '"changed": false' 'and changes nothing'
same "$pki/apiserver.crt" "$tmp/imported" 'not even the file'
ok 'the waiting key is gone' test ! -e "$tmp/external/stage/apiserver.key"
op restore '{"folder":"'"$pki"'","names":"all","backup":"'"$tmp/external/before-import"'"}'
is "$(openssl x509 -in "$pki/apiserver.crt" -noout -fingerprint)" "$before" 'restoring undoes the import'

# beside kubeadm itself, where tests of real clusters have built it
for kubeadm in "$cache"/1.*/bin/kubeadm; do
	[ -x "$kubeadm" ] || continue
	version=${kubeadm%/bin/kubeadm}
	version=${version##*/}
	theirs=$tmp/kubeadm-$version/theirs ours=$tmp/kubeadm-$version/ours
	if ! "$kubeadm" init phase certs all --cert-dir "$theirs" --kubernetes-version "v$version" \
		--apiserver-advertise-address 10.1.15.121 --control-plane-endpoint api.example:6443 \
		--apiserver-cert-extra-sans 10.1.15.122,more.example >"$out" 2>"$err"; then
		echo "# kubeadm $version does not run here"
		continue
	fi
	cp -R "$theirs" "$ours"
	node=$(openssl x509 -in "$theirs/etcd/peer.crt" -noout -subject -nameopt multiline |
		sed -n 's/ *commonName *= //p')
	rm "$ours"/apiserver* "$ours"/front-proxy-client* "$ours"/etcd/server* "$ours"/etcd/peer* \
		"$ours"/etcd/healthcheck*
	op issue '{"folder":"'"$ours"'","names":"all","backup":"'"$tmp/kubeadm-$version/backup"'",
		"node":"'"$node"'","address":"10.1.15.121","version":"v'"$version"'",
		"add":["10.96.0.1","api.example","10.1.15.122","more.example"]}'
	is "$status" 0 "$version: all that kubeadm makes"
	for name in apiserver apiserver-kubelet-client front-proxy-client etcd/server etcd/peer \
		etcd/healthcheck-client apiserver-etcd-client; do
		shown "$theirs/$name.crt" >"$tmp/wanted"
		shown "$ours/$name.crt" >"$tmp/got"
		same "$tmp/got" "$tmp/wanted" "$version: $name is as kubeadm's, field by field"
		is "$(stat -c %a "$ours/$name.crt" "$ours/$name.key" | tr '\n' ' ')" \
			"$(stat -c %a "$theirs/$name.crt" "$theirs/$name.key" | tr '\n' ' ')" \
			"$version: $name has the modes of kubeadm's"
	done
done

done_testing
