# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The binaries of one Kubernetes version.

KUBE_COMMANDS='kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubeadm kubectl'

# kube_older_than VERSION MAJOR.MINOR
kube_older_than() {
	local have=${1#*.} than=${2#*.}

	[ "${have%%.*}" -lt "${than%%.*}" ]
}

# kube_version_flags VERSION PACKAGE: what the linker writes into PACKAGE
kube_version_flags() {
	local minor=${1#1.}

	printf -- '-X %s.gitVersion=v%s -X %s.gitMajor=1 -X %s.gitMinor=%s -X %s.gitTreeState=clean ' \
		"$2" "$1" "$2" "$2" "${minor%%.*}" "$2"
}

# Called by cache_item; the version is what is built.
kube_build_modules() {
	local work=$1 out=$2 command packages=()

	for command in $KUBE_COMMANDS; do
		packages+=("k8s.io/kubernetes/cmd/$command")
	done
	go_commands "$work" "$out/bin" k8s.io/kubernetes "v$KUBE_VERSION" \
		"$(kube_version_flags "$KUBE_VERSION" k8s.io/component-base/version)
		$(kube_version_flags "$KUBE_VERSION" k8s.io/client-go/pkg/version)" "${packages[@]}"
}
