#!/usr/bin/env bash
# IPv4 and IPv6 inside and outside, in UDP and raw: ping, a transfer, and only ESP on the wire.
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump jq
topology
random_file "$work/file" 500001

for encap in udp none; do
	for outer in 4 6; do
		conf_defaults_encap=$encap
		conf_defaults
		encap=$conf_defaults_encap
		[ $outer = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2
		conf_pair
		pair_start || continue
		capture "$ns_a" wan "$work/$encap$outer.pcap" && wire=$last
		ok "$encap: 4 in $outer: ping" ping_ok "$ns_host_a" 10.2.0.2
		ok "$encap: 6 in $outer: ping" ping_ok "$ns_host_a" fd02::2
		ok "$encap: 4 in $outer: a file" send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 7000 "$work/file"
		ok "$encap: 6 in $outer: a file" send_file "$ns_host_b" "$ns_host_a" fd01::2 7000 "$work/file"
		capture_stop "$wire"
		esp=$esp_udp
		[ $encap = udp ] || esp=$esp_raw
		num "$encap over IPv$outer: ESP on the wire" \
			"$(frames "$work/$encap$outer.pcap" "$esp and $([ $outer = 4 ] && echo ip || echo ip6)")" -gt 20
		is "$encap over IPv$outer: nothing else" "$(strangers "$work/$encap$outer.pcap" "$esp")" 0
		pair_stop || fail "$encap over IPv$outer: ends well"
	done
done
finish
