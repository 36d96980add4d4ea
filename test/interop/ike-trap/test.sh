#!/usr/bin/env bash
# start_action = trap towards strongSwan: the first packet starts the negotiation, is kept meanwhile and arrives; the
# same again after strongSwan took the child down and close_action set the trap anew. The routes of the TUN
# device cover the peer itself, which does not keep IKE from reaching it.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping tcpdump
swan_need
topology

ik_routes='"10.2.0.0/16", "192.0.2.2/32"'
ik_child_extra=$'start_action = trap\n\t\tclose_action = trap'
ike_swan_start
capture "$ns_a" wan "$work/wire.pcap"
wire=$last
trapped() { bw a list policies --json | jq -e '.[] | select(.name == "site-b/net:trap")'; }
ok "a policy waits" trapped
is "nothing is up" "$(swan_ike b)" 0
first() { # first WHAT N: of the first packets, sent at once, none is lost on the way
	capture "$ns_host_b" eth0 "$work/$2.pcap" icmp
	local cap=$last
	host_a ping -q -n -c 5 -i 0.01 -W 3 10.2.0.2 >"$work/ping" 2>&1
	ok "$1: it comes up" wait_for 5 swan_ready b
	capture_stop "$cap"
	is "$1: the first five arrive" "$(frames "$work/$2.pcap" 'icmp[0] = 8 and icmp[6:2] <= 5')" 5
	ok "$1: ping" wait_for 3 ping_ok "$ns_host_a" 10.2.0.2
	is "$1: one IKE SA" "$(swan_ike b) $(swan_children b)" "1 1"
}
first "trap" 1
ok "strongSwan takes it down" swan_down b peer
ok "which bumpwire has heard" wait_for 5 ike_idle a
ok "the trap waits again" trapped
first "again" 2
ok "bumpwire takes it down" ike_down a site-b
ok "and the trap still waits" trapped
swan_kill b
host_a ping -q -n -c 3 -i 0.1 -W 1 10.2.0.2 >/dev/null 2>&1
capture_stop "$wire"
is "nothing was ever sent in the clear" "$(frames "$work/wire.pcap" 'net 10.0.0.0/8')" 0
finish
