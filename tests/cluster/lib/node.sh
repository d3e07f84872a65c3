# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A node: its folder, its namespaces, its first process.

# node_folder NODE ADDRESS
node_folder() {
	local dir=$DIR/nodes/$1

	mkdir -p "$dir"/{kubernetes/manifests,cni/net.d,opt-cni/bin,lib,log/pods,log/containers,root,tmp,etc,self}
	# A network plugin of the cluster may add its own.
	ln -sf /usr/lib/cni/* "$dir/opt-cni/bin"
	chmod 1777 "$dir/tmp"
	chmod 700 "$dir/root"
	ln -sfn "$BIN" "$dir/bin"
	mkdir -p "$dir/sbin"
	cp "$LIB/../node/systemctl" "$dir/sbin/systemctl"
	echo "$2" >"$dir/address"
	cp "$DIR/hosts" "$dir/etc/hosts"
	# Nobody answers there: names outside of the cluster fail at once.
	echo "nameserver $HOST_ADDRESS" >"$dir/etc/resolv.conf"
	# sshd refuses accounts that are locked in this machine's own files.
	grep -v -e '^operator:' /etc/passwd >"$dir/etc/passwd"
	echo 'operator:x:2000:2000::/tmp:/bin/bash' >>"$dir/etc/passwd"
	printf '%s:*:19000:0:99999:7:::\n' root operator sshd >"$dir/etc/shadow"
	chmod 600 "$dir/etc/shadow"
	printf '%s ALL=(ALL:ALL) NOPASSWD: ALL\n' root operator >"$dir/etc/sudoers"
	chmod 440 "$dir/etc/sudoers"
}

node_cgroup() {
	echo "kr-$NAME.$1"
}

# node_start NODE ADDRESS
node_start() {
	local node=$1 dir=$DIR/nodes/$1

	node_folder "$node" "$2"
	network_add_node "$node" "$2"
	cgroup_create "$(node_cgroup "$node")"
	setsid -f nsenter --net="/run/netns/kr-$NAME.$node" unshare --fork --pid --mount --uts --ipc \
		--propagation private "$LIB/../node/init" "$dir" "$node" </dev/null >"$DIR/log/$node-init.log" 2>&1
	wait_until 100 0.1 test -s "$dir/pid" || die "$node did not start: $(cat "$DIR/log/$node-init.log")"
	node_exec "$node" sh -c "echo --node-ip=$2 --cgroup-root=/$(node_cgroup "$node") >/run/kubelet-args"
	runtime_start "$node"
	access_start "$node" "$2"
}
