# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# kube-proxy of a node, a process.

# What the ConfigMap says; with mixed proxies, most nodes.
proxy_mode_default() {
	case $PROXY in
	mixed) echo iptables ;;
	*) echo "$PROXY" ;;
	esac
}

# proxy_mode NODE: with mixed proxies the second node has nftables
proxy_mode() {
	local second

	read -r _ second _ <<<"$NODES "
	if [ "$PROXY" = mixed ] && [ "$1" = "$second" ] && ! kube_older_than "$VERSION" 1.31; then
		echo nftables
	else
		proxy_mode_default
	fi
}

# Its identity is a client certificate: a Pod's token would need a Pod.
proxy_kubeconfig() {
	local pki=$DIR/nodes/${NODES%% *}/kubernetes/pki work=$DIR/proxy

	mkdir -p "$work"
	(
		umask 077
		cd "$work" || exit
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem \
			-subj '/CN=system:kube-proxy' -out request.pem 2>/dev/null
		openssl x509 -req -in request.pem -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAserial serial -CAcreateserial \
			-days 365 -extfile <(echo extendedKeyUsage=clientAuth) -out crt.pem 2>/dev/null
		kubectl_offline set-cluster default --server "https://$API_NAME:6443" --certificate-authority "$pki/ca.crt" --embed-certs
		kubectl_offline set-credentials default --client-certificate crt.pem --client-key key.pem --embed-certs
		kubectl_offline set-context default --cluster default --user default
		kubectl_offline use-context default
	) >/dev/null
}

kubectl_offline() {
	"$BIN/kubectl" config --kubeconfig kubeconfig.conf "$@"
}

# proxy_start NODE [MODE]
proxy_start() {
	local node=$1 mode=${2:-$(proxy_mode "$1")} dir=$DIR/nodes/$1/lib/kube-proxy

	mkdir -p "$dir"
	cp "$DIR/proxy/kubeconfig.conf" "$dir/kubeconfig.conf"
	kc -n kube-system get configmap kube-proxy -o 'jsonpath={.data.config\.conf}' |
		sed "s/^mode: .*/mode: $mode/" >"$dir/config.conf"
	node_spawn "$node" kube-proxy nice -n -10 kube-proxy --config=/var/lib/kube-proxy/config.conf --hostname-override="$node" -v=2
}

proxy_stop() {
	node_stop "$1" kube-proxy
}
