#!/bin/bash
# End to end: bumpwire next to a relay without crypto, strongSwan, wireguard-go and OpenVPN, each in
# turn between the same two namespaces, round after round, so that whatever else the machine does
# falls on all alike. Then `bumpwire bench` over a grid. README.md says what is measured and how.
#
#   make bench          or          BUMPWIRE=./bumpwire BENCH_BIN=./test/bench test/bench/e2e.sh
#
# Environment (default):
#   BENCH_OUT (test/bench/out)     where results go: e2e.jsonl pipeline.jsonl report.md *.svg
#   BENCH_REPS (3)                 rounds
#   BENCH_SECONDS (5)              of each measurement
#   BENCH_CANDIDATES               names, see candidates.sh
#   BENCH_TESTS (all)              of: tcp1 tcp4 udp over udp64 rtt idle
#   BENCH_PIPELINE (yes)           no: without the grid of `bumpwire bench`; only: nothing else
#   BENCH_MILLIS (500)             of each measurement of `bumpwire bench`
#   BENCH_KEEP                     append to the results that are there instead of starting anew
#   WIREGUARD_GO (wireguard-go)    another build of it
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bench_bin=${BENCH_BIN:-$here}
bumpwire=${BUMPWIRE:-$here/../../bumpwire}
out=${BENCH_OUT:-$here/out}
reps=${BENCH_REPS:-3}
seconds=${BENCH_SECONDS:-5}
candidates=${BENCH_CANDIDATES:-raw relay bumpwire-1 bumpwire bumpwire-1-nooffload
	strongswan wireguard_go openvpn}
pipeline=${BENCH_PIPELINE:-yes}
tun_mtu=1400
export PYTHONDONTWRITEBYTECODE=1

# shellcheck source=topology.sh
. "$here/topology.sh"
# shellcheck source=candidates.sh
. "$here/candidates.sh"

say() { echo "bench: $*" >&2; }
die() { say "$*"; exit 1; }

work_root=$(mktemp -d "${TMPDIR:-/tmp}/bwbench.XXXXXX")
clean_up() {
	trap - EXIT INT TERM HUP
	topology_down
	rm -rf "$work_root"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# foreground COMMAND...: as a job we wait for, so that a signal reaches us at once
foreground() {
	"$@" &
	local pid=$!
	pids+=("$pid")
	wait "$pid"
}

# what words of NAME: function name and arguments
split_name() {
	local rest
	kind=${1%%-*}
	rest=${1#"$kind"}
	IFS=- read -ra words <<<"${rest#-}"
}

# show_logs: why a candidate did not come up
show_logs() { tail -qn 8 "$work"/*.log "$work"/*.{charon,load,initiate} 2>/dev/null | sed 's/^/  /' >&2; }

# measure_one NAME ROUND: one line of JSON in e2e.jsonl
measure_one() {
	local kind words status=0
	daemons=() target=
	split_name "$1"
	work=$work_root/$1-$2
	mkdir -p "$work"
	if ! topology_up; then
		say "$1: no namespaces here"
		status=1
	elif ! "up_$kind" "${words[@]}" || ! wait_for 8 in_a ping -q -c 1 -W 1 "$target"; then
		say "$1: the tunnel did not come up"
		show_logs
		status=1
	else
		foreground python3 "$here/measure.py" --name "$1" --round "$2" --seconds "$seconds" \
			--ns-a "$ns_a" --ns-b "$ns_b" --target "$target" --tests "${BENCH_TESTS:-all}" \
			"${daemons[@]}" >>"$out/e2e.jsonl" || { say "$1: not everything could be measured"; status=1; }
	fi
	topology_down
	return $status
}

# those that can run here
choose() {
	local c why
	chosen=()
	for c in $candidates; do
		declare -F "up_${c%%-*}" >/dev/null || die "no candidate ${c%%-*}; see candidates.sh"
		if why=$("have_${c%%-*}"); then chosen+=("$c"); else say "without $c: $why"; fi
	done
}

end_to_end() {
	local round c
	[ "$(id -u)" = 0 ] || die "needs root: makes network namespaces"
	need_tool ip ss ping iperf3 >&2 || exit 1
	[ -c /dev/net/tun ] || die "no /dev/net/tun"
	choose
	for ((round = 1; round <= reps; round++)); do
		for c in "${chosen[@]}"; do
			say "round $round of $reps: $c"
			measure_one "$c" "$round" || failed=1
		done
	done
}

failed=0
need_tool python3 >&2 || exit 1
mkdir -p "$out"
[ -n "${BENCH_KEEP:-}" ] || rm -f "$out"/e2e.jsonl "$out"/pipeline.jsonl
[ "$pipeline" = only ] || end_to_end
if [ "$pipeline" != no ]; then
	foreground python3 "$here/pipeline.py" --bumpwire "$bumpwire" --millis "${BENCH_MILLIS:-500}" \
		>>"$out/pipeline.jsonl" || failed=1
fi
foreground python3 "$here/report.py" "$out" || failed=1
say "results are in $out: report.md, e2e.svg"
exit $failed
