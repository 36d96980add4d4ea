#!/usr/bin/env bash
# What is left behind: nothing, or what was asked for; and after kill -9 a new start works.
. "$(dirname "$0")/../lib.sh"
need ping jq
topology
has_tun() { ip -n "$ns_a" link show bw0 >/dev/null 2>&1; }
rules() { ip -n "$ns_a" rule; ip -n "$ns_a" -6 rule; ip -n "$ns_a" route show table all; ip -n "$ns_a" -6 route show table all; }
conf_defaults
conf_pair
rules | sort >"$work/before"
pair_start || finish
ok "ping" ping_ok "$ns_host_a" 10.2.0.2
ok "the device is there" has_tun
ok "a second instance with the same run directory is refused" \
	not in_ns "$ns_a" timeout 5 "$bin" run -c "$work/a.conf" --run-dir "$work/a.run"
ok "and does no harm" ping_ok "$ns_host_a" 10.2.0.2
gw_stop a && pass "gateway A ends"
ok "the device is gone" not has_tun
rules | sort >"$work/after"
ok "routes and rules are as before" diff "$work/before" "$work/after"
is "no socket is left" "$(find "$work/a.run" -type s 2>/dev/null)" ""
ok "status says that nobody is there" not bw a status

gw_start a && ok "ping after a restart" ping_ok "$ns_host_a" 10.2.0.2
kill -9 "${gw_pid[a]}"
wait "${gw_pid[a]}" 2>/dev/null
unset 'gw_pid[a]'
# its sequence numbers go on beyond what the peer has seen
gw_start a && ok "ping after kill -9 and a restart" ping_ok "$ns_host_a" 10.2.0.2
is "the peer took nothing for a replay" "$(drops b replay)" 0
gw_stop a

tun_extra=$'\tpersist = yes'
conf_one a >"$work/a.conf"
gw_start a && gw_stop a
ok "persist = yes: the device stays" has_tun
gw_start a && ok "and is taken again" has_tun
gw_stop a
ip -n "$ns_a" link del bw0
finish
