#!/usr/bin/env bash
# IKEv2 over IPv6 with strongSwan, IPv4 and IPv6 inside by one pair of SAs, from either side; and IPv6 inside of IPv4.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need tcpdump jq ping iperf3
swan_need
topology

mixed() {
	ik_local_ts='"10.1.0.0/16", "fd01::/16"' ik_remote_ts='"10.2.0.0/16", "fd02::/16"'
	sw_local_ts=10.2.0.0/16,fd02::/16 sw_remote_ts=10.1.0.0/16,fd01::/16
}
traffic() {
	wait_for 3 ping_ok "$ns_host_a" fd02::2
	ok "$1: IPv6 from A's host" ping_ok "$ns_host_a" fd02::2
	# the first one finds out what fits
	wait_for 3 ping_ok "$ns_host_b" fd01::2 -s 3000
	ok "$1: IPv6 from B's host, larger than a packet" ping_ok "$ns_host_b" fd01::2 -s 3000
	ike_traffic "$1"
	random_file "$work/file" 3000000
	ok "$1: a file by TCP over IPv6" send_file "$ns_host_a" "$ns_host_b" fd02::2 5400 "$work/file"
}
children() { bw a list sas --json | jq -c '[.[] | select(.proto == "ike") | .children[] | (.local_ts | length), (.remote_ts | length)]'; }

mixed
ik_local='"2001:db8::1"' ik_remote='"2001:db8::2"' sw_local=2001:db8::2 sw_remote=2001:db8::1
ike_swan_start
capture "$ns_a" wan "$work/i.pcap"
cap=$last
ok "bumpwire begins" ike_up a site-b || swan_show b
is "two selectors on each side" "$(children)" '[2,2]'
traffic "bumpwire began"
capture_stop "$cap"
ike_wire "bumpwire began" "$work/i.pcap"
is "nothing went over IPv4" "$(frames "$work/i.pcap" 'ip and not arp')" 0
ok "new keys" timeout 20 "$bin" rekey site-b --run-dir "$work/a.run"
ok "and pings on" ping_ok "$ns_host_a" fd02::2
ok "down" ike_down a site-b
ok "strongSwan begins" swan_up b net
ok "and bumpwire has the child" wait_for 5 ike_ready a
traffic "strongSwan began"
ok "strongSwan takes it down" swan_down b peer
ok "nothing is left" wait_for 5 ike_idle a
ike_swan_end

mixed
ike_swan_start
ok "over IPv4: up" ike_up a site-b
wait_for 3 ping_ok "$ns_host_a" fd02::2
ok "over IPv4: IPv6 inside" ping_ok "$ns_host_a" fd02::2
ok "over IPv4: IPv4 inside" ping_ok "$ns_host_b" 10.1.0.2
ike_swan_end
finish
