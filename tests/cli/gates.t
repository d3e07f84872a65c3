#!/bin/sh
# SPDX-License-Identifier: MIT
# The project's own checks refuse what they are there to refuse.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

tree=$tmp/tree
compiler=
spdx='/* SPDX-License-Identifier: MIT */'
mkdir -p "$tree/src/base" "$tree/src/kube" "$tree/lab"
cp -r "$KR_SRCDIR/tools" "$tree/tools"

# refuses CHECK FILE CONTENT TEXT NAME: with the file the check fails and says TEXT; without, it passes
refuses() {
	printf '%b' "$3" >"$tree/$2"
	status=0
	"$tree/tools/$1" $compiler >"$out" 2>"$err" || status=$?
	is "$status" 1 "$1: $5"
	has "$out" "$4" "$1: $5: is said"
	rm "$tree/$2"
	ok "$1: passes without it" "$tree/tools/$1" $compiler
}

refuses check-layers src/base/a.c '#include "kube/client.h"\n' \
	"layer 'base' must not include 'kube/client.h'" 'an include that points upwards'
refuses check-layers src/kube/a.c '#include "client.h"\n' \
	'write the include from src/' 'an include that is not written from src/'
refuses check-layers lab/a.c '#include "kube/client.h"\n' \
	"the lab must not include 'kube/client.h'" 'a lab that uses the code it is to test'

refuses check-style src/base/a.c 'int a;\n' 'not the SPDX line' 'a file without licence'
refuses check-style src/base/a.c "$spdx\\nint a; // b\\n" '// comment' 'a // comment'
refuses check-style src/base/a.c "$spdx\\nvoid a(void)\\n{\\n\\tgoto b;\\nb:\\n\\treturn;\\n}\\n" goto 'goto'
refuses check-style src/base/a.c "$spdx\\nint a(char *b)\\n{\\n\\treturn atoi (b);\\n}\\n" \
	'atoi() is banned' 'a banned function'
refuses check-style src/base/a.c "$spdx\\n/* TO""DO */\\n" 'unfinished work' 'unfinished work'
long=$(awk 'BEGIN { for (i = 0; i < 101; i++) printf "\\ta();\\n" }')
refuses check-style src/base/a.c "$spdx\\nvoid b(void)\\n{\\n$long}\\n" \
	'b() has 101 lines' 'a function that is too long'
long=$(awk 'BEGIN { for (i = 0; i < 1000; i++) printf "int a%d;\\n", i }')
refuses check-style src/base/a.c "$spdx\\n$long" '1001 lines' 'a file that is too long'

printf '%s\n/* "atoi(" */\nconst char *a = "goto // atoi(x)";\nint b(int c)\n{\n\treturn d.exit(c) + e->exit(c);\n}\n' \
	"$spdx" >"$tree/src/base/a.c"
ok 'check-style: passes words in comments, texts and members' "$tree/tools/check-style"
rm "$tree/src/base/a.c"

compiler=cc
refuses check-headers src/base/a.h "$spdx\\n#ifndef BASE_A_H\\n#define BASE_A_H\\nsize_t a(void);\\n#endif\\n" \
	'does not compile alone' 'a header that needs another before it'
refuses check-headers src/base/a.h "$spdx\\n#ifndef A_H\\n#define A_H\\nint a(void);\\n#endif\\n" \
	'include guard is not BASE_A_H' 'a guard of another name'

cat >"$tree/README.md" <<'END'
```console
$ echo one two
one …
$ false        # exit 1
```
```sh
$ false
```
```console cluster
$ false
```
END
ok 'check-docs: passes examples that are true' "$tree/tools/check-docs"
sed 's/^one …/three/' "$tree/README.md" >"$tree/new"
mv "$tree/new" "$tree/README.md"
status=0
"$tree/tools/check-docs" >"$out" 2>"$err" || status=$?
is "$status" 1 'check-docs: an example that prints something else'
has "$out" 'not ok 1 - README.md:2: echo one two' 'check-docs: is named'
has "$out" 'ok 2 - README.md:4: false' 'check-docs: the others are run all the same'
done_testing
