# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Commands built from Go modules: a module of our own requires the module that
# has them, and is tidied, so that versions are those which that module chose.

# go_env VERSION: the Go of this machine where it is new enough, otherwise its own
# way of getting one that is.
go_env() {
	local need=$1 have

	have=$(cd / && go env GOVERSION) || die "Go is needed to build the binaries of the test clusters"
	have=${have#go}
	have=${have%% *}
	unset GOFLAGS
	export CGO_ENABLED=0 GOFLAGS='-mod=mod -trimpath -buildvcs=false' GOWORK=off GO111MODULE=on
	! go_older "$have" "$need" || {
		! go_older "$have" 1.21 || die "Go $need or newer is needed to build what a test cluster runs, here is $have"
		[[ $need == *.*.* ]] || need+=.0
		export GOTOOLCHAIN=go$need
	}
}

# go_older VERSION THAN
go_older() {
	[ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# go_module_file MODULE VERSION: path of that version's go.mod
go_module_file() {
	(cd / && GOFLAGS=-mod=mod go mod download -json "$1@$2") | sed -n 's/^\t"GoMod": "\(.*\)",\{0,1\}$/\1/p'
}

# go_commands WORK BIN MODULE VERSION LDFLAGS PACKAGE...
# GO_REQUIRE: one more requirement, as it stands in a go.mod.
go_commands() {
	local work=$1 bin=$2 module=$3 version=$4 ldflags=$5 upstream package
	shift 5

	upstream=$(go_module_file "$module" "$version")
	[ -s "$upstream" ] || die "cannot get $module $version"
	go_env "$(awk '$1 == "go" { print $2 }' "$upstream")"
	{
		echo 'module cluster'
		grep -E '^(go|godebug) ' "$upstream"
		sed -n '/^godebug (/,/^)/p' "$upstream"
		echo "require $module $version"
		[ -z "${GO_REQUIRE:-}" ] || echo "require $GO_REQUIRE"
		# A module in the same repository is replaced by a folder there.
		sed -n 's|^[[:space:]]*\(k8s.io/[^ ]*\) v0\.0\.0\( .*\)\{0,1\}$|\1|p' "$upstream" | sort -u |
			while read -r package; do
				echo "replace $package => $package v0.${version#v1.}"
			done
	} >"$work/go.mod"
	{
		printf '//go:build tools\n\npackage tools\n\n'
		printf 'import _ "%s"\n' "$@"
	} >"$work/tools.go"
	mkdir -p "$bin"
	(cd "$work" && go mod tidy && go build -p 2 -ldflags "-s -w $ldflags" -o "$bin/" "$@")
}
