# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A cluster: its names, its folder, its facts, and how commands run in it.

LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in say cache cgroup network image kubernetes node runtime access haproxy kubeadm proxy limits boot remove; do
	# shellcheck source=/dev/null
	. "$LIB/$part.sh"
done
unset part

# Set by cluster_names and cluster_open (or up), read by all the parts.
# shellcheck disable=SC2034
NAME='' DIR='' BIN='' VERSION='' NODES='' CONTROL_PLANES='' WORKERS='' SERVICE_CIDR=''
# shellcheck disable=SC2034
KUBECONFIG_FILE='' SSH_CONFIG='' PROXY=''

# shellcheck disable=SC2034
HOST_ADDRESS=10.1.15.254 API_NAME=apiserver.cluster.local POD_CIDR=10.244.0.0/16

cluster_names() {
	[[ $1 =~ ^[a-z0-9][a-z0-9-]{0,20}$ ]] || die "'$1' is no cluster name: lower case, digits, '-', at most 21"
	NAME=$1
	DIR=${KR_CLUSTER_DIR:-/var/tmp/kubectl-renumber-clusters}/$NAME
	BIN=$DIR/bin
	KUBECONFIG_FILE=$DIR/kubeconfig
	# shellcheck disable=SC2034
	SSH_CONFIG=$DIR/ssh/config
	[ "$(id -u)" -eq 0 ] || die "test clusters need root"
}

cluster_open() {
	cluster_names "$1"
	[ -f "$DIR/facts" ] || die "there is no cluster '$NAME'"
	# shellcheck source=/dev/null
	. "$DIR/settings"
}

node_address() {
	cat "$DIR/nodes/$1/address"
}

# host_exec CMD...: at the operator's place, the outer namespace
host_exec() {
	# clusters of every version have the same address; what kubectl learned of one misleads it in the next
	KUBECACHEDIR=$DIR/kubectl-cache nsenter --net="/run/netns/kr-$NAME" unshare --mount --propagation private \
		bash -c 'mount --bind "$1" /etc/hosts && PATH=$2:$PATH && shift 2 && exec "$@"' - "$DIR/hosts" "$BIN" "$@"
}

# node_exec NODE CMD...: in all the namespaces of a node
node_exec() {
	local node=$1
	shift

	nsenter --target "$(<"$DIR/nodes/$node/pid")" --net --mount --pid --uts --ipc \
		env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
}

kc() {
	host_exec kubectl --kubeconfig "$KUBECONFIG_FILE" "$@"
}

# kc_at NODE ARGS...: the API server of one control plane
kc_at() {
	local node=$1
	shift

	kc --server "https://$(node_address "$node"):6443" "$@"
}

# host_spawn NAME CMD...: a process at the operator's place that lasts
host_spawn() {
	local what=$1
	shift

	host_exec setsid -f bash -c 'echo $$ >"$1"; shift; exec "$@"' - "$DIR/run/$what.pid" "$@" \
		</dev/null >>"$DIR/log/$what.log" 2>&1
	spawned "$DIR/run/$what.pid"
}

host_stop() {
	process_stop "$DIR/run/$1.pid"
}

node_spawn() {
	local node=$1 what=$2
	shift 2

	node_exec "$node" setsid -f bash -c 'echo $$ >"$1"; shift; exec "$@"' - "/run/spawned-$what.pid" "$@" \
		</dev/null >>"$DIR/log/$node-$what.log" 2>&1
	node_exec "$node" sh -c "for i in 1 2 3 4 5 6 7 8 9 10; do [ -s /run/spawned-$what.pid ] && exit; sleep 0.1; done; exit 1"
}

node_stop() {
	node_exec "$1" sh -c "
		read -r pid </run/spawned-$2.pid || exit 0
		rm -f /run/spawned-$2.pid
		kill \$pid 2>/dev/null
		for i in \$(seq 50); do kill -0 \$pid 2>/dev/null || exit 0; sleep 0.1; done
		kill -9 \$pid" || :
}

spawned() {
	wait_until 50 0.1 test -s "$1" || die "${1##*/}: did not start"
}

# process_stop PIDFILE: term, then kill
process_stop() {
	local pid

	[ -s "$1" ] || return 0
	pid=$(<"$1")
	rm -f "$1"
	kill "$pid" 2>/dev/null || return 0
	wait_until 50 0.1 process_gone "$pid" || kill -9 "$pid" 2>/dev/null || :
}

process_gone() {
	! kill -0 "$1" 2>/dev/null
}

# wait_until TRIES PAUSE CMD...
wait_until() {
	local tries=$1 pause=$2
	shift 2

	while ! "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep "$pause"
	done
}
