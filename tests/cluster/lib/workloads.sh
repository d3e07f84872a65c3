# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What runs in a test cluster before it is broken, and what it looked like.

# workload_image PROGRAM: an image with nothing but the program
workload_image() {
	local rootfs

	rootfs=$(mktemp -d "$DIR/rootfs.XXXXXX")
	cp "$PROGRAMS/$1" "$rootfs/$1"
	image_import "localhost/renumber-test/$1" 1 "$rootfs" >/dev/null 2>&1
	rm -rf "$rootfs"
}

# Everything is up, each Pod ready and older than its first readiness look.
workloads_create() {
	local program file node

	programs_build
	for program in calico client echo probe; do
		workload_image "$program"
	done
	for node in $NODES; do
		mkdir -p "$DIR/nodes/$node/lib/probe"
		: >"$DIR/nodes/$node/lib/probe/targets-pod"
	done
	# Nobody serves a dead Service address: packets vanish, clients see time-outs.
	ip -n "kr-$NAME" route replace blackhole 10.96.0.0/16
	ip -n "kr-$NAME" route replace blackhole 10.17.0.0/16
	# From here on Pods are made by the plugin that the stand-in installs.
	kc apply -f "$LIB/../workloads/calico.yaml" >&2
	kc -n kube-system rollout status daemonset calico-node --timeout=120s >&2
	for file in services client probe; do
		kc apply -f "$LIB/../workloads/$file.yaml" >&2
	done
	workloads_wait 180
	wait_until 60 1 services_served || {
		say "Services have no endpoints; the servers are started again"
		servers_restart
		wait_until 180 1 services_served || die "Services have no endpoints"
	}
}

# Watches of 1.20 that were under way while etcd had no leader, because its second member had only
# just joined, may stay silent for good.
servers_restart() {
	local node pid

	for node in $CONTROL_PLANES; do
		for pid in $(node_exec "$node" pidof kube-apiserver kube-controller-manager); do
			node_exec "$node" kill "$pid" || :
		done
	done
}

services_served() {
	services_facts | jq -e 'all(.[]; .selector == null or .endpoints > 0)' >/dev/null
}

# workloads_wait SECONDS
workloads_wait() {
	local what

	for what in deployment/echo statefulset/store deployment/client daemonset/probe; do
		kc -n shop rollout status "$what" "--timeout=${1}s" >&2 || return 1
	done
	kc -n kube-system rollout status daemonset calico-node "--timeout=${1}s" >&2 || return 1
	kc -n kube-system rollout status deployment coredns "--timeout=${1}s" >&2
}

# services_facts: what of every Service must survive, as one JSON object by name
services_facts() {
	kc get services,endpoints -A -o json 2>/dev/null | jq -S '
		(.items | map(select(.kind == "Endpoints")) | map({ key: "\(.metadata.namespace)/\(.metadata.name)",
			value: ([.subsets[]? | (.addresses // [])[] | .ip] | length) }) | from_entries) as $ready
		| .items | map(select(.kind == "Service" and (.metadata.name | contains("-renumber-") | not)))
		| map("\(.metadata.namespace)/\(.metadata.name)" as $name | { key: $name, value: {
			uid: .metadata.uid, type: .spec.type, selector: .spec.selector, affinity: .spec.sessionAffinity,
			headless: (.spec.clusterIP == "None"), externalName: .spec.externalName,
			labels: .metadata.labels, owners: .metadata.ownerReferences,
			ports: [.spec.ports[]? | { name, port, protocol, targetPort, nodePort }],
			endpoints: ($ready[$name] // 0) } }) | from_entries'
}

# service_address NAMESPACE NAME
service_address() {
	kc -n "$1" get service "$2" -o 'jsonpath={.spec.clusterIP}' 2>/dev/null || :
}
