# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# containerd of a node: configuration, images, CNI.

RUNTIME_SOCKET=/run/containerd/containerd.sock

# containerd 2 where it was built for this version, Debian's otherwise
runtime_is_v2() {
	[ -x "$BIN/containerd" ]
}

runtime_import_options() {
	! runtime_is_v2 || echo --local
}

# runtime_snapshotter FOLDER: overlayfs where FOLDER can hold its layers
runtime_snapshotter() {
	local work=$1/overlay-test

	mkdir -p "$work"/{lower,upper,work,all}
	if unshare --mount mount -t overlay overlay \
		-o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/work" "$work/all" 2>/dev/null; then
		echo overlayfs
	else
		echo native
	fi
	rm -rf "$work"
}

# runtime_config ROOT STATE SOCKET SNAPSHOTTER PAUSE_IMAGE
runtime_config() {
	if runtime_is_v2; then
		cat <<-CONFIG
			version = 3
			root = "$1"
			state = "$2"
			[grpc]
			  address = "$3"
			[plugins.'io.containerd.cri.v1.images']
			  snapshotter = "$4"
			[plugins.'io.containerd.cri.v1.images'.pinned_images]
			  sandbox = "$5"
			[plugins.'io.containerd.cri.v1.runtime']
			  disable_apparmor = true
			  restrict_oom_score_adj = true
			[plugins.'io.containerd.cri.v1.runtime'.cni]
			  bin_dirs = ["/opt/cni/bin"]
			  conf_dir = "/etc/cni/net.d"
			[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
			  runtime_type = "io.containerd.runc.v2"
			[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
			  SystemdCgroup = false
		CONFIG
	else
		cat <<-CONFIG
			version = 2
			root = "$1"
			state = "$2"
			[grpc]
			  address = "$3"
			[plugins."io.containerd.grpc.v1.cri"]
			  sandbox_image = "$5"
			  disable_apparmor = true
			  restrict_oom_score_adj = true
			[plugins."io.containerd.grpc.v1.cri".cni]
			  bin_dir = "/opt/cni/bin"
			  conf_dir = "/etc/cni/net.d"
			[plugins."io.containerd.grpc.v1.cri".containerd]
			  snapshotter = "$4"
			[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
			  runtime_type = "io.containerd.runc.v2"
		CONFIG
	fi
}

# runtime_images: kubeadm's names, as "component name"
runtime_images() {
	local image component

	"$BIN/kubeadm" config images list --kubernetes-version "v${VERSION%-dual-write}" 2>/dev/null |
		while read -r image; do
			component=${image%:*}
			echo "${component##*/} $image"
		done
}

# Called by cache_item: containerd's root with the images of this version
# unpacked, from which each node's is made without importing again.
runtime_template_build() {
	local work=$1 out=$2 component image rootfs pid

	rm -rf "${work:?}"/*
	"${CC:-cc}" -static -Os -s -o "$work/pause.static" "$LIB/../node/pause.c"
	while read -r component image; do
		rootfs=$work/$component
		mkdir -p "$rootfs/usr/local/bin" "$rootfs/tmp"
		case $component in
		pause)
			mv "$work/pause.static" "$rootfs/pause"
			image_add "$work/layout" "$image" "$rootfs" /pause
			;;
		coredns)
			cp "$BIN/coredns" "$rootfs/coredns"
			image_add "$work/layout" "$image" "$rootfs" /coredns
			;;
		etcd)
			cp "$BIN/etcd" "$BIN/etcdctl" "$rootfs/usr/local/bin"
			image_add "$work/layout" "$image" "$rootfs"
			;;
		kube-proxy) ;;
		*)
			cp "$BIN/$component" "$rootfs/usr/local/bin"
			image_add "$work/layout" "$image" "$rootfs"
			;;
		esac
		rm -rf "$rootfs"
	done < <(runtime_images)
	image_archive "$work/layout" "$work/images.tar"
	runtime_config "$out/root" "$work/state" "$work/socket" "$SNAPSHOTTER" none >"$work/config.toml"
	PATH=$BIN:$PATH unshare --mount containerd --config "$work/config.toml" >"$work/log" 2>&1 &
	pid=$!
	wait_until 100 0.1 ctr_at "$work/socket" version >/dev/null 2>&1 || die "containerd: $(tail -n 3 "$work/log")"
	# shellcheck disable=SC2046
	ctr_at "$work/socket" -n k8s.io images import $(runtime_import_options) \
		--snapshotter "$SNAPSHOTTER" "$work/images.tar"
	kill "$pid"
	wait "$pid" || :
}

ctr_at() {
	local socket=$1
	shift

	PATH=$BIN:$PATH ctr -a "$socket" "$@"
}

# Sets RUNTIME_TEMPLATE. The name changes with what the images are made of.
runtime_prepare() {
	local recipe

	SNAPSHOTTER=$(runtime_snapshotter "$DIR")
	recipe=$(cat "$LIB/runtime.sh" "$LIB/image.sh" "$LIB/../node/pause.c" <(cd "$BIN" && stat -c '%n %s %Y' -- * | LC_ALL=C sort) | sha256sum)
	RUNTIME_TEMPLATE=images-${VERSION%-dual-write}-$SNAPSHOTTER-${recipe:0:12}
	cache_item "$RUNTIME_TEMPLATE" runtime_template_build
	# Those that nobody has asked for since a day are of other recipes.
	touch "$CACHE/$RUNTIME_TEMPLATE"
	find "$CACHE" -maxdepth 1 -name 'images-*' -mmin +1440 -exec rm -rf {} +
	RUNTIME_TEMPLATE=$CACHE/$RUNTIME_TEMPLATE
	RUNTIME_PAUSE=$(runtime_images | sed -n 's/^pause //p')
}

# Layers are never written to again: links do. Databases are, and are copied.
runtime_copy_template() {
	local to=$1 file

	cp -al "$RUNTIME_TEMPLATE/root" "$to" 2>/dev/null || {
		rm -rf "$to"
		cp -a "$RUNTIME_TEMPLATE/root" "$to"
		return
	}
	while IFS= read -r -d '' file; do
		cp -a --remove-destination "$RUNTIME_TEMPLATE/root/${file#"$to"/}" "$file"
	done < <(find "$to" -name '*.db' -print0)
}

# runtime_start NODE
runtime_start() {
	local node=$1 dir=$DIR/nodes/$1

	rm -rf "$dir/lib/containerd"
	runtime_copy_template "$dir/lib/containerd"
	runtime_config /var/lib/containerd /run/containerd "$RUNTIME_SOCKET" "$SNAPSHOTTER" "$RUNTIME_PAUSE" \
		>"$dir/containerd.toml"
	cp "$dir/containerd.toml" "$dir/cni/containerd.toml"
	node_spawn "$node" containerd containerd --config /etc/cni/containerd.toml
	wait_until 100 0.1 node_exec "$node" ctr -a "$RUNTIME_SOCKET" version >/dev/null 2>&1 ||
		die "$node: containerd does not answer"
}

# runtime_network NODE POD_CIDR: from then on the node is ready
runtime_network() {
	jq -n --arg subnet "$2" '{ cniVersion: "0.4.0", name: "pods", plugins: [
		{ type: "bridge", bridge: "cni0", isGateway: true, hairpinMode: true,
		  ipam: { type: "host-local", ranges: [[{ subnet: $subnet }]], routes: [{ dst: "0.0.0.0/0" }] } },
		{ type: "portmap", capabilities: { portMappings: true } }] }' >"$DIR/nodes/$1/cni/net.d/.new"
	mv "$DIR/nodes/$1/cni/net.d/.new" "$DIR/nodes/$1/cni/net.d/10-pods.conflist"
	network_route_pods "$1" "$2"
}
