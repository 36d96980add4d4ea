#!/usr/bin/env bash
# Transport mode between two hosts: the packets keep their addresses, only what is behind the IP header is protected. In UDP and raw,
# IPv4 and IPv6, small and large; and what may not go that way.
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump tshark jq
space a b
cable "$ns_a" wan "$ns_b" wan
address "$ns_a" wan 192.0.2.1/24 2001:db8::1/64
address "$ns_b" wan 192.0.2.2/24 2001:db8::2/64
random_file "$work/file" 500001

# the host's own address is on the device as well, so that it is the source of what is routed there
conf_transport() { # a|b
	local len=32
	[ "$outer" = 4 ] || len=128
	if [ "$1" = a ]; then tun_addresses="\"$wan_a/$len\""; else tun_addresses="\"$wan_b/$len\""; fi
	nets_a="\"$wan_a/$len\"" nets_b="\"$wan_b/$len\""
	conf_one "$1" >"$work/$1.conf"
	chmod 600 "$work/$1.conf"
}

for enc in udp none; do
	for outer in 4 6; do
		conf_defaults
		encap=$enc mode=transport mtu=9000
		[ $outer = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2
		conf_transport a
		conf_transport b
		what="$enc, IPv$outer"
		pair_start || continue
		capture "$ns_a" wan "$work/$enc$outer.pcap" && wire=$last
		ok "$what: ping" ping_ok "$ns_a" "$wan_b"
		ok "$what: ping the other way" ping_ok "$ns_b" "$wan_a"
		ok "$what: larger than the path" ping_ok "$ns_a" "$wan_b" -s 3000 $([ $outer = 4 ] && echo -M dont)
		ok "$what: a file" send_file "$ns_a" "$ns_b" "$wan_b" 7000 "$work/file"
		ok "$what: a file the other way" send_file "$ns_b" "$ns_a" "$wan_a" 7000 "$work/file"
		is "$what: nothing dropped" "$(drops a transport)$(drops b transport)$(drops b policy_in)$(drops b auth)" 0000
		# fragments made before us, where the device's MTU is smaller than the packet: only whole ones are protected
		ip -n "$ns_a" link set bw0 mtu 1400
		ok "$what: fragments are put together" ping_ok "$ns_a" "$wan_b" -s 3000 -M dont
		num "$what: and that is counted" "$(status a .work.reassembled)" -ge 3
		is "$what: none is left over" "$(drops a transport)$(drops a fragment_timeout)$(drops a fragment_overlap)" 000
		capture_stop "$wire"
		esp=$esp_udp
		[ $enc = udp ] || esp=$esp_raw
		# fragments of ESP packets are the only thing besides
		num "$what: ESP on the wire" "$(frames "$work/$enc$outer.pcap" "$esp and host $wan_a and host $wan_b")" -gt 20
		is "$what: nothing else" \
			"$(strangers "$work/$enc$outer.pcap" "($esp or (ip[6:2] & 0x1fff != 0) or (ip6[6] == 44))")" 0
		pair_stop || fail "$what: ends well"
	done
done

# what tshark makes of it with the keys: the payload right behind ESP, no second IP header
conf_defaults
encap=none mode=transport outer=4 top='export_keys = yes'
conf_transport a
conf_transport b
if pair_start; then
	capture "$ns_a" wan "$work/keys.pcap" && wire=$last
	ok "with keys: ping" ping_ok "$ns_a" "$wan_b"
	capture_stop "$wire"
	mkdir -p "$work/ws/wireshark"
	ok "keys are written" bw a keys --wireshark "$work/ws/wireshark"
	decoded=$(HOME=$work XDG_CONFIG_HOME=$work/ws timeout 60 tshark -r "$work/keys.pcap" -o esp.enable_encryption_decode:TRUE \
		-o esp.enable_authentication_check:TRUE -T fields -e frame.protocols 2>/dev/null | sort | uniq -c)
	note "$decoded"
	ok "tshark: ICMP right behind ESP" grep -q 'ip:esp:icmp' <<<"$decoded"
	ok "tshark: no inner IP header" not grep -q 'ip:esp:ip' <<<"$decoded"
fi
finish
