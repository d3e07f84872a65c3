# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The static programs of tests/cluster/programs, built once per state of their
# sources. After programs_build, $PROGRAMS is the folder that has them.

programs_compile() {
	local from=$LIB/../programs out=$2 flags

	flags='-std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -Wconversion -Wshadow -static'
	# shellcheck disable=SC2086 # several flags
	{
		${CC:-gcc} $flags -o "$out/calico" "$from"/{calico,api}.c -lssl -lcrypto
		${CC:-gcc} $flags -o "$out/client" "$from"/{client,api}.c -lssl -lcrypto
		${CC:-gcc} $flags -o "$out/echo" "$from/echo.c"
		${CC:-gcc} $flags -pthread -o "$out/extension" "$from/extension.c" -lssl -lcrypto
		${CC:-gcc} $flags -o "$out/probe" "$from"/probe{,_config,_control,_request,_report}.c -lssl -lcrypto
	} 2>&1 | grep -v 'statically linked\|in function' || true
	[ -x "$out/calico" ] && [ -x "$out/client" ] && [ -x "$out/echo" ] && [ -x "$out/extension" ] && [ -x "$out/probe" ]
}

programs_build() {
	local sum

	sum=$(cat "$LIB"/../programs/*.[ch] | sha256sum | cut -c1-16)
	cache_item "programs-$sum" programs_compile
	PROGRAMS=$CACHE/programs-$sum
	export PROGRAMS
}
