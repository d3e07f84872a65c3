# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Kubernetes 1.20.2, of the incident's time, from Debian 12's source package: its
# modules no longer build with a Go of today.

DEBIAN_GO=/usr/lib/go-1.19/bin/go
DEBIAN_GOCODE=/usr/share/gocode/src

# kube_is_debian VERSION
kube_is_debian() {
	[ "$1" = 1.20.2 ]
}

# debian_apt WORK ARGS...: apt with lists of its own, that has the sources of
# what this machine's apt has the packages of. The machine's stay as they are.
debian_apt() {
	local apt=$1/apt
	shift

	mkdir -p "$apt"/{parts,lists/partial,cache/archives/partial}
	debian_sources >"$apt/parts/debian.sources"
	apt-get -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$apt/parts" \
		-o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root "$@"
}

# This machine's Debian archives, as sources only, in deb822 form
debian_sources() {
	local file

	for file in /etc/apt/sources.list.d/*.sources; do
		[ -e "$file" ] || continue
		sed 's/^Types:.*/Types: deb-src/' "$file"
		echo
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -e "$file" ] || continue
		sed -n -E 's/^deb +(\[[^]]*\] +)?([^ ]+) +([^ ]+) +(.*)/Types: deb-src\nURIs: \2\nSuites: \3\nComponents: \4\n/p' "$file"
	done
}

# Called by cache_item
kube_build_debian() {
	local work=$1 out=$2 source=$1/go/src/k8s.io/kubernetes command packages=()

	"$LIB/../install-deps" golang-1.19-go golang-github-modern-go-reflect2-dev dpkg-dev gcc libc6-dev
	if [ ! -d "$source" ]; then
		rm -rf "$source.new"
		debian_apt "$work" update
		(cd "$work" && debian_apt "$work" source --download-only kubernetes)
		mkdir -p "$work/go/src/k8s.io"
		dpkg-source --no-check -x "$work"/kubernetes_*.dsc "$source.new"
		mv "$source.new" "$source"
	fi
	# The vendored one crashes under Go 1.18 and later.
	rm -rf "$source/vendor/github.com/modern-go/reflect2"
	cp -rL "$DEBIAN_GOCODE/github.com/modern-go/reflect2" "$source/vendor/github.com/modern-go/"
	debian_openapi "$work" "$source"
	mkdir -p "$out/bin"
	for command in $KUBE_COMMANDS; do
		packages+=("k8s.io/kubernetes/cmd/$command")
	done
	debian_go "$work" "$source" build -p 2 -trimpath -o "$out/bin/" -ldflags "-s -w
		$(kube_version_flags "$KUBE_VERSION" k8s.io/kubernetes/vendor/k8s.io/component-base/version)
		$(kube_version_flags "$KUBE_VERSION" k8s.io/kubernetes/vendor/k8s.io/client-go/pkg/version)" "${packages[@]}"
}

# debian_go WORK SOURCE ARGS...
debian_go() {
	(cd "$2" && GOPATH=$1/go GOFLAGS='' GO111MODULE=off CGO_ENABLED=0 GOROOT='' "$DEBIAN_GO" "${@:3}")
}

# The OpenAPI code is made by a generator that is in the source.
debian_openapi() {
	local work=$1 source=$2 inputs

	debian_go "$work" "$source" build -o "$work/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
	inputs=$(cd "$source" && grep -rl --include=*.go -e '+k8s:openapi-gen=true' pkg vendor/k8s.io staging/src/k8s.io |
		grep -v -e /testdata/ -e _test.go | xargs -n 1 dirname |
		sed -e 's|^staging/src/|vendor/|' -e 's|^|k8s.io/kubernetes/|' | sort -u | paste -sd ,)
	(cd "$source" && GOPATH=$work/go GO111MODULE=off GOFLAGS='' PATH=${DEBIAN_GO%/go}:$PATH "$work/openapi-gen" \
		--go-header-file hack/boilerplate/boilerplate.generatego.txt --input-dirs "$inputs" \
		--output-base "$work/go/src" --output-package k8s.io/kubernetes/pkg/generated/openapi \
		--output-file-base zz_generated.openapi --report-filename "$work/openapi-report")
}
