# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Images made by hand: one layer, written as an OCI layout, imported by ctr.

image_architecture() {
	case $(uname -m) in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	*) uname -m ;;
	esac
}

# image_blob LAYOUT FILE: moves FILE in, prints "digest size"
image_blob() {
	local digest

	digest=$(sha256sum "$2")
	digest=${digest%% *}
	printf '%s %s\n' "sha256:$digest" "$(stat -c %s "$2")"
	mv "$2" "$1/blobs/sha256/$digest"
}

# image_add LAYOUT NAME:TAG ROOTFS [ENTRYPOINT]
image_add() {
	local layout=$1 name=$2 rootfs=$3 entry=${4:-} layer config manifest size lsize
	local kind=application/vnd.oci.image

	mkdir -p "$layout/blobs/sha256"
	tar -C "$rootfs" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$layout/layer" .
	read -r layer lsize < <(image_blob "$layout" "$layout/layer")
	jq -nc --arg layer "$layer" --arg arch "$(image_architecture)" --arg entry "$entry" '{
		architecture: $arch, os: "linux", rootfs: { type: "layers", diff_ids: [$layer] },
		config: ({ Env: ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"], WorkingDir: "/" }
			+ if $entry == "" then {} else { Entrypoint: [$entry] } end) }' >"$layout/config"
	read -r config size < <(image_blob "$layout" "$layout/config")
	jq -nc --arg kind "$kind" --arg config "$config" --argjson size "$size" --arg layer "$layer" \
		--argjson lsize "$lsize" '{ schemaVersion: 2, mediaType: "\($kind).manifest.v1+json",
		config: { mediaType: "\($kind).config.v1+json", digest: $config, size: $size },
		layers: [{ mediaType: "\($kind).layer.v1.tar", digest: $layer, size: $lsize }] }' >"$layout/manifest"
	read -r manifest size < <(image_blob "$layout" "$layout/manifest")
	jq -nc --arg kind "$kind" --arg name "$name" --arg digest "$manifest" --argjson size "$size" '{
		mediaType: "\($kind).manifest.v1+json", digest: $digest, size: $size,
		annotations: { "io.containerd.image.name": $name, "org.opencontainers.image.ref.name": $name } }' \
		>>"$layout/manifests"
}

# image_archive LAYOUT FILE: all that was added, as one archive; LAYOUT goes
image_archive() {
	jq -sc '{ schemaVersion: 2, manifests: . }' "$1/manifests" >"$1/index.json"
	rm "$1/manifests"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
	tar -C "$1" -cf "$2" .
	rm -rf "$1"
}

# image_import NAME TAG ROOTFS_DIR: into every node of the cluster. NAME begins
# with a host, as in localhost/tools: short ones mean something else to kubelet.
image_import() {
	local work node

	[[ $1 == localhost/* || ${1%%/*} == *.* ]] || die "image_import: '$1' does not begin with a host"
	work=$(mktemp -d "$DIR/image.XXXXXX")
	image_add "$work/layout" "$1:$2" "$3"
	image_archive "$work/layout" "$work/archive.tar"
	for node in $NODES; do
		cp "$work/archive.tar" "$DIR/nodes/$node/tmp/image.tar"
		# shellcheck disable=SC2046
		node_exec "$node" ctr -n k8s.io images import $(runtime_import_options) /tmp/image.tar >&2
		rm "$DIR/nodes/$node/tmp/image.tar"
	done
	rm -rf "$work"
}
