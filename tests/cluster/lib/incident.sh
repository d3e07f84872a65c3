# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The incident, step by step, with the commands that its author used.

OLD_RANGE=10.96.0.0/16 NEW_RANGE=10.17.0.0/16 NEW_API=10.17.0.1

# A person's shell on a node
on() {
	host_exec ssh -F "$SSH_CONFIG" "$@" </dev/null
}

api_flag() {
	node_exec "$1" sh -c 'tr "\0" "\n" <"/proc/$(pidof kube-apiserver)/cmdline"' 2>/dev/null |
		sed -n 's/^--service-cluster-ip-range=//p'
}

apis_ready() {
	local node

	for node in $CONTROL_PLANES; do
		kc_at "$node" get --raw /readyz --request-timeout=3s >/dev/null 2>&1 || return 1
	done
}

apis_have_flag() {
	local node

	for node in $CONTROL_PLANES; do
		[ "$(api_flag "$node")" = "$1" ] || return 1
	done
}

leader_of() {
	kc -n kube-system get lease "$1" -o 'jsonpath={.spec.holderIdentity} {.spec.renewTime}' --request-timeout=3s 2>/dev/null
}

# A controller-manager leads and has renewed after $1 (seconds since 1970).
controllers_lead() {
	local holder time

	read -r holder time < <(leader_of kube-controller-manager) || :
	[ -n "$holder" ] && [ "$(date -d "$time" +%s)" -gt "$1" ]
}

controllers_wait() {
	wait_until 90 1 controllers_lead "$(($(date +%s) + 1))" || die "no controller-manager leads"
}

# The range is changed by editing the flag in the manifests of every node.
incident_change_flags() {
	local node

	for node in $CONTROL_PLANES; do
		on "$node" "sed -i 's#--service-cluster-ip-range=$OLD_RANGE#--service-cluster-ip-range=$NEW_RANGE#' \
			/etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/manifests/kube-controller-manager.yaml"
	done
	wait_until 240 1 apis_have_flag $NEW_RANGE || die "the API servers do not run with the new range"
	wait_until 240 1 apis_ready || die "the API servers are not ready with the new range"
	controllers_wait
	say "incident: every server runs with $NEW_RANGE"
}

kubernetes_has() {
	[ "$(service_address default kubernetes)" = "$1" ]
}

# default/kubernetes is deleted, "because the API server will create it again".
incident_delete() {
	kc delete service kubernetes >&2
	say "incident: deleted default/kubernetes"
	case $REGIME in
	bitmap)
		wait_until 60 1 kubernetes_has $NEW_API || die "default/kubernetes did not come back as $NEW_API"
		;;
	*)
		# It does not come back for want of a ServiceCIDR, however long one waits.
		sleep 25
		! kc get service kubernetes >/dev/null 2>&1 || die "default/kubernetes came back without a ServiceCIDR"
		[ "$1" = gone ] || incident_add_service_cidr
		;;
	esac
}

# What a desperate operator does where the ServiceCIDR API is served.
incident_add_service_cidr() {
	local version

	version=networking.k8s.io/v1
	[ "$REGIME" = servicecidr ] || version+=beta1
	printf 'apiVersion: %s\nkind: ServiceCIDR\nmetadata:\n  name: new-range\nspec:\n  cidrs: [%s]\n' \
		"$version" $NEW_RANGE | kc apply -f - >&2
	wait_until 60 1 kubernetes_has $NEW_API || die "default/kubernetes did not come back as $NEW_API"
	say "incident: added a ServiceCIDR, default/kubernetes is $NEW_API"
}

calico_log() {
	local pod

	for pod in $(kc -n kube-system get pods -l k8s-app=calico-node -o name); do
		kc -n kube-system logs "$pod" --tail=20 2>/dev/null || :
		kc -n kube-system logs "$pod" --previous --tail=20 2>/dev/null || :
	done
}

# calico_crashing: every Pod of it was restarted more than once and is not ready
calico_crashing() {
	kc -n kube-system get pods -l k8s-app=calico-node -o json 2>/dev/null | jq -e --argjson n "$(wc -w <<<"$NODES")" '
		[.items[].status.containerStatuses[]? | select(.restartCount > 1 and (.ready | not))] | length == $n' >/dev/null
}

calico_fails() {
	calico_log >"$DIR/run/calico.log"
	calico_crashing && grep -q "$1" "$DIR/run/calico.log"
}

# Nothing refreshes what the containers know: calico fails first, and stays dead.
incident_calico_fails() {
	wait_until 150 2 calico_fails "$1" ||
		die "calico does not crash with '$1': $(tail -n 3 "$DIR/run/calico.log")"
	grep -q 'dial tcp 10.96.0.1:443: i/o timeout' <(kc -n shop logs -l app=client --tail=3) ||
		die "the client does not miss the old address"
	say "incident: calico is crash-looping on every node ($1)"
}

# No Pod can be created or destroyed: one of each waits from here on.
incident_pods_stick() {
	kc -n shop create deployment created --image=localhost/renumber-test/client:1 -- /client >&2
	DESTROYED=$(kc -n shop get pods -l app=echo -o 'jsonpath={.items[0].metadata.name}')
	kc -n shop delete pod "$DESTROYED" --wait=false >&2
	wait_until 40 1 pod_events created- 'error getting ClusterInformation' || die "a Pod was created all the same"
	wait_until 40 1 pod_events "$DESTROYED" 'error getting ClusterInformation' || die "a Pod was destroyed all the same"
	say "incident: no Pod is created or destroyed"
}

# pod_events POD TEXT: of Pods whose names begin so
pod_events() {
	kc -n shop get events -o json 2>/dev/null | jq -e --arg pod "$1" --arg text "$2" 'any(.items[];
		(.involvedObject.name | startswith($pod)) and ((.message // "") | contains($text)))' >/dev/null
}

calico_restart() {
	kc -n kube-system delete pods -l k8s-app=calico-node --wait=false >&2
}

calico_ready() {
	local pods

	pods=$(kc -n kube-system get pods -l k8s-app=calico-node -o json 2>/dev/null) || return 1
	jq -e --argjson n "$(wc -w <<<"$NODES")" '[.items[] | select(.metadata.deletionTimestamp | not)
		| .status.containerStatuses[]? | select(.ready)] | length == $n' <<<"$pods" >/dev/null
}

# calico_configure ADDRESS PORT: the optional ConfigMap of its DaemonSet
calico_configure() {
	kc -n kube-system create configmap kubernetes-services-endpoint --dry-run=client -o yaml \
		"--from-literal=KUBERNETES_SERVICE_HOST=$1" "--from-literal=KUBERNETES_SERVICE_PORT=$2" \
		"--from-literal=KUBERNETES_SERVICE_PORT_HTTPS=$2" | kc apply -f - >&2
	calico_restart
}

# With the new address it still fails, on the certificate; with the address of a
# control plane it comes up.
incident_pin_calico() {
	calico_configure 10.1.15.121 6443
	wait_until 60 2 calico_ready || die "calico does not come up with the address of a control plane"
	say "incident: calico is pinned to 10.1.15.121:6443 and up"
}

# certSANs in the ConfigMap kubeadm-config, by hand
incident_edit_kubeadm_config() {
	local file=$DIR/run/kubeadm-config.json

	kc -n kube-system get configmap kubeadm-config -o json |
		jq --arg address $NEW_API '.data.ClusterConfiguration |= if test("- " + $address + "\n") then . else
			sub("certSANs:\n(?<indent> *)- "; "certSANs:\n\(.indent)- \($address)\n\(.indent)- ") end' >"$file"
	kc -n kube-system replace -f "$file" >&2
	kc -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' >"$DIR/run/kubeadm-config.yaml"
	grep -q -e "- $NEW_API\$" "$DIR/run/kubeadm-config.yaml" || die "kubeadm-config has no $NEW_API"
}

# incident_renew NODE: backup, delete, kubeadm init phase certs all
incident_renew() {
	cp "$DIR/run/kubeadm-config.yaml" "$DIR/nodes/$1/root/kubeadm-config.yaml"
	on "$1" 'set -e
		cp -r /etc/kubernetes /root/kubernetes.bak
		cd /etc/kubernetes/pki
		rm -f apiserver* front-proxy-client* etcd/healthcheck* etcd/peer* etcd/server*
		kubeadm init phase certs all --config /root/kubeadm-config.yaml' >&2
	on "$1" "openssl x509 -noout -ext subjectAltName -in /etc/kubernetes/pki/apiserver.crt" | grep -q "IP Address:$NEW_API" ||
		die "$1: kubeadm made no certificate for $NEW_API"
}

# incident_rebuild_api NODE: the manifest is moved away and back
incident_rebuild_api() {
	on "$1" 'mv /etc/kubernetes/manifests/kube-apiserver.yaml /root/
		for i in $(seq 60); do pidof kube-apiserver >/dev/null || break; sleep 1; done
		mv /root/kube-apiserver.yaml /etc/kubernetes/manifests/' >&2
	wait_until 120 1 kc_at "$1" get --raw /readyz --request-timeout=3s >/dev/null 2>&1 ||
		die "$1: the API server is not ready"
}

# incident_certificates NODE...
incident_certificates() {
	local node

	incident_edit_kubeadm_config
	for node; do
		incident_renew "$node"
		incident_rebuild_api "$node"
		say "incident: new certificates on $node"
	done
}

# It is pinned to a server that was restarted for its certificate, and may be in back-off.
incident_calico_recovers() {
	wait_until 180 1 calico_ready || die "calico does not come back"
}

# Every second of the other Services is made again by hand in the new range.
incident_move_half() {
	local namespace name i=0

	while read -r namespace name; do
		i=$((i + 1))
		[ $((i % 2)) -eq 1 ] || continue
		kc -n "$namespace" get service "$name" -o yaml | sed 's/\b10\.96\./10.17./' | kc replace --force -f - >&2
		say "incident: $namespace/$name made again in the new range"
	done < <(kc get services -A -o json | jq -r '.items[]
		| select((.spec.clusterIP // "") | startswith("10.96."))
		| select(.metadata.name != "kube-dns") | "\(.metadata.namespace) \(.metadata.name)"')
}

# A backup that the kubelet takes for a manifest
incident_leave_backup() {
	on "$1" 'cp /etc/kubernetes/manifests/kube-scheduler.yaml /etc/kubernetes/manifests/kube-scheduler.yaml.bak'
}
