#!/usr/bin/env bash
# A peer that does not answer: strongSwan frozen and killed, with each dpd_action of ours, and bumpwire frozen and
# killed, with strongSwan's dpd_action. Whoever comes back is taken in again, and what was from before goes.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping tcpdump
swan_need
topology

conf() { # conf DPD_ACTION [KEYINGTRIES]
	ik_top=$'ike_retransmit_timeout = 400ms\nike_retransmit_base = 1\nike_retransmit_tries = 3'
	ik_extra="dpd_delay = 1s
	unique = replace
	keyingtries = ${2:-1}"
	ik_child_extra="dpd_action = $1"
	sw_charon=$'retransmit_timeout = 0.4\n\tretransmit_base = 1\n\tretransmit_tries = 3'
	sw_extra='unique = replace'
}
trapped() { bw a list policies --json | jq -e '.[] | select(.name == "site-b/net:trap")'; }
alone() { [ "$(swan_ike b) $(swan_children b)" = "1 1" ] && [ "$(ike_count a true) $(ike_children a)" = "1 1" ]; }

conf clear
ike_swan_start
ok "clear: up" ike_up a site-b
ok "clear: a peer that lives is left alone" ping_ok "$ns_host_a" 10.2.0.2 -i 0.5 -c 5
is "clear: with the same SA" "$(swan_ike b) $(ike_count a '.state == "established"')" "1 1"
swan_freeze b
ok "clear: frozen, and bumpwire has let go" wait_for 15 ike_idle a
ok "clear: it says why" ike_said a 'site-b'
note "$(ike_new a | tail -n 3)"
is "clear: the connection is down" "$(bw a status --json | jq -r '.connections[0].sas | length')" 0
num "clear: status tells the failure" "$(bw a status --json | jq -r '.connections[0].last_failure.what' | wc -c)" -gt 10
swan_thaw b
ok "clear: thawed: up again" ike_up a site-b
ok "clear: strongSwan has only the new one" wait_for 10 alone || note "$(swan_sas b)" "$(bw a list sas)"
ok "clear: traffic again" wait_for 3 ping_ok "$ns_host_a" 10.2.0.2
ike_swan_end

conf trap
ike_swan_start
ok "trap: up" ike_up a site-b
swan_kill b
ok "trap: killed, and bumpwire has let go" wait_for 15 ike_idle a
ok "trap: and waits for a packet" trapped
swan_start b "$ns_b" || finish
ok "trap: which brings it up" wait_for 10 ping_ok "$ns_host_a" 10.2.0.2
ok "trap: one SA each" wait_for 10 alone || note "$(swan_sas b)" "$(bw a list sas)"
ike_swan_end

conf restart 0
ike_swan_start
ok "restart: up" ike_up a site-b
spi=$(ike_sa_spi a)
swan_freeze b
ok "restart: frozen, and bumpwire tries again" wait_for 15 eval '[ "$(ike_count a "true")" = 1 ] && [ "$(ike_count a ".state == \"established\"")" = 0 ]'
swan_thaw b
ok "restart: thawed, and there is a new SA" wait_for 15 eval '[ "$(ike_count a ".state == \"established\"")" = 1 ]'
ok "restart: another one" test "$spi" != "$(ike_sa_spi a)"
ok "restart: traffic" wait_for 5 ping_ok "$ns_host_a" 10.2.0.2
swan_kill b
swan_start b "$ns_b" || finish
ok "restart: killed and started again, traffic comes back by itself" wait_for 20 ping_ok "$ns_host_a" 10.2.0.2
ok "restart: one SA each" wait_for 10 alone || note "$(swan_sas b)" "$(bw a list sas)"
ike_swan_end

# now bumpwire is the one who does not answer
conf clear
sw_extra+=$'\n\t\tdpd_delay = 1s\n\t\tkeyingtries = 0'
sw_child_extra='dpd_action = restart'
ike_swan_start
ok "strongSwan's: up" swan_up b net
spi=$(swan_value b initiator-spi)
kill -STOP "${gw_pid[a]}"
ok "strongSwan's: bumpwire is frozen, strongSwan tries again" wait_for 15 eval '[ "$(swan_value b state)" = CONNECTING ]'
kill -CONT "${gw_pid[a]}"
ok "strongSwan's: thawed, one SA each" wait_for 15 alone || note "$(swan_sas b)" "$(bw a list sas)"
ok "strongSwan's: another one" test "$spi" != "$(swan_value b initiator-spi)"
ok "strongSwan's: traffic" wait_for 5 ping_ok "$ns_host_b" 10.1.0.2
kill -KILL "${gw_pid[a]}"
wait "${gw_pid[a]}" 2>/dev/null
unset "gw_pid[a]"
gw_start a || finish
host_b ping -q -c 2 -i 0.1 -W 1 10.1.0.2 >/dev/null
num "strongSwan's: bumpwire does not know its packets" "$(all_drops a)" -ge 1
ok "strongSwan's: killed and started again, traffic comes back by itself" wait_for 20 ping_ok "$ns_host_b" 10.1.0.2
ok "strongSwan's: one SA each" wait_for 10 alone || note "$(swan_sas b)" "$(bw a list sas)"

# INITIAL_CONTACT: bumpwire starts anew and calls before strongSwan has noticed
swan "b" --terminate --ike peer >/dev/null 2>&1
wait_for 10 ike_idle a
ike_swan_end
conf clear
ike_swan_start
ok "initial contact: up" ike_up a site-b
kill -KILL "${gw_pid[a]}"
wait "${gw_pid[a]}" 2>/dev/null
unset "gw_pid[a]"
gw_start a || finish
is "initial contact: strongSwan has not noticed" "$(swan_ike b)" 1
ok "initial contact: up again" ike_up a site-b
ok "initial contact: strongSwan has dropped the old one" wait_for 5 alone || note "$(swan_sas b)"
ok "initial contact: traffic" wait_for 3 ping_ok "$ns_host_a" 10.2.0.2
ike_swan_end
finish
