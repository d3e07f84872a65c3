#!/bin/sh
# SPDX-License-Identifier: MIT
# A run goes to a stage, is taken over, goes back, and goes on, on a simulated cluster.
# --max-failed: on a busy machine probes time out, and that is not what is looked at here.
. "${KR_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}/tests/lib/tap.sh"
. "$KR_SRCDIR/tests/lib/steps.sh"

[ -x "$KR_BUILD/renumber-lab" ] || skip_all 'renumber-lab is not built'

cat >"$tmp/inside" <<'EOF'
. "$KR_SRCDIR/tests/lib/steps.sh"
files() {
	(cd "$LAB/nodes" && find . -type f \( -path '*/etc/kubernetes/*' -o -path '*/kubelet/config.yaml' \) \
		! -path '*/var/lib/kubectl-renumber/*' | LC_ALL=C sort | xargs sha256sum) >"$HERE/files-$1"
}
step plan 0 plan --to 10.17.0.0/16 --out "$HERE/plan" --state-dir "$HERE/a"
files before
step apply 0 apply "$HERE/plan" --until configuration --yes --max-failed 1000 --state-dir "$HERE/a"
files at
step status 2 status --state-dir "$HERE/a"
step doctor 0 doctor
step repair 0 plan --repair
step elsewhere 1 resume --yes --state-dir "$HERE/b"
step adopt 0 resume --adopt --until ranges --yes --max-failed 1000 --state-dir "$HERE/b"
step lost 3 resume --yes --state-dir "$HERE/a"
step nothing 1 rollback --to drain --yes --state-dir "$HERE/b"
step consent 3 rollback --state-dir "$HERE/b"
step part 0 rollback --to certificates --yes --state-dir "$HERE/b"
files part
step forward 0 resume --until configuration --yes --max-failed 1000 --state-dir "$HERE/b"
files again
step back 0 rollback --adopt --yes --state-dir "$HERE/c"
files after
step over 0 status --state-dir "$HERE/c"
step final 0 finalize --yes --state-dir "$HERE/c"
step twice 0 rollback --yes --state-dir "$HERE/c"
step gone 1 resume --adopt --yes --state-dir "$HERE/d"
step anew 0 apply "$HERE/plan" --until certificates --yes --max-failed 1000 --state-dir "$HERE/c"
step end 0 rollback --yes --state-dir "$HERE/c"
files end
EOF

LAB=$tmp/lab HERE=$tmp
export LAB HERE
renumber-lab --folder "$tmp/lab" -- sh "$tmp/inside" >"$tmp/lab.out" 2>&1 </dev/null || {
	sed 's/^/# /' "$tmp/lab.out"
}
steps_ended

has "$tmp/elsewhere.err" "'resume --adopt' takes it over" 'another state folder is told how to take the run over'
has "$tmp/doctor.out" "before anything else that is advised here: run 'kubectl renumber status'" 'with an open run the doctor sends to status first'
has "$tmp/repair.err" 'is under way in this cluster' 'a repair beside an open run is warned of'
has "$tmp/lost.err" 'was taken over by' 'the former one is told that it lost it'
has "$tmp/nothing.err" 'nothing is undone by going back' 'going back to the last stage is refused'
has "$tmp/consent.err" 'needs consent' 'without a terminal it needs --yes'
has "$tmp/part.out" "it stands where 'certificates' was done" 'a part of the way back says where it ends'
has "$tmp/back.out" 'all is as it was before' 'the whole way back says so'
has "$tmp/over.out" 'is rolled back' 'so does status'
has "$tmp/final.out" 'is rolled back; there is nothing to take away' 'finalize does not send to a resume that cannot be'
has "$tmp/twice.out" 'there is nothing to do' 'and rollback called again'
has "$tmp/gone.err" 'no run stands in this cluster' 'nothing of the run is left in the cluster'
ok 'files had changed' sh -c '! cmp -s "$0/files-before" "$0/files-at"' "$tmp"
same "$tmp/files-part" "$tmp/files-at" 'certificates are left by a way back to them'
same "$tmp/files-after" "$tmp/files-before" 'every file has its bytes again'
same "$tmp/files-end" "$tmp/files-before" 'after a second time, too'
done_testing
