#!/usr/bin/env bash
# Soft lifetimes are events, hard ones end the SA: in packets, bytes and seconds.
. "$(dirname "$0")/../lib.sh"
need ping jq
topology
monitor() { # monitor GATEWAY
	background "$ns_a" "$work/events" "$bin" monitor --json --run-dir "$work/$1.run"
	watcher=$last
	sleep 0.3
}
event() { jq -e --arg e "$1" --arg s "$2" "select(.event == \$e and .sa == \$s)" "$work/events" | grep -q .; }
answered() { in_ns "$1" ping -q -n -c "$3" -i 0.02 -W 1 "$2" | sed -n 's/.* \([0-9]*\) received.*/\1/p'; }

conf_defaults
sa_out_extra=$'\trekey_packets = 5\n\tlife_packets = 10'
conf_one a >"$work/a.conf"
sa_out_extra=''
conf_one b >"$work/b.conf"
pair_start && {
	monitor a
	is "packets: four are no event" "$(answered "$ns_host_a" 10.2.0.2 4)" 4
	ok "packets: no event yet" not event sa_soft_lifetime out
	# the packet that reaches the limit ends the SA and is not sent itself
is "packets: nine have got through, no more" "$(answered "$ns_host_a" 10.2.0.2 16)" 5
	ok "packets: soft event" wait_for 5 event sa_soft_lifetime out
	ok "packets: hard event" wait_for 5 event sa_hard_lifetime out
	num "packets: the rest is counted" "$(drops a sa_expired)" -ge 10
	is "packets: one soft event only" "$(jq -c "select(.event == \"sa_soft_lifetime\")" "$work/events" | wc -l)" 1
	ok "packets: the log says it" grep -q out "$work/a.log.err"
	stop "$watcher"
	pair_stop || fail "ends well"
}

conf_defaults
sa_in_extra=$'\trekey_bytes = 4K\n\tlife_bytes = 8K'
conf_one a >"$work/a.conf"
sa_in_extra=''
conf_one b >"$work/b.conf"
pair_start && {
	monitor a
	n=$(in_ns "$ns_host_b" ping -q -n -c 20 -i 0.02 -W 1 -s 972 10.1.0.2 | sed -n 's/.* \([0-9]*\) received.*/\1/p')
	num "bytes: inbound stops at 8 KiB" "$n" -lt 10
	ok "bytes: soft event" wait_for 5 event sa_soft_lifetime in
	ok "bytes: hard event" wait_for 5 event sa_hard_lifetime in
	stop "$watcher"
	pair_stop || fail "ends well"
}

conf_defaults
sa_out_extra=$'\trekey_time = 1s\n\tlife_time = 3s'
conf_one a >"$work/a.conf"
sa_out_extra=''
conf_one b >"$work/b.conf"
pair_start && {
	monitor a
	ok "time: ping before" ping_ok "$ns_host_a" 10.2.0.2
	ok "time: soft event" wait_for 4 event sa_soft_lifetime out
	ok "time: ping between" ping_ok "$ns_host_a" 10.2.0.2 -c 1
	ok "time: hard event" wait_for 6 event sa_hard_lifetime out
	is "time: nothing after" "$(answered "$ns_host_a" 10.2.0.2 3)" 0
	stop "$watcher"
	pair_stop || fail "ends well"
}
finish
