# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What a cluster needs beside Kubernetes itself: etcd, CoreDNS, containerd 2.

ETCD_VERSION=3.6.8
COREDNS_VERSION=1.14.7
# The DNS server of the time before EndpointSlices had a stable API.
COREDNS_OLD_VERSION=1.7.0
CONTAINERD_VERSION=2.2.1

etcd_build() {
	mkdir "$1/server" "$1/ctl" || :
	go_commands "$1/server" "$2/bin" go.etcd.io/etcd/server/v3 "v$ETCD_VERSION" '' go.etcd.io/etcd/server/v3
	mv "$2/bin/server" "$2/bin/etcd"
	go_commands "$1/ctl" "$2/bin" go.etcd.io/etcd/etcdctl/v3 "v$ETCD_VERSION" '' go.etcd.io/etcd/etcdctl/v3
}

coredns_build() {
	go_commands "$1" "$2/bin" github.com/coredns/coredns "v$COREDNS_VERSION" '' github.com/coredns/coredns
}

# A newer reflect2: the one of that time crashes under Go 1.18 and later.
coredns_old_build() {
	GO_REQUIRE='github.com/modern-go/reflect2 v1.0.2' \
		go_commands "$1" "$2/bin" github.com/coredns/coredns "v$COREDNS_OLD_VERSION" '' github.com/coredns/coredns
}

containerd_build() {
	local command packages=()

	for command in containerd containerd-shim-runc-v2 ctr; do
		packages+=("github.com/containerd/containerd/v2/cmd/$command")
	done
	go_commands "$1" "$2/bin" github.com/containerd/containerd/v2 "v$CONTAINERD_VERSION" \
		"-X github.com/containerd/containerd/v2/version.Version=v$CONTAINERD_VERSION" "${packages[@]}"
}

# components_build VERSION: and the folders with the binaries, one a line
components_build() {
	cache_item "etcd-$ETCD_VERSION" etcd_build
	echo "$CACHE/etcd-$ETCD_VERSION/bin"
	if kube_older_than "$1" 1.22; then
		cache_item "coredns-$COREDNS_OLD_VERSION" coredns_old_build
		echo "$CACHE/coredns-$COREDNS_OLD_VERSION/bin"
	else
		cache_item "coredns-$COREDNS_VERSION" coredns_build
		echo "$CACHE/coredns-$COREDNS_VERSION/bin"
	fi
	# containerd 2 no longer speaks the interface of old kubelets; they are
	# served by Debian's.
	kube_older_than "$1" 1.26 || {
		cache_item "containerd-$CONTAINERD_VERSION" containerd_build
		echo "$CACHE/containerd-$CONTAINERD_VERSION/bin"
	}
}
