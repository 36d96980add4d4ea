#!/usr/bin/env bash
# The scenarios with keys by hand, in every combination of offloads on and off, all backends and OpenSSL alone, one worker
# and two: matrix.sh [SCENARIO...]. $COMBINATIONS: some of them, as in "no:openssl:1 no:auto:2". $JOBS at a time.
# Prints what fails, and one line at the end; exit status 1 when anything does.
set -u
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- fragments selectors ah pmtu ciphers multicast transport tunnel-udp mtu replay ah-fragments lifetimes nat \
	policies ip-versions router full-tunnel tamper malformed audit negative combinations
combinations=${COMBINATIONS:-$(echo {yes,no}:{auto,openssl}:{1,2})}

one() { # one COMBINATION SCENARIO
	local out
	IFS=: read -r BW_OFFLOADS BW_BACKEND BW_WORKERS <<<"$1"
	export BW_OFFLOADS BW_BACKEND BW_WORKERS
	out=$(timeout 300 bash "$here/$2/test.sh" 2>&1)
	if grep -q '^1\.\.' <<<"$out" && ! grep -q '^not ok' <<<"$out"; then
		if grep -q '^1\.\.0' <<<"$out"; then echo "skipped $2: ${out#*SKIP }"; else echo "passed $1 $2"; fi
	else
		printf '%s\n' "$out" | grep -vE '^ok ' | sed "s/^/$1 $2: /"
		echo "FAILED $1 $2"
	fi
}
export -f one
export here

list=$(mktemp) || exit 1
trap 'rm -f "$list"' EXIT
for s in "$@"; do for c in $combinations; do echo "$c $s"; done; done |
	xargs -P "${JOBS:-$(nproc)}" -L 1 bash -c 'one "$0" "$1"' | tee "$list" | grep -v '^passed '
printf '%d passed, %d failed, %d skipped\n' "$(grep -c '^passed ' "$list")" "$(grep -c '^FAILED ' "$list")" "$(grep -c '^skipped ' "$list")"
grep -q '^passed ' "$list" && ! grep -q '^FAILED ' "$list"
