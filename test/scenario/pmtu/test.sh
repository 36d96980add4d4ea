#!/usr/bin/env bash
# A path whose middle link carries only 1280 bytes, between links of 1500: TCP, and UDP with DF, find out and go on. IPv4 and IPv6
# outside and inside, tunnel and transport mode, in UDP and raw; AH. And messages that nobody should believe.
. "$(dirname "$0")/../lib.sh"
need ping nc jq scapy
dir=$(dirname "$0")
space a b m1 m2
cable "$ns_a" wan "$ns_m1" left
cable "$ns_m1" mid "$ns_m2" mid
cable "$ns_m2" right "$ns_b" wan
address "$ns_a" wan 192.0.2.1/24 2001:db8:1::1/64
address "$ns_m1" left 192.0.2.254/24 2001:db8:1::ff/64
address "$ns_m1" mid 203.0.113.1/24 2001:db8:3::1/64
address "$ns_m2" mid 203.0.113.2/24 2001:db8:3::2/64
address "$ns_m2" right 198.51.100.254/24 2001:db8:2::ff/64
address "$ns_b" wan 198.51.100.2/24 2001:db8:2::2/64
ip -n "$ns_m1" link set mid mtu 1280
ip -n "$ns_m2" link set mid mtu 1280
ip -n "$ns_a" route add 198.51.100.0/24 via 192.0.2.254
ip -n "$ns_a" route add 2001:db8:2::/64 via 2001:db8:1::ff
ip -n "$ns_b" route add 192.0.2.0/24 via 198.51.100.254
ip -n "$ns_b" route add 2001:db8:1::/64 via 2001:db8:2::ff
ip -n "$ns_m1" route add 198.51.100.0/24 via 203.0.113.2
ip -n "$ns_m1" route add 2001:db8:2::/64 via 2001:db8:3::2
ip -n "$ns_m2" route add 192.0.2.0/24 via 203.0.113.1
ip -n "$ns_m2" route add 2001:db8:1::/64 via 2001:db8:3::1
hosts
random_file "$work/file" 300001

forget() {
	local n
	for n in "$ns_host_a" "$ns_host_b" "$ns_a" "$ns_b" "$ns_m1" "$ns_m2"; do
		ip -n "$n" route flush cache
		ip -n "$n" -6 route flush cache
	done
}
# udp_df FROM_NS TO_NS ADDR SIZE: prints the size that came through
udp_df() {
	rm -f "$work/serve"
	background "$2" "$work/serve" timeout 20 "$python" "$dir/udp_df.py" serve "$3"
	wait_for 5 grep -q bound "$work/serve"
	in_ns "$1" timeout 15 "$python" "$dir/udp_df.py" send "$3" "$4"
	kill "$last"
}
inner_mtu() { bw "$1" list sas --json | jq -r '.[] | select(.name == "out") | .mtu'; }
outer_addrs() {
	wan_a=192.0.2.1 wan_b=198.51.100.2
	[ "$1" = 4 ] || wan_a=2001:db8:1::1 wan_b=2001:db8:2::2
}
for enc in udp none; do
	for outer in 4 6; do
		what="tunnel, $enc, IPv$outer"
		conf_defaults
		encap=$enc mtu=1500 policy_extra=$'\tmss_clamp = no'
		outer_addrs $outer
		conf_pair
		pair_start || continue
		forget
		before=$(inner_mtu a)
		ok "$what: a file over TCP" send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 7000 "$work/file"
		now=$(inner_mtu a)
		num "$what: the SA's path MTU went down" "$now" -lt "$before"
		is "$what: by what the link takes away" $((before - now)) 220
		ok "$what: a file over TCP, IPv6" send_file "$ns_host_a" "$ns_host_b" fd02::2 7001 "$work/file"
		gw_stop a
		gw_start a || continue
		forget
		num "$what: after a restart it is as before" "$(inner_mtu a)" -eq "$before"
		num "$what: UDP with DF" "$(udp_df "$ns_host_a" "$ns_host_b" 10.2.0.2 "$before")" -eq "$now"
		# no link may ask IPv6 to go below 1280: then the outer packet is in fragments
		num "$what: UDP over IPv6" "$(udp_df "$ns_host_a" "$ns_host_b" fd02::2 "$before")" -eq $((now > 1280 ? now : 1280))
		pair_stop || fail "$what: ends well"

		what="transport, $enc, IPv$outer"
		conf_defaults
		encap=$enc mode=transport mtu=1500 policy_extra=$'\tmss_clamp = no'
		outer_addrs $outer
		len=32
		[ $outer = 4 ] || len=128
		nets_a="\"$wan_a/$len\"" nets_b="\"$wan_b/$len\""
		tun_addresses="\"$wan_a/$len\"" && conf_one a >"$work/a.conf"
		tun_addresses="\"$wan_b/$len\"" && conf_one b >"$work/b.conf"
		pair_start || continue
		forget
		ok "$what: a file over TCP" send_file "$ns_a" "$ns_b" "$wan_b" 7000 "$work/file"
		now=$(inner_mtu a)
		# of 1280 bytes go ESP's header, IV and ICV (8 + 8 + 16), padding to 4 with its two bytes, and UDP's header
		is "$what: the SA's path MTU is what ESP leaves" "$now" "$([ $enc = udp ] && echo 1238 || echo 1246)"
		gw_stop a
		gw_start a || continue
		forget
		# an IPv6 host would make fragments, which transport mode does not protect: the protected packet goes in fragments
		num "$what: UDP with DF" "$(udp_df "$ns_a" "$ns_b" "$wan_b" 1400)" -eq $((outer == 4 ? now : 1400))
		pair_stop || fail "$what: ends well"
	done
done

# AH hides nothing: whoever sent the packet hears of it at once; and IPv6 does with 1280 bytes outside, too
as_ah() { sed -i 's/proto = esp/proto = ah/' "$work"/?.conf; }
knows() { ip -n "$1" route get "$2" | grep -q 'mtu'; }
for outer in 4 6; do
	what="AH tunnel, IPv$outer"
	conf_defaults
	encap=none cipher=null-sha256 mtu=1500 policy_extra=$'\tmss_clamp = no'
	outer_addrs $outer
	conf_pair
	as_ah
	pair_start || continue
	forget
	before=$(inner_mtu a)
	in_ns "$ns_host_a" ping -n -c 1 -W 1 -M do -s $((before - 28)) 10.2.0.2 >/dev/null
	ok "$what: told after one packet" wait_for 3 knows "$ns_host_a" 10.2.0.2
	now=$(inner_mtu a)
	is "$what: by what the link takes away" $((before - now)) 220
	num "$what: and how much" "$(ip -n "$ns_host_a" -j route get 10.2.0.2 | jq '.[0].metrics[0].mtu')" -eq "$now"
	ok "$what: a file over TCP" send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 7000 "$work/file"
	ok "$what: a file over TCP, IPv6" send_file "$ns_host_a" "$ns_host_b" fd02::2 7001 "$work/file"
	num "$what: UDP over IPv6" "$(udp_df "$ns_host_a" "$ns_host_b" fd02::2 "$before")" -eq 1280
	pair_stop || fail "$what: ends well"

	what="AH transport, IPv$outer"
	conf_defaults
	encap=none cipher=null-sha256 mode=transport mtu=1500 policy_extra=$'\tmss_clamp = no'
	outer_addrs $outer
	len=32
	[ $outer = 4 ] || len=128
	nets_a="\"$wan_a/$len\"" nets_b="\"$wan_b/$len\""
	tun_addresses="\"$wan_a/$len\"" && conf_one a >"$work/a.conf"
	tun_addresses="\"$wan_b/$len\"" && conf_one b >"$work/b.conf"
	as_ah
	pair_start || continue
	forget
	ok "$what: a file over TCP" send_file "$ns_a" "$ns_b" "$wan_b" 7000 "$work/file"
	num "$what: the SA's path MTU went down" "$(inner_mtu a)" -lt 1280
	num "$what: UDP with DF" "$(udp_df "$ns_a" "$ns_b" "$wan_b" 1400)" -gt 1000
	pair_stop || fail "$what: ends well"
done

# Messages that a stranger has made up: another SPI, another peer, a trivial size
forged() { in_ns "$ns_m1" "$python" "$dir/forge.py" "$@"; sleep 0.3; }
for enc in udp none; do
	for outer in 4 6; do
		what="forged, $enc, IPv$outer"
		conf_defaults
		encap=$enc mtu=1500
		outer_addrs $outer
		conf_pair
		pair_start || continue
		forget
		before=$(inner_mtu a)
		forged $enc "$wan_a" "$wan_b" 0x1003 1300
		forged $enc "$wan_a" "${wan_b}2" 0x1001 1300
		forged $enc "$wan_a" "$wan_b" 0x1001 1600
		is "$what: not about our SA: ignored" "$(inner_mtu a)" "$before"
		forged $enc "$wan_a" "$wan_b" 0x1001 1400
		is "$what: with the right SPI it counts" $((before - $(inner_mtu a))) 100
		forged $enc "$wan_a" "$wan_b" 0x1001 100
		is "$what: but not below the floor" $((before - $(inner_mtu a))) $([ $outer = 4 ] && echo 924 || echo 220)
		pair_stop || fail "$what: ends well"
		[ $enc$outer = udp4 ] || continue
		sed -i '1i path_mtu_discovery = no' "$work/a.conf"
		pair_start || continue
		forged $enc "$wan_a" "$wan_b" 0x1001 1300
		is "$what: path_mtu_discovery = no: nothing counts" "$(inner_mtu a)" "$before"
		# by type (RFC 4301 6.1.1), told if that is wanted, and not for ever
		sed -i '1s/.*/icmp_unprotected = {unreachable, time-exceeded} icmp_log = {too-big} path_mtu_age = 3s/' "$work/a.conf"
		ok "$what: reload" bw a reload
		forged $enc "$wan_a" "$wan_b" 0x1001 1300
		is "$what: icmp_unprotected without too-big: nothing counts" "$(inner_mtu a)" "$before"
		ok "$what: icmp_log = {too-big}: told" grep -q 'audit: icmp_error .*"type":3,"code":4' "$work/a.log.err"
		sed -i '1s/icmp_unprotected = [^}]*}/icmp_unprotected = too-big/' "$work/a.conf"
		ok "$what: reload" bw a reload
		forged $enc "$wan_a" "$wan_b" 0x1001 1300
		is "$what: icmp_unprotected = too-big: it counts" $((before - $(inner_mtu a))) 200
		ok "$what: path_mtu_age = 3s: and then no more" wait_for 15 eval '[ "$(inner_mtu a)" = "$before" ]'
		pair_stop || fail "$what: ends well"
	done
done
finish
