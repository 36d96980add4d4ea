#!/usr/bin/env bash
# What does not fit. The TUN device takes 1500 bytes, the wire too, so that it is bumpwire that must tell the
# sender. AES-GCM with 16 bytes of ICV in UDP leaves 1500 - 20 - 8 - 8 - 8 - 16 = 1440 for payload and trailer: 1438
# for the inner packet over IPv4, 1418 over IPv6.
. "$(dirname "$0")/../lib.sh"
need ping tcpdump nc jq
topology
forget_mtu() { for n in "$ns_host_a" "$ns_host_b"; do ip -n "$n" route flush cache; ip -n "$n" -6 route flush cache; done; }
# told NS ADDR SIZE MTU: a ping with DF of SIZE bytes in all makes ADDR's path MTU known as MTU
told4() { in_ns "$1" ping -n -c 2 -i 0.2 -W 1 -M do -s $(($3 - 28)) "$2" | tee "$work/ping" | grep -qE "mtu ?= ?$4\b" || { cat "$work/ping"; return 1; }; }
told6() { in_ns "$1" ping -n -c 2 -i 0.2 -W 1 -M do -s $(($3 - 48)) "$2" | tee "$work/ping" | grep -qE "mtu ?= ?$4\b" || { cat "$work/ping"; return 1; }; }

for outer in 4 6; do
	conf_defaults
	mtu=1500 fits=1438
	[ $outer = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2 fits=1418
	conf_pair
	pair_start || continue
	forget_mtu
	ok "over IPv$outer: $fits bytes with DF fit" ping_ok "$ns_host_a" 10.2.0.2 -M do -s $((fits - 28))
	ok "over IPv$outer: $fits bytes of IPv6 fit" ping_ok "$ns_host_a" fd02::2 -M do -s $((fits - 48))
	ok "over IPv$outer: one byte more: ICMP says $fits" told4 "$ns_host_a" 10.2.0.2 $((fits + 1)) $fits
	ok "over IPv$outer: one byte more of IPv6: ICMPv6 says $fits" told6 "$ns_host_a" fd02::2 $((fits + 1)) $fits
	num "over IPv$outer: counted as too_big" "$(drops a too_big)" -ge 2
	capture "$ns_b" wan "$work/frag$outer.pcap" && wire=$last
	forget_mtu
	ok "over IPv$outer: 1500 bytes without DF arrive" ping_ok "$ns_host_a" 10.2.0.2 -M dont -s 1472
	ok "over IPv$outer: 4000 bytes without DF arrive" ping_ok "$ns_host_a" 10.2.0.2 -M dont -s 3972
	capture_stop "$wire"
	is "over IPv$outer: fragmented before encryption: no fragment on the wire" \
		"$(frames "$work/frag$outer.pcap" '(ip and ip[6:2] & 0x3fff != 0) or (ip6 and ip6[6] = 44)')" 0

	# RFC 793 options: MSS is what the path carries, less the headers
	capture "$ns_host_b" eth0 "$work/syn$outer.pcap" 'tcp[tcpflags] & tcp-syn != 0 or (ip6 and tcp)' && syn=$last
	forget_mtu
	background "$ns_host_b" "$work/nc" timeout 20 nc -l -k -N 7100
	wait_for 5 listens "$ns_host_b" 7100
	host_a nc -z -w 2 10.2.0.2 7100
	host_a nc -z -w 2 fd02::2 7100
	capture_stop "$syn"
	stop "$last"
	mss() { tcpdump -nr "$work/syn$outer.pcap" "$1" 2>/dev/null | sed -n 's/.*Flags \[S\],.*mss \([0-9]*\).*/\1/p' | head -n 1; }
	is "over IPv$outer: MSS of a SYN is clamped" "$(mss ip)" $((fits - 40))
	[ -z "$(mss ip6)" ] || is "over IPv$outer: and of one in IPv6" "$(mss ip6)" $((fits - 60))
	pair_stop || fail "ends well"
done

# a link of ours gets smaller while packets flow: known with the first that it refuses, not ten seconds later
for outer in 4 6; do
	conf_defaults
	mtu=1500 encap=none policy_extra=$'\tmss_clamp = no'
	[ $outer = 4 ] || { wan_a=2001:db8::1 wan_b=2001:db8::2 encap=udp; }
	conf_pair
	pair_start || continue
	forget_mtu
	ok "a link gets smaller, over IPv$outer: ping before" ping_ok "$ns_host_a" 10.2.0.2 -M do -s 1360
	ip -n "$ns_a" link set wan mtu 1350
	ip -n "$ns_b" link set wan mtu 1350
	told_in() { # SECONDS
		in_ns "$ns_host_a" timeout "$1" sh -c 'until ping -n -c 1 -W 0.2 -M do -s 1360 10.2.0.2 2>&1 | grep -q "mtu = *1[23]"; do sleep 0.1; done'
	}
	ok "a link gets smaller, over IPv$outer: the sender is told within seconds" told_in 4
	ip -n "$ns_a" link set wan mtu 1500
	ip -n "$ns_b" link set wan mtu 1500
	pair_stop || fail "ends well"
done

conf_defaults
mtu=1500 sa_extra=$'\tfragment = after\n\tdf = clear' policy_extra=$'\tmss_clamp = no'
conf_pair
if pair_start; then
	capture "$ns_b" wan "$work/after.pcap" && wire=$last
	capture "$ns_host_b" eth0 "$work/syn.pcap" 'tcp[tcpflags] & tcp-syn != 0' && syn=$last
	forget_mtu
	ok "fragment = after: 1500 bytes without DF arrive" ping_ok "$ns_host_a" 10.2.0.2 -M dont -s 1472
	ok "fragment = after: 4000 bytes without DF arrive" ping_ok "$ns_host_a" 10.2.0.2 -M dont -s 3972
	background "$ns_host_b" "$work/nc" timeout 20 nc -l -N 7100
	wait_for 5 listens "$ns_host_b" 7100
	host_a nc -z -w 2 10.2.0.2 7100
	capture_stop "$wire"
	capture_stop "$syn"
	num "fragment = after: there are fragments on the wire" \
		"$(frames "$work/after.pcap" 'ip[6:2] & 0x3fff != 0')" -gt 0
	is "mss_clamp = no: the SYN is left alone" \
		"$(tcpdump -nr "$work/syn.pcap" 2>/dev/null | sed -n 's/.*Flags \[S\],.*mss \([0-9]*\).*/\1/p' | head -n 1)" 1460
	pair_stop || fail "ends well"
fi

conf_defaults
mtu=1500 sa_extra=$'\tmtu = 1300'
conf_pair
if pair_start; then
	forget_mtu
	ok "mtu of the SA counts: ICMP says 1238" told4 "$ns_host_a" 10.2.0.2 1400 1238
	pair_stop || fail "ends well"
fi
finish
