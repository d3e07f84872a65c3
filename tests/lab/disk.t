#!/bin/sh
# SPDX-License-Identifier: MIT
# What the preloaded library does to files: killed at each operation, torn, lost, refused.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

: "${KR_BUILD:=$KR_SRCDIR/build}"
# writes $1 over the file, and then: sync, rename, folder (sync it), more (writes another file)
cat >"$tmp/write" <<'EOF'
use IO::Handle;
my ($bytes, @then) = @ARGV;
my $out;
open $out, '+<', $ENV{FILE} or open $out, '>', $ENV{FILE} or die;
defined syswrite $out, $bytes or die "$!\n";
for (@then) {
	if ($_ eq 'sync') { $out->sync or die "$!\n"; }
	if ($_ eq 'rename') { rename $ENV{FILE}, "$ENV{FILE}.new" or die "$!\n"; }
	if ($_ eq 'more') { open my $other, '>', "$ENV{FILE}.other"; syswrite $other, 'x'; }
}
EOF
# harm NUMBER AT SEED: the page of a lab, see lab/hurry/page.h
harm() {
	rm -rf "$tmp/disk"
	mkdir "$tmp/disk"
	perl -e 'print pack "q12", 0, 0, 0, $ARGV[2], 0, $ARGV[1], $ARGV[0], 0, (0) x 4' "$1" "$2" "${3:-1}" >"$tmp/page"
}
written() {
	status=0
	FILE="$tmp/disk/file" RENUMBER_LAB_CLOCK="$tmp" LD_PRELOAD="$KR_BUILD/renumber-lab-hurry.so" \
		perl "$tmp/write" "$@" 2>"$err" || status=$?
}
content() {
	cat "$tmp/disk/$1" 2>/dev/null || echo none
}

harm 1 1
written abcdefgh
is "$status $(content file)" '137 ' 'killed before a write'
harm 2 1
written abcdefgh
is "$status $(content file)" '137 abcd' 'killed in the middle of a write'
harm 3 1
written abcdefgh more
is "$status $(content file) $(content file.other)" '137 abcdefgh none' 'killed after a write'
harm 1 2
written abcdefgh rename
is "$status $(content file.new)" '137 none' 'killed before a file gets its name'
harm 3 2
written abcdefgh rename
is "$status $(content file.new)" '137 abcdefgh' 'killed after it'
harm 5 1
written abcdefgh
has "$err" 'No space left on device' 'a disk that is full'
harm 6 1
written abcdefgh
has "$err" 'Read-only file system' 'a disk that is read-only'
harm 7 1
written abcdefgh sync
has "$err" 'Input/output error' 'a disk that does not sync'

# what was synced is there after the power failed; what was not is old, new or a mixture
old=$(printf '%4096s' '' | tr ' ' o)
new=$(printf '%4096s' '' | tr ' ' n)
kept=0 lost=0 mixed=0 safe=0 named=0 seed=0
while [ $((seed = seed + 1)) -le 30 ]; do
	harm 4 2 "$seed"
	printf %s "$old" >"$tmp/disk/file"
	written "$new" more
	case $(content file) in
	"$old") lost=$((lost + 1)) ;;
	"$new") kept=$((kept + 1)) ;;
	*) [ "$(wc -c <"$tmp/disk/file")" -eq 4096 ] && mixed=$((mixed + 1)) ;;
	esac
	harm 4 3 "$seed"
	printf %s "$old" >"$tmp/disk/file"
	written "$new" sync more
	[ "$(content file)" = "$new" ] && safe=$((safe + 1))
	harm 4 4 "$seed"
	printf %s "$old" >"$tmp/disk/file"
	written "$new" sync rename more
	[ "$(content file.new)" = "$new" ] && named=$((named + 1))
done
is "$((lost > 0)) $((kept > 0)) $((mixed > 0)) $((lost + kept + mixed))" '1 1 1 30' 'unsynced bytes are lost, kept or mixed'
is "$safe" 30 'synced bytes are there'
is "$((named > 0 && named < 30))" 1 'a name is lost or kept until its folder is synced'
done_testing
