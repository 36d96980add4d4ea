#!/usr/bin/env bash
# IKEv2 with a shared secret against strongSwan: bumpwire begins, then strongSwan does. Traffic both ways, only ESP
# and IKE on the wire, taken down from either side; the same with identities of other kinds; then a wrong secret and a wrong identity, in words.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need tcpdump jq iperf3 ping
swan_need
topology

start() { # start: both, with what ik_* and sw_* say
	ike_conf a
	swan_config b "$(swan_conn)"
	swan_start b "$ns_b" && gw_start a
}
end() {
	gw_stop a
	swan_stop b
}

start || finish
capture "$ns_a" wan "$work/i.pcap"
cap=$last
ok "initiator: bumpwire brings it up" ike_up a site-b || swan_show b
ok "initiator: strongSwan has the child" wait_for 5 swan_ready b
is "initiator: strongSwan knows us as" "$(swan_value b remote-id)" a.example
ike_traffic initiator
capture_stop "$cap"
ike_wire initiator "$work/i.pcap"
ok "initiator: bumpwire takes it down" ike_down a site-b
is "initiator: strongSwan has none left" "$(swan_ike b) $(swan_children b)" "0 0"
ok "initiator: bumpwire has none left" wait_for 5 ike_idle a

capture "$ns_a" wan "$work/r.pcap"
cap=$last
ok "responder: strongSwan brings it up" swan_up b net
ok "responder: bumpwire has the child" wait_for 5 ike_ready a
ike_traffic responder
capture_stop "$cap"
ike_wire responder "$work/r.pcap"
ok "responder: strongSwan takes it down" swan_down b peer
ok "responder: bumpwire has none left" wait_for 5 ike_idle a
end

# identity WHAT A B: either side begins, each known to the other by that identity
identity() {
	ik_id=$2 ik_peer_id=$3 sw_id=$3 sw_peer_id=$2
	start || { swan_stop b; return; }
	ok "$1: bumpwire brings it up" ike_up a site-b || swan_show b
	is "$1: strongSwan knows us so" "$(swan_value b remote-id)" "${4:-$2}"
	ok "$1: ping" wait_for 3 ping_ok "$ns_host_a" 10.2.0.2
	ok "$1: down" ike_down a site-b
	ok "$1: strongSwan brings it up" swan_up b net || gw_show a
	ok "$1: bumpwire has the child" wait_for 5 ike_ready a
	ok "$1: ping back" wait_for 3 ping_ok "$ns_host_b" 10.1.0.2
	end
}
identity addresses 192.0.2.1 192.0.2.2
identity "RFC 822 names" a@example.org b@example.org
identity KEY_ID keyid:gate-a keyid:gate-b gate-a
ike_defaults
swan_defaults

ik_psk=another-secret
start || finish
ok "wrong secret: bumpwire's up fails" not ike_up a site-b
ok "wrong secret: and says so" grep -qiE 'secret|AUTHENTICATION_FAILED' "$work/a.up" || note "$(cat "$work/a.up")"
ok "wrong secret: strongSwan's up fails" not swan_up b net
ok "wrong secret: bumpwire's log names the secret" ike_says a secret
is "wrong secret: nothing is up" "$(swan_ike b)" 0
end

ike_defaults
ik_peer_id=c.example
start || finish
ok "wrong identity: bumpwire's up fails" not ike_up a site-b
ok "wrong identity: and says that it was refused" grep -q 'AUTHENTICATION_FAILED.*a.example' "$work/a.up" || note "$(cat "$work/a.up")"
ok "wrong identity: strongSwan's up fails" not swan_up b net
ok "wrong identity: bumpwire's log names who called" ike_says a 'b.example failed: no connection'
is "wrong identity: nothing is up" "$(swan_ike b)" 0
end
finish
