#!/usr/bin/env bash
# Transport mode between two hosts, keyed by IKE: the device gets the address and the route by itself. Raw and in UDP.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping nc tcpdump jq
space a b
cable "$ns_a" wan "$ns_b" wan
address "$ns_a" wan 192.0.2.1/24
address "$ns_b" wan 192.0.2.2/24
random_file "$work/file" 300001
ike_nets_a=dynamic ike_nets_b=dynamic
for encap in no yes; do
	ike_child='mode = transport' ike_conn="encap = $encap"
	ike_pair
	pair_start || continue
	what="encap = $encap"
	ok "$what: up" ike_up
	capture "$ns_a" wan "$work/$encap.pcap"
	wire=$last
	is "$what: it is transport mode" "$(conn a '.sas[0].children[0].mode') $(conn b '.sas[0].children[0].mode')" "transport transport"
	ok "$what: the device has the host's address" eval 'gw_a ip addr show dev bw0 | grep -q 192.0.2.1/32'
	ok "$what: ping" ping_ok "$ns_a" 192.0.2.2
	ok "$what: ping the other way" ping_ok "$ns_b" 192.0.2.1
	ok "$what: a file" send_file "$ns_a" "$ns_b" 192.0.2.2 7000 "$work/file"
	ok "$what: new keys" order b rekey site-a
	ok "$what: IKE and ESP still find the peer" ping_ok "$ns_a" 192.0.2.2
	capture_stop "$wire"
	ok "$what: down" order b down site-a
	wait_for 5 eval '[ "$(sas a true)" = 0 ]'
	ok "$what: the address is gone" eval '! gw_a ip addr show dev bw0 | grep -q 192.0.2.1/32'
	ok "$what: and the host still has it" eval 'gw_a ip route get 192.0.2.1 | grep -q local'
	ok "$what: ping in the clear" ping_ok "$ns_a" 192.0.2.2
	is "$what: nothing in the clear while it was up" \
		"$(frames "$work/$encap.pcap" "$not_arp and not ($esp_udp or $esp_raw or udp port 500 or udp port 4500)")" 0
	pair_stop || fail "$what: ends well"
done
finish
