#!/usr/bin/env bash
# A bump in the wire as a gateway: the hosts behind it keep their addresses, their switch and their router; what goes to the other
# side's hosts is tunnelled between the boxes' own addresses on the open side, in UDP and raw ESP; the rest is bridged. A host that never
# spoke is found by asking for it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../bridge/wire.sh"
need ping nc tcpdump jq iperf3
bumps
address "$ns_host_a" eth0 192.0.2.1/24 2001:db8::1/64
address "$ns_host_b" eth0 192.0.2.2/24 2001:db8::2/64
address "$ns_clear" eth0 192.0.2.9/24 2001:db8::9/64
address "$ns_a" out 192.0.2.101/24 2001:db8::101/64
address "$ns_b" out 192.0.2.102/24 2001:db8::102/64
random_file "$work/file" 3000001

conf_defaults
conf_gateway() { # a|b
	local here=1 there=2 out=0x401 in=0x402 k=0 l=32 p=192.0.2.10
	if [ "$1" = b ]; then here=2 there=1 out=0x402 in=0x401 k=32 l=0; fi
	[ "$outer" = 4 ] || p=2001:db8::10
	{
		bridge_conf gateway
		sa_pair out in $out $in $p$here $p$there $k $l
		cat <<END
policy peer { local = {"192.0.2.$here", "2001:db8::$here"} remote = {"192.0.2.$there", "2001:db8::$there"}
	action = protect out = {out} in = {in} }
policy clear { remote = {"192.0.2.9", "2001:db8::9"} action = bypass }
END
	} >"$work/$1.conf"
	chmod 600 "$work/$1.conf"
}

for encap in udp none; do
	for outer in 4 6; do
		what="$encap, IPv$outer"
		conf_gateway a
		conf_gateway b
		pair_start || continue
		capture "$ns_sw" br0 "$work/wire.pcap" && wire=$last
		esp=$esp_udp
		[ $encap = udp ] || esp=$esp_raw
		# the boxes have just started: where the hosts are is asked for by the first packet, which is lost
		for to in 192.0.2.2 2001:db8::2; do
			in_ns "$ns_host_a" ping -n -c 1 -W 0.3 $to >/dev/null
		done
		ok "$what: ping IPv4" ping_ok "$ns_host_a" 192.0.2.2
		ok "$what: ping IPv6" ping_ok "$ns_host_a" 2001:db8::2
		ok "$what: ping the other way, larger than the wire" ping_ok "$ns_host_b" 192.0.2.1 -s 3000 -M dont
		ok "$what: a file, IPv4" send_file "$ns_host_a" "$ns_host_b" 192.0.2.2 7000 "$work/file"
		ok "$what: a file, IPv6" send_file "$ns_host_b" "$ns_host_a" 2001:db8::1 7000 "$work/file"
		capture_stop "$wire"
		num "$what: ESP between the boxes" "$(frames "$work/wire.pcap" "$esp")" -gt 100
		is "$what: nothing of the hosts' in the clear" "$(frames "$work/wire.pcap" \
			"(host 192.0.2.1 and host 192.0.2.2 and ip) or (ip6 and host 2001:db8::1 and host 2001:db8::2 and ip6[40] != 135 and ip6[40] != 136)")" 0
		ok "$what: bypass" ping_ok "$ns_host_a" 192.0.2.9
		ok "$what: bypass from outside, IPv6" ping_ok "$ns_clear" 2001:db8::1
		ok "$what: the box itself is reached" ping_ok "$ns_clear" 192.0.2.101
		num "$what: b's host had not spoken, and was asked for" "$(drops b no_neighbour)" -ge $([ $encap$outer = udp4 ] && echo 0 || echo 1)
		if [ $encap$outer = udp4 ]; then
			serve "$ns_host_b" 5201
			ok "iperf3" in_ns "$ns_host_a" timeout 30 iperf3 -c 192.0.2.2 -t 2 -J --logfile "$work/iperf"
			note "$(jq -r '.end.sum_received.bits_per_second / 1e6 | round' "$work/iperf") Mbit/s"
		fi
		pair_stop || fail "$what: ends well"
	done
done
finish
