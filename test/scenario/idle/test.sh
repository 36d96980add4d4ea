#!/usr/bin/env bash
# Without traffic the processor sleeps.
. "$(dirname "$0")/../lib.sh"
need ping jq
topology
conf_defaults
conf_pair
pair_start || finish
ok "ping" ping_ok "$ns_host_a" 10.2.0.2
ticks() { sed 's/.*) //' "/proc/${gw_pid[a]}/stat" | awk '{ print $12 + $13 }'; }
sleep 1
before=$(ticks)
sleep 3
num "three idle seconds cost at most 2 ticks" "$(($(ticks) - before))" -le 2
ok "ping after that" ping_ok "$ns_host_a" 10.2.0.2
finish
