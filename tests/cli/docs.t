#!/bin/sh
# SPDX-License-Identifier: MIT
# The examples of README and manual pages that need no cluster do what is written there.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"

"$KR_SRCDIR/tools/check-docs"
