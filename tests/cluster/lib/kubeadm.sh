# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# kubeadm init and join, as in the incident: a load-balanced API name, an outer
# address and all control planes in the certificates.

KUBEADM_TOKEN=abcdef.0123456789abcdef

kubeadm_api() {
	if kube_older_than "$VERSION" 1.23; then
		echo kubeadm.k8s.io/v1beta2
	elif kube_older_than "$VERSION" 1.31; then
		echo kubeadm.k8s.io/v1beta3
	else
		echo kubeadm.k8s.io/v1beta4
	fi
}

kubeadm_socket() {
	# Old kubeadm looks for the file of that name.
	if kube_older_than "$VERSION" 1.24; then
		echo "$RUNTIME_SOCKET"
	else
		echo "unix://$RUNTIME_SOCKET"
	fi
}

# kubeadm_extra COMPONENT: extraArgs of the versions that need some
kubeadm_extra() {
	[ "$VERSION" != "${VERSION%-dual-write}" ] || return 0
	printf '%s:\n  extraArgs:\n  - {name: feature-gates, value: MultiCIDRServiceAllocator=true}\n' "$1"
	[ "$1" != apiServer ] ||
		echo '  - {name: runtime-config, value: networking.k8s.io/v1beta1=true}'
}

kubeadm_sans() {
	local node

	printf '  - %s\n' 127.0.0.1 "$API_NAME" 10.103.97.2
	for node in $CONTROL_PLANES; do
		echo "  - $(node_address "$node")"
	done
}

kubeadm_kubelet() {
	cat <<-CONFIG
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		cgroupDriver: cgroupfs
		failSwapOn: false
		resolvConf: /etc/resolv.conf
		imageGCHighThresholdPercent: 100
		imageGCLowThresholdPercent: 99
		evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
	CONFIG
	kube_older_than "$VERSION" 1.35 || echo 'failCgroupV1: false'
}

kubeadm_proxy() {
	cat <<-CONFIG
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: $(proxy_mode_default)
		clusterCIDR: $POD_CIDR
		metricsBindAddress: 127.0.0.1:10249
		conntrack: {maxPerCore: 0, min: 0}
	CONFIG
}

# kubeadm_init_config NODE
kubeadm_init_config() {
	local api extra
	api=$(kubeadm_api)

	extra=$(kubeadm_extra apiServer)
	cat <<-CONFIG
		apiVersion: $api
		kind: InitConfiguration
		bootstrapTokens:
		- token: $KUBEADM_TOKEN
		  ttl: 24h0m0s
		localAPIEndpoint: {advertiseAddress: $(node_address "$1"), bindPort: 6443}
		nodeRegistration: {name: $1, criSocket: $(kubeadm_socket), taints: []}
		---
		apiVersion: $api
		kind: ClusterConfiguration
		kubernetesVersion: v${VERSION%-dual-write}
		controlPlaneEndpoint: $API_NAME:6443
		networking: {dnsDomain: cluster.local, serviceSubnet: $SERVICE_CIDR, podSubnet: $POD_CIDR}
		${extra:-apiServer:}
		  certSANs:
		$(kubeadm_sans)
		$(kubeadm_extra controllerManager)
		---
		$(kubeadm_kubelet)
		---
		$(kubeadm_proxy)
	CONFIG
}

# kubeadm_join_config NODE
kubeadm_join_config() {
	cat <<-CONFIG
		apiVersion: $(kubeadm_api)
		kind: JoinConfiguration
		discovery:
		  bootstrapToken: {token: $KUBEADM_TOKEN, apiServerEndpoint: "$API_NAME:6443", unsafeSkipCAVerification: true}
		nodeRegistration: {name: $1, criSocket: $(kubeadm_socket), taints: []}
	CONFIG
	[[ " $CONTROL_PLANES " != *" $1 "* ]] ||
		echo "controlPlane: {localAPIEndpoint: {advertiseAddress: $(node_address "$1"), bindPort: 6443}}"
}

# kubeadm_run NODE ARGS...: with the node's configuration on stdin
kubeadm_run() {
	local node=$1
	shift

	cat >"$DIR/nodes/$node/root/kubeadm.yaml"
	node_exec "$node" kubeadm "$@" --config /root/kubeadm.yaml >>"$DIR/log/$node-kubeadm-$1.log" 2>&1 ||
		die "$node: kubeadm $1 failed: $(tail -n 15 "$DIR/log/$node-kubeadm-$1.log")"
}

# kubeadm_init NODE
kubeadm_init() {
	kubeadm_init_config "$1" | kubeadm_run "$1" init --skip-phases=preflight
	cp "$DIR/nodes/$1/kubernetes/admin.conf" "$KUBECONFIG_FILE"
	# kube-proxy runs as a process of each node; its ConfigMap stays.
	kc -n kube-system delete daemonset kube-proxy --wait=false >&2
}

# kubeadm_share_authorities FROM TO: what --upload-certs would carry over
kubeadm_share_authorities() {
	local from=$DIR/nodes/$1/kubernetes/pki to=$DIR/nodes/$2/kubernetes/pki

	mkdir -p "$to/etcd"
	cp -p "$from"/{ca,front-proxy-ca}.{crt,key} "$from"/sa.{key,pub} "$to"
	cp -p "$from"/etcd/ca.{crt,key} "$to/etcd"
}

# kubeadm_join NODE
kubeadm_join() {
	if ! kube_older_than "$VERSION" 1.22 || [[ " $WORKERS " == *" $1 "* ]]; then
		kubeadm_join_config "$1" | kubeadm_run "$1" join --skip-phases=preflight
		return
	fi
	# An old kubelet that has just registered does not know its disk yet, and
	# refuses etcd for ever, which asks for some.
	kubeadm_join_config "$1" | kubeadm_run "$1" join --skip-phases=preflight,control-plane-join
	wait_until 150 0.2 node_knows_disk "$1" || die "$1: kubelet does not report its disk"
	kubeadm_join_config "$1" | kubeadm_run "$1" join phase control-plane-join all
}

node_knows_disk() {
	kc get node "$1" -o 'jsonpath={.status.allocatable.ephemeral-storage}' 2>/dev/null | grep -q .
}

# kubeadm_networked NODE: the node's Pod network, as soon as it is known
kubeadm_networked() {
	local cidr

	wait_until 300 0.2 node_pod_cidr "$1" >/dev/null || die "$1 got no Pod network"
	cidr=$(node_pod_cidr "$1")
	runtime_network "$1" "$cidr"
}

node_pod_cidr() {
	kc get node "$1" -o 'jsonpath={.spec.podCIDR}' 2>/dev/null | grep .
}
