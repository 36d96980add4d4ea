#!/usr/bin/env bash
# start_action = trap: the first packet starts the negotiation and is not lost; the trap is there again after the
# child went, and while the peer cannot be reached packets are given up, not sent in the clear.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq tcpdump
topology
ike_child_a='start_action = trap'
ike_pair
pair_start || finish
capture "$ns_a" wan "$work/wire.pcap"
wire=$last
is "nothing is up" "$(sas a true)" 0
ok "a policy waits" eval 'bw a list policies --json | jq -e ".[0].name == \"site-b/net:trap\""'
ok "and a route" eval 'gw_a ip route get 10.2.0.2 | grep -q "dev bw0"'
ok "the first packets are answered, all of them" ping_ok "$ns_host_a" 10.2.0.2 -c 5 -W 5
is "one SA each way" "$(sas a "$q_esp")" 2
ok "nobody has narrowed anything, says the log" eval 'grep -q "child net up" "$work"/a.log* && ! grep -q narrowed "$work"/a.log*'
ok "a large first packet in another protocol, too" ping_ok "$ns_host_b" 10.1.0.2 -s 3000
ok "down" order a down site-b
wait_for 5 eval '[ "$(sas b true)" = 0 ]'
ok "the trap is still there" eval 'bw a list policies --json | jq -e ".[0].name == \"site-b/net:trap\""'
ok "and works again" ping_ok "$ns_host_a" 10.2.0.2 -c 5 -W 5
ok "B takes it down" order b down site-a
wait_for 5 eval '[ "$(sas a true)" = 0 ]'
gw_stop b
host_a ping -q -c 3 -W 1 10.2.0.2 >/dev/null 2>&1
capture_stop "$wire"
sed -i 's/mtu = 1400/&\n\tinstall_routes = no/' "$work/a.conf"
ok "reload with install_routes = no" bw a reload
ok "the route is left to the administrator" not eval 'gw_a ip route get 10.2.0.2 2>&1 | grep -q "dev bw0"'
sed -i 's/install_routes = no/install_routes = yes/' "$work/a.conf"
ok "reload with install_routes = yes" bw a reload
ok "makes it again" eval 'gw_a ip route get 10.2.0.2 | grep -q "dev bw0"'
is "nothing went in the clear" "$(frames "$work/wire.pcap" 'icmp and net 10.0.0.0/8')" 0
finish
