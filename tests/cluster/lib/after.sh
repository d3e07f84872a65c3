# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# After finalize: what kubeadm would do next, what still names the old range,
# and nodes that join.
# shellcheck disable=SC2034 # names of new nodes are read by the other parts

AFTER_OLD='\b10\.96\.[0-9]'

# after_served NODE: on disk and live
after_served() {
	local names

	check_served "$1" || return 1
	names=$(host_exec openssl s_client -connect "$(node_address "$1"):6443" </dev/null 2>/dev/null |
		openssl x509 -noout -ext subjectAltName)
	echo "$names"
	! grep -q "$AFTER_OLD" <<<"$names"
}

# after_kubeadm NODE: what would be written; nothing is
after_kubeadm() {
	local node=$1 out=$RESULT/kubeadm-$1 options=()

	kc -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' \
		>"$DIR/nodes/$node/root/after.yaml" || return 1
	after_init "$node" >"$out.init" 2>&1 || { tail -n 5 "$out.init"; return 1; }
	after_flags "$out.init" || { echo "kubeadm init: $(tail -n 5 "$out.init")"; return 1; }
	# No crictl on test nodes, and nothing to pull. Some versions print the files and take the folder away.
	kube_older_than "$VERSION" 1.30 || options=(--ignore-preflight-errors=all)
	node_exec "$node" sh -c 'rm -rf /tmp/kubeadm-upgrade; mkdir /tmp/kubeadm-upgrade; KUBEADM_UPGRADE_DRYRUN_DIR=/tmp/kubeadm-upgrade \
		kubeadm upgrade node --dry-run --kubeconfig /etc/kubernetes/admin.conf "$@" &&
		{ [ ! -d /tmp/kubeadm-upgrade ] || find /tmp/kubeadm-upgrade -type f -exec cat {} +; }' \
		- "${options[@]}" >"$out.upgrade" 2>&1 || { tail -n 5 "$out.upgrade"; return 1; }
	after_flags "$out.upgrade" || { echo "kubeadm upgrade: $(tail -n 5 "$out.upgrade")"; return 1; }
	! grep -a "$AFTER_OLD" "$out.upgrade"
}

# after_init NODE: the manifests; old kubeadm has no dry run of a phase, and gets a
# folder that nobody else sees
after_init() {
	if kube_older_than "$VERSION" 1.25; then
		node_exec "$1" unshare --mount --propagation private sh -c 'mount -t tmpfs none /etc/kubernetes/manifests &&
			kubeadm init phase control-plane all --config /root/after.yaml && cat /etc/kubernetes/manifests/*'
	else
		node_exec "$1" sh -c 'rm -rf /tmp/kubeadm-init; mkdir /tmp/kubeadm-init; export KUBEADM_INIT_DRYRUN_DIR=/tmp/kubeadm-init
			kubeadm init phase control-plane all --dry-run --config /root/after.yaml && find /tmp/kubeadm-init -type f -exec cat {} +'
	fi
}

# after_flags FILE: the one range of all flags that were written
after_flags() {
	local ranges

	ranges=$(grep -aoE -- '--service-cluster-ip-range=[0-9./,]+' "$1" | sort -u)
	echo "ranges: $ranges"
	[ "$ranges" = "--service-cluster-ip-range=$NEW_RANGE" ]
}

# after_objects: every type that can be listed, but events, which tell the past
after_objects() {
	local type at left=0

	: >"$RESULT/left"
	for type in $(kc api-resources --verbs=list -o name | grep -v -e '^events' -e '^componentstatuses'); do
		kc get "$type" -A -o json 2>/dev/null | jq -r --arg old "$AFTER_OLD" '.items[]? | del(.metadata.managedFields)
			| select(tostring | test($old)) | "\(.kind)/\(.metadata.namespace // "-")/\(.metadata.name)"' >>"$RESULT/left"
	done
	sort -u -o "$RESULT/left" "$RESULT/left"
	[ -s "$RESULT/left" ] || return 0
	tool scan --cidr "$OLD_RANGE" -o json >"$RESULT/scan.out" 2>"$RESULT/scan.err" || :
	while read -r at; do
		jq -e --arg name "${at##*/}" 'any(.findings[]; tostring | contains($name))' "$RESULT/scan.out" >/dev/null || {
			echo "$at has an old address, and scan does not say so"
			left=1
		}
	done <"$RESULT/left"
	cat "$RESULT/left"
	return $left
}

# after_files: text of the nodes' own configuration; certificates are looked at apart
after_files() {
	local node found=0

	for node in $NODES; do
		node_exec "$node" grep -rlIE "$AFTER_OLD" /etc/kubernetes /etc/cni /var/lib/kubelet/config.yaml \
			/var/lib/kubelet/kubeadm-flags.env /var/lib/kubectl-renumber 2>/dev/null | sed "s/^/$node:/"
	done >"$RESULT/left-files"
	cat "$RESULT/left-files"
	[ ! -s "$RESULT/left-files" ] || found=1
	return $found
}

# after_joins: a node and, where there are several, a control plane
after_joins() {
	local node

	check 'a new node joins' after_join worker9
	check 'the new node works' after_works worker9
	[ "$(wc -w <<<"$CONTROL_PLANES")" -ge 3 ] || return 0
	check 'a new control plane joins' after_join cp4
	check 'the new control plane works' after_works cp4
	check 'the new control plane gives out the new range' after_allocates cp4
}

# after_join NODE: in this shell, for the cluster is larger then
after_join() {
	local node=$1 all=$NODES

	mkdir -p "$DIR/nodes/$node" || return 1
	boot_address "$node" >"$DIR/nodes/$node/address"
	echo "$(node_address "$node") $node" >>"$DIR/hosts"
	NODES+=" $node"
	case $node in
	*worker*) WORKERS+=" $node" ;;
	*) CONTROL_PLANES+=" $node" ;;
	esac
	# In a process of its own: what dies there ends this check only.
	(
		runtime_prepare
		access_add "$node" "$(node_address "$node")"
		node_start "$node" "$(node_address "$node")"
		after_images "$node"
		after_routes "$node" "$all"
		[[ $node = *worker* ]] || kubeadm_share_authorities "${all%% *}" "$node"
		kubeadm_join "$node"
		boot_joined "$node"
	) || { NODES=$all; return 1; }
}

after_images() {
	local program NODES=$1

	mkdir -p "$DIR/nodes/$1/lib/probe"
	: >"$DIR/nodes/$1/lib/probe/targets-pod"
	for program in calico client echo probe; do
		workload_image "$program"
	done
}

# after_routes NODE OTHERS: to the Pods that are there already
after_routes() {
	local other

	for other in $2; do
		ip -n "kr-$NAME.$1" route replace "$(node_pod_cidr "$other")" via "$(node_address "$other")"
	done
}

# after_works NODE: ready, right DNS address, reaches the API from itself and from a Pod
after_works() {
	kc wait --for=condition=Ready "node/$1" --timeout=90s || return 1
	node_exec "$1" grep -A1 clusterDNS /var/lib/kubelet/config.yaml | grep -e '- 10\.17\.0\.10$' || return 1
	wait_until 60 0.5 boot_node_reaches "$1" "https://$NEW_API/livez" || { echo "$1 does not reach $NEW_API"; return 1; }
	kc -n kube-system rollout status daemonset calico-node --timeout=90s || return 1
	kc -n shop run "on-$1" --image=localhost/renumber-test/client:1 --image-pull-policy=Never --restart=Never \
		--overrides="{\"spec\":{\"nodeName\":\"$1\"}}" --command -- /client "https://$NEW_API/version" || return 1
	wait_until 60 1 pod_ended "on-$1" || { kc -n shop describe pod "on-$1" | tail -n 5; return 1; }
	kc -n shop logs "on-$1" --tail=3
	[ "$(kc -n shop get pod "on-$1" -o 'jsonpath={.status.phase}')" = Succeeded ]
}

# after_allocates NODE: its flag, its certificate, a Service made by that server
after_allocates() {
	local address

	[ "$(api_flag "$1")" = "$NEW_RANGE" ] || { echo "flag $(api_flag "$1")"; return 1; }
	after_served "$1" || return 1
	address=$(kc_at "$1" -n shop create service clusterip probe-address --tcp=80 --dry-run=server -o 'jsonpath={.spec.clusterIP}')
	echo "$address"
	[[ $address = 10.17.* ]]
}
