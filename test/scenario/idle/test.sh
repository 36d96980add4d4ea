#!/usr/bin/env bash
# Without traffic the processor sleeps. With busy_poll a worker looks for the next packet for a while before it does: so with
# steady traffic it hardly ever sleeps, and without traffic as well as ever.
. "$(dirname "$0")/../lib.sh"
need ping jq
topology
ticks() { sed 's/.*) //' "/proc/${gw_pid[a]}/stat" | awk '{ print $12 + $13 }'; }
# sleeps: how often the workers have gone to sleep so far
sleeps() {
	local task n=0
	for task in "/proc/${gw_pid[a]}/task/"*; do
		[[ $(cat "$task/comm") != worker-* ]] ||
			n=$((n + $(sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "$task/status")))
	done
	echo $n
}

# round BUSY_POLL: $slept is how often they sleep during 200 pings
round() {
	local what="busy_poll = $1" before
	conf_defaults
	top="busy_poll = $1"$'\n''workers = 1'
	conf_pair
	pair_start || return
	ok "$what: ping" ping_ok "$ns_host_a" 10.2.0.2
	before=$(sleeps)
	host_a ping -n -q -c 200 -i 0.01 -w 20 10.2.0.2 >"$work/ping"
	slept=$(($(sleeps) - before))
	note "$what: slept $slept times; $(tail -n 1 "$work/ping")"
	sleep 1
	before=$(ticks)
	sleep 3
	num "$what: three idle seconds cost at most 2 ticks" "$(($(ticks) - before))" -le 2
	ok "$what: ping after that" ping_ok "$ns_host_a" 10.2.0.2
	pair_stop
}
round 0
num "without it a worker sleeps before many of the packets" "$slept" -ge 50
without=$slept
round 200ms
num "with it hardly ever" "$slept" -lt $((without / 4))
finish
