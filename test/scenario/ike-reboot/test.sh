#!/usr/bin/env bash
# A gateway is killed without a word and comes back, and so does the traffic: by INITIAL_CONTACT when it starts the
# connection itself, by DPD when it does not. A frozen one is noticed, and forgotten when its time is over.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq
topology
ike_conn='dpd_delay = 1s'
ike_conn_a='unique = replace' ike_conn_b='unique = replace'
ike_child_a=$'start_action = start\ndpd_action = restart' ike_child_b='dpd_action = clear'
ike_pair
ike_conn_a='keyingtries = 0'$'\n'"$ike_conn_a"
ike_pair
killed() { # killed a|b: it is gone at once, and started again
	kill -9 "${gw_pid[$1]}"
	wait "${gw_pid[$1]}" 2>/dev/null
	unset "gw_pid[$1]"
	gw_start "$1"
}
gw_start b && gw_start a || finish
wait_for 10 ping_ok "$ns_host_a" 10.2.0.2 -c 1 -W 1
ok "A has started the connection by itself" ping_ok "$ns_host_a" 10.2.0.2
killed a
wait_for 10 ping_ok "$ns_host_a" 10.2.0.2 -c 1 -W 1
ok "A was killed, came back, and starts it again" ping_ok "$ns_host_a" 10.2.0.2
wait_for 20 eval '[ "$(sas b "$q_ike") $(sas b "$q_esp")" = "1 2" ]' # what may be on its way is still taken a while
is "B has dropped what the old A had" "$(sas b "$q_ike") $(sas b "$q_esp")" "1 2"
killed b
wait_for 20 ping_ok "$ns_host_a" 10.2.0.2 -c 1 -W 1
ok "B was killed, and A has noticed and started again" ping_ok "$ns_host_a" 10.2.0.2
is "A has one IKE SA" "$(sas a "$q_ike")" 1
kill -STOP "${gw_pid[b]}"
wait_for 20 eval '[ "$(sas a "$q_ike")" = 0 ]'
is "a frozen peer is noticed" "$(sas a "$q_ike")" 0
ok "and named" eval 'conn a .last_failure.what | grep -q "does not answer"'
note "$(conn a .last_failure.what)"
kill -CONT "${gw_pid[b]}"
wait_for 20 ping_ok "$ns_host_a" 10.2.0.2 -c 1 -W 1
ok "it goes on when the peer does" ping_ok "$ns_host_a" 10.2.0.2
finish
