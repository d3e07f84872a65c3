# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The outer namespace of a cluster with its bridge, and a namespace per node.

outer_ip() {
	ip -n "kr-$NAME" "$@"
}

network_sysctl() {
	local ns=$1
	shift
	ip netns exec "$ns" sysctl -q -w "$@"
}

network_create() {
	# Where they are modules and nobody has loaded them yet.
	modprobe -qa br_netfilter overlay 2>/dev/null || :
	ip netns add "kr-$NAME"
	network_sysctl "kr-$NAME" net.ipv4.ip_forward=1
	outer_ip link set lo up
	outer_ip link add nodes type bridge forward_delay 0
	outer_ip address add "$HOST_ADDRESS/24" dev nodes
	outer_ip link set nodes up
	# An address that nobody serves is silent, as in a data centre.
	outer_ip route add blackhole default
}

# network_add_node NODE ADDRESS
network_add_node() {
	local ns=kr-$NAME.$1

	ip netns add "$ns"
	outer_ip link add "$1" type veth peer name eth0 netns "$ns"
	outer_ip link set "$1" master nodes up
	ip -n "$ns" link set lo up
	ip -n "$ns" link set eth0 up
	ip -n "$ns" address add "$2/24" dev eth0
	ip -n "$ns" route add default via "$HOST_ADDRESS"
	network_sysctl "$ns" net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
	# Probes make a new flow for each question. kube-proxy goes through all that
	# conntrack remembers when Pods behind a Service for UDP change: with sixty
	# thousand entries it took nine seconds, and learned of ended Pods too late.
	network_sysctl "$ns" net.netfilter.nf_conntrack_udp_timeout=5 \
		net.netfilter.nf_conntrack_tcp_timeout_time_wait=10 net.netfilter.nf_conntrack_tcp_timeout_syn_sent=10 \
		net.netfilter.nf_conntrack_tcp_timeout_close=5 2>/dev/null || :
	# Frames that a bridge of Pods forwards must meet kube-proxy's rules.
	[ ! -e /proc/sys/net/bridge ] || network_sysctl "$ns" net.bridge.bridge-nf-call-iptables=1
}

# network_route_pods NODE CIDR: how everybody else reaches that node's Pods
network_route_pods() {
	local other

	outer_ip route replace "$2" via "$(node_address "$1")"
	for other in $NODES; do
		[ "$other" = "$1" ] ||
			ip -n "kr-$NAME.$other" route replace "$2" via "$(node_address "$1")"
	done
}
