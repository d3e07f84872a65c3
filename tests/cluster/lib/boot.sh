# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# From nothing to a cluster that answers.

# cluster_boot CONTROL_PLANES WORKERS PREFIX
cluster_boot() {
	local start

	"$LIB/../install-deps"
	"$LIB/../binaries" "$VERSION" >/dev/null
	start=$SECONDS
	boot_names "$@"
	limits_locked boot_claim
	trap 'boot_undo' EXIT
	trap 'exit 130' INT TERM HUP
	# A process group of its own: it can be ended as a whole, and at once.
	set -m
	boot_steps &
	BOOT_JOB=$!
	set +m
	echo "$BOOT_JOB" >"$DIR/boot"
	wait "$BOOT_JOB"
	rm "$DIR/boot"
	trap - EXIT INT TERM HUP
	say "$NAME ($VERSION: $NODES) is up after $((SECONDS - start)) s"
}

boot_steps() {
	boot_folders
	network_create
	access_create
	boot_nodes
	balancer_start
	boot_control_plane
	boot_wait
}

boot_undo() {
	trap - EXIT
	trap '' INT TERM HUP
	[ -z "${BOOT_JOB:-}" ] || kill -KILL -- "-$BOOT_JOB" 2>/dev/null || :
	say "removing what there is of $NAME; logs: $(boot_logs)"
	cluster_remove
}

# The logs of a boot that failed are worth more than an empty folder.
boot_logs() {
	local kept

	kept=$(mktemp -d "${TMPDIR:-/tmp}/kr-$NAME-failed.XXXXXX")
	cp -r "$DIR/log" "$kept" 2>/dev/null || :
	for node in $NODES; do
		cp -r "$DIR/nodes/$node/log" "$kept/$node" 2>/dev/null || :
	done
	echo "$kept"
}

boot_names() {
	local i

	for ((i = 1; i <= $1; i++)); do
		CONTROL_PLANES+="${CONTROL_PLANES:+ }${3}cp$i"
	done
	for ((i = 1; i <= $2; i++)); do
		WORKERS+="${WORKERS:+ }${3}worker$i"
	done
	NODES=$CONTROL_PLANES${WORKERS:+ $WORKERS}
}

boot_folders() {
	local folder node

	mkdir -p "$DIR"/{bin,log,run,nodes}
	for folder in $("$LIB/../binaries" "$VERSION" 2>/dev/null); do
		cp -al "$folder/." "$BIN" 2>/dev/null || cp -a "$folder/." "$BIN"
	done
	printf '127.0.0.1 localhost\n%s %s\n' "$HOST_ADDRESS" "$API_NAME" >"$DIR/hosts"
	for node in $NODES; do
		mkdir "$DIR/nodes/$node"
		boot_address "$node" >"$DIR/nodes/$node/address"
		echo "$(node_address "$node") $node" >>"$DIR/hosts"
	done
	for node in VERSION NODES CONTROL_PLANES WORKERS SERVICE_CIDR PROXY; do
		printf '%s=%q\n' "$node" "${!node}"
	done >"$DIR/settings"
	runtime_prepare
}

boot_claim() {
	mkdir -p "$(dirname "$DIR")"
	mkdir "$DIR" || die "there is a cluster '$NAME', or what is left of one: tests/cluster/down $NAME"
	limits_raise
}

# boot_address NODE: control planes 10.1.15.121-, workers 10.1.15.131-
boot_address() {
	case $1 in
	*worker*) echo "10.1.15.13${1##*worker}" ;;
	*) echo "10.1.15.12${1##*cp}" ;;
	esac
}

boot_nodes() {
	local node jobs=()

	for node in $NODES; do
		access_add "$node" "$(node_address "$node")"
		node_start "$node" "$(node_address "$node")" &
		jobs+=($!)
	done
	boot_all "${jobs[@]}"
	say "nodes have started: $NODES"
}

boot_all() {
	local job

	for job; do
		wait "$job" || exit 1
	done
}

boot_control_plane() {
	local first=${CONTROL_PLANES%% *} node jobs=()

	kubeadm_init "$first"
	say "$first: the first control plane is up"
	proxy_kubeconfig
	boot_joined "$first" &
	jobs+=($!)
	for node in $WORKERS; do
		{ kubeadm_join "$node" && boot_joined "$node"; } &
		jobs+=($!)
	done
	for node in ${CONTROL_PLANES#"$first"}; do
		kubeadm_share_authorities "$first" "$node"
		kubeadm_join "$node"
		say "$node has joined"
		boot_joined "$node" &
		jobs+=($!)
	done
	boot_all "${jobs[@]}"
}

boot_joined() {
	proxy_start "$1"
	kubeadm_networked "$1"
}

# Everything that a cluster is used with answers: nodes, controllers, DNS.
boot_wait() {
	local api node

	kc wait --for=condition=Ready node --all --timeout=120s >&2
	kc -n kube-system rollout status deployment coredns --timeout=180s >&2
	wait_until 100 0.3 boot_controllers_lead || die "no controller-manager leads"
	api=$(kc get service kubernetes -o 'jsonpath={.spec.clusterIP}')
	for node in $NODES; do
		wait_until 100 0.2 boot_node_reaches "$node" "https://$api/livez" ||
			die "$node: kube-proxy does not serve $api: $(tail -n 3 "$DIR/log/$node-kube-proxy.log")"
	done
}

# After the joins the leader may have changed, and the next one waits a while.
boot_controllers_lead() {
	local renewed

	renewed=$(kc -n kube-system get lease kube-controller-manager -o 'jsonpath={.spec.renewTime}' 2>/dev/null)
	[ -n "$renewed" ] && [ $(($(date +%s) - $(date -d "$renewed" +%s))) -le 4 ]
}

# boot_node_reaches NODE URL
boot_node_reaches() {
	[ "$(node_exec "$1" curl -sk --max-time 1 "$2")" = ok ]
}

cluster_facts() {
	local node

	{
		printf '%s=%s\n' name "$NAME" version "$VERSION" dir "$DIR" kubeconfig "$KUBECONFIG_FILE" ssh_config "$SSH_CONFIG" \
			ssh_command "ssh -F $SSH_CONFIG" exec "$(realpath "$LIB/..")/exec $NAME" nodes "$NODES" \
			control_planes "$CONTROL_PLANES" workers "$WORKERS" service_cidr "$SERVICE_CIDR" api "https://$API_NAME:6443"
		for node in $NODES; do
			printf 'address_%s=%s\nproxy_%s=%s\n' "$node" "$(node_address "$node")" "$node" "$(proxy_mode "$node")"
		done
	} | tee "$DIR/facts"
}
