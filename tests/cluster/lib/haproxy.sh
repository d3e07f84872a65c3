# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The load balancer in front of the API servers.

balancer_start() {
	local node

	{
		cat <<-CONFIG
			global
				maxconn 4096
				log stdout format iso local0 notice
			defaults
				mode tcp
				timeout connect 2s
				timeout client 1h
				timeout server 1h
			frontend api
				bind $HOST_ADDRESS:6443
				default_backend servers
			backend servers
				log global
				option httpchk GET /readyz
				http-check expect status 200
				default-server check check-ssl verify none inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
		CONFIG
		for node in $CONTROL_PLANES; do
			echo "	server $node $(node_address "$node"):6443"
		done
	} >"$DIR/haproxy.cfg"
	host_spawn haproxy haproxy -db -f "$DIR/haproxy.cfg"
}
