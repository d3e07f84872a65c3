# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the incident's author looked at, and what must not be lost.

check_calico() {
	wait_until 60 2 calico_ready && ! calico_restarts_now
}

# Still the same processes after a while
calico_restarts_now() {
	local before after

	before=$(calico_starts) && sleep 8 && after=$(calico_starts) && [ "$before" != "$after" ]
}

calico_starts() {
	kc -n kube-system get pods -l k8s-app=calico-node \
		-o 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount}{"\n"}{end}' | sort
}

# Each of its Pods was answered in the last seconds.
check_client() {
	wait_until 30 2 client_answered
}

client_answered() {
	local pod pods

	pods=$(kc -n shop get pods -l app=client -o name) && [ "$(wc -l <<<"$pods")" -eq 2 ] || return 1
	for pod in $pods; do
		kc -n shop logs "$pod" --since=5s --tail=1 | grep -q ' ok https://' || return 1
	done
}

# The incident's openssl loop, on one control plane
check_openssl_loop() {
	on "$1" 'for file in $(find /etc/kubernetes/pki -name "*.crt"); do
		echo "$file $(openssl x509 -in $file -noout -ext subjectAltName 2>/dev/null | tr -d "\n")"; done' |
		grep '/pki/apiserver.crt ' | grep "IP Address:$NEW_API\(,\|\$\)"
}

# What the server shows to whoever connects
check_served() {
	host_exec openssl s_client -connect "$(node_address "$1"):6443" </dev/null 2>/dev/null |
		openssl x509 -noout -ext subjectAltName | grep "IP Address:$NEW_API\(,\|\$\)"
}

check_kubeadm_certificates() {
	local table

	table=$(on "$1" 'kubeadm certs check-expiration') && grep '^apiserver  *[A-Z]' <<<"$table" || return 1
	on "$1" 'cd /etc/kubernetes/pki &&
		openssl verify -CAfile ca.crt apiserver.crt apiserver-kubelet-client.crt &&
		openssl verify -CAfile front-proxy-ca.crt front-proxy-client.crt &&
		openssl verify -CAfile etcd/ca.crt etcd/server.crt etcd/peer.crt etcd/healthcheck-client.crt apiserver-etcd-client.crt'
}

# A Pod is created, reaches the new address with the certificate verified, and is destroyed.
check_pod_reaches() {
	local phase

	kc -n shop run reach --image=localhost/renumber-test/client:1 --image-pull-policy=Never --restart=Never \
		--command -- /client "https://$NEW_API/version" >&2 || return 1
	phase=$(wait_until 60 1 pod_ended reach && kc -n shop get pod reach -o 'jsonpath={.status.phase}')
	kc -n shop logs reach --tail=3
	kc -n shop delete pod reach --timeout=60s >&2 || return 1
	[ "$phase" = Succeeded ]
}

pod_ended() {
	kc -n shop get pod "$1" -o 'jsonpath={.status.phase}' | grep -q 'Succeeded\|Failed'
}

# The Pods that waited since the network plugin broke
check_stuck_pods() {
	[ -n "${DESTROYED:-}" ] || return 0
	kc -n shop rollout status deployment/created --timeout=120s || return 1
	wait_until 120 2 pod_gone "$DESTROYED"
}

pod_gone() {
	! kc -n shop get pod "$1" >/dev/null 2>&1
}

# UID, ports, NodePorts, selector, labels, count of endpoints
check_services_kept() {
	wait_until 45 2 services_same && return
	diff <(jq -S . "$DIR/run/services-before") <(jq -S . "$DIR/run/services-after")
	return 1
}

services_same() {
	services_facts | jq -S --slurpfile before "$DIR/run/services-before" \
		'with_entries(select($before[0][.key]))' >"$DIR/run/services-after"
	cmp -s "$DIR/run/services-before" "$DIR/run/services-after"
}

check_services_moved() {
	kc get services -A -o json | jq -r '.items[] | select(.spec.clusterIP != null and .spec.clusterIP != "" and .spec.clusterIP != "None")
		| select(.spec.clusterIP | startswith("10.17.") | not)
		| "\(.metadata.namespace)/\(.metadata.name) is still \(.spec.clusterIP)"' >"$DIR/run/left"
	cat "$DIR/run/left"
	[ ! -s "$DIR/run/left" ]
}

check_no_alias() {
	! kc get services,endpointslices -A -o name 2>&1 | grep -e '-renumber-'
}

check_pin_gone() {
	local host

	host=$(kc -n kube-system get configmap kubernetes-services-endpoint -o 'jsonpath={.data.KUBERNETES_SERVICE_HOST}' \
		--ignore-not-found)
	echo "kubernetes-services-endpoint: $host"
	[ "$host" != 10.1.15.121 ]
}

check_configuration() {
	local node dns

	apis_have_flag "$NEW_RANGE" || return 1
	kc -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' |
		grep "serviceSubnet: $NEW_RANGE" || return 1
	dns=$(service_address kube-system kube-dns)
	for node in $NODES; do
		node_exec "$node" grep -A1 clusterDNS /var/lib/kubelet/config.yaml | grep -e "- $dns\$" || return 1
	done
}

# check_default_cidr: only where the API is served
check_default_cidr() {
	[ "$REGIME" != servicecidr ] || wait_until 60 2 default_cidr_new || { kc get servicecidrs; return 1; }
}

default_cidr_new() {
	kc get servicecidr kubernetes -o 'jsonpath={.spec.cidrs[0]} {.status.conditions[0].status}' |
		grep -q "^$NEW_RANGE True"
}

# checks_healed: all of them
checks_healed() {
	local node

	check 'calico runs on every node' check_calico
	check 'the in-cluster client is answered' check_client
	for node in $CONTROL_PLANES; do
		check "$node: the openssl loop shows $NEW_API" check_openssl_loop "$node"
		check "$node: the API server serves $NEW_API" check_served "$node"
		check "$node: kubeadm and openssl accept the certificates" check_kubeadm_certificates "$node"
	done
	check 'Pods that were stuck are created and destroyed' check_stuck_pods
	check "a new Pod reaches https://$NEW_API verified" check_pod_reaches
	check 'Services keep UID, ports and endpoints' check_services_kept
	check 'every Service is in the new range' check_services_moved
	check 'no alias is left' check_no_alias
	check 'calico is not pinned to one control plane' check_pin_gone
	check 'flags, kubeadm-config and clusterDNS agree' check_configuration
	check 'the default ServiceCIDR is the new range' check_default_cidr
}
