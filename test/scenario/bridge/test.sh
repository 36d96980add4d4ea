#!/usr/bin/env bash
# A bump in the wire in place of the host behind it: two hosts, each behind a bump, at one switch. The hosts know nothing of it: what
# goes between them is ESP in transport mode between their own addresses, IPv4 and IPv6; DHCP, SLAAC and VLANs go on; others are reached
# in the clear where a policy says so; and without the process nothing passes.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/wire.sh"
need ping nc tcpdump jq iperf3
bumps
address "$ns_host_a" eth0 192.0.2.1/24 2001:db8::1/64
address "$ns_host_b" eth0 192.0.2.2/24 2001:db8::2/64
address "$ns_clear" eth0 192.0.2.9/24 2001:db8::9/64
random_file "$work/file" 3000001

conf_defaults
mode=transport encap=none
conf_host() { # a|b
	local me other out4=0x401 in4=0x402 out6=0x601 in6=0x602 here=1 there=2 k=0 l=32
	if [ "$1" = b ]; then out4=0x402 in4=0x401 out6=0x602 in6=0x601 here=2 there=1 k=32 l=0; fi
	me="\"192.0.2.$here\", \"2001:db8::$here\"" other="\"192.0.2.$there\", \"2001:db8::$there\""
	{
		[ -z "$top" ] || printf '%s\n' "$top"
		bridge_conf host
		sa_pair out4 in4 $out4 $in4 192.0.2.$here 192.0.2.$there $k $l
		sa_pair out6 in6 $out6 $in6 2001:db8::$here 2001:db8::$there $((k + 64)) $((l + 64))
		[ -n "${no_policy:-}" ] || cat <<END
policy peer4 { local = "192.0.2.$here" remote = "192.0.2.$there" action = protect out = {out4} in = {in4} }
policy peer6 { local = "2001:db8::$here" remote = "2001:db8::$there" action = protect out = {out6} in = {in6} }
END
		[ -n "${no_clear:-}" ] || cat <<END
policy clear4 { remote = "192.0.2.9" action = bypass }
policy clear6 { remote = "2001:db8::9" action = bypass }
END
		printf '%s\n' "${more:-}"
	} >"$work/$1.conf"
	chmod 600 "$work/$1.conf"
}
conf_host a
conf_host b
pair_start || finish
capture "$ns_sw" br0 "$work/wire.pcap" && wire=$last

# ---- two hosts that know nothing -----------------------------------------------------------------

ok "ping IPv4" ping_ok "$ns_host_a" 192.0.2.2
ok "ping IPv6" ping_ok "$ns_host_a" 2001:db8::2
ok "ping the other way" ping_ok "$ns_host_b" 192.0.2.1
ok "a file, IPv4" send_file "$ns_host_a" "$ns_host_b" 192.0.2.2 7000 "$work/file"
ok "a file, IPv6" send_file "$ns_host_b" "$ns_host_a" 2001:db8::1 7000 "$work/file"
serve "$ns_host_b" 5201
ok "iperf3" in_ns "$ns_host_a" timeout 30 iperf3 -c 192.0.2.2 -t 2 -J --logfile "$work/iperf"
note "$(jq -r '.end.sum_received.bits_per_second / 1e6 | round' "$work/iperf") Mbit/s"
capture_stop "$wire"
pair='((host 192.0.2.1 and host 192.0.2.2) or (host 2001:db8::1 and host 2001:db8::2))'
num "between them: ESP" "$(frames "$work/wire.pcap" "$esp_raw and $pair")" -gt 100
is "and nothing else" "$(strangers "$work/wire.pcap" "($esp_raw or igmp)")" 0
is "the bump is not on the way: MAC addresses are the hosts' own" \
	"$(in_ns "$ns_host_a" ip -j neigh show 192.0.2.2 dev eth0 | jq -r '.[0].lladdr')" "$(mac_of "$ns_host_b" eth0)"
for h in a b; do
	ns_var=ns_$h
	for dev in in out; do
		mac=$(mac_of "${!ns_var}" $dev)
		is "bump $h, $dev: no frame of its own on the wire" "$(frames "$work/wire.pcap" ether host "$mac")" 0
	done
done
is "nothing dropped but what the hosts' own chatter is" "$(bw a status --json |
	jq '[.drops[] | select(.reason != "no_policy" and .reason != "too_big") | .packets] | add // 0')" 0

# ---- fragments: only whole packets are protected, so the bumps put them together ------------------

capture "$ns_sw" br0 "$work/frag.pcap" && wire=$last
for to in 192.0.2.2 2001:db8::2; do
	ok "fragments: ping $to, three of the host's" ping_ok "$ns_host_a" $to -s 3000 -M dont
	in_ns "$ns_host_a" ping -n -c 3 -i 0.2 -W 0.3 -s 1440 -M dont $to >/dev/null # IPv6: hosts are told of the MTU, and cut
	ok "fragments: ping $to, a packet that is too large only when it is protected" ping_ok "$ns_host_a" $to -s 1440 -M dont
	ok "fragments: ping $to, the largest" ping_ok "$ns_host_a" $to -s 65000 -M dont
done
capture_stop "$wire"
num "fragments: the wire has those of ESP" "$(frames "$work/frag.pcap" 'ip proto 50 and ip[6:2] & 0x1fff != 0')" -gt 50
num "fragments: and of IPv6" "$(frames "$work/frag.pcap" 'ip6[6] = 44 and ip6[40] = 50')" -gt 50
is "fragments: and nothing in the clear" "$(frames "$work/frag.pcap" "icmp or (ip6[6] = 44 and ip6[40] != 50) or (icmp6 and ip6[40] = 128)")" 0
num "fragments: counted" "$(status a .work.reassembled)" -gt 6
if "$python" -c 'import scapy.all' 2>/dev/null; then
	in_ns "$ns_host_a" timeout 20 "$python" "$here/bridge/overlap.py" "$(mac_of "$ns_host_a" eth0)" "$(mac_of "$ns_host_b" eth0)" \
		192.0.2.1 192.0.2.2
	num "fragments: overlapping ones are dropped" "$(drops a fragment_overlap)" -ge 1
fi

# ---- in the clear where a policy says so ---------------------------------------------------------

capture "$ns_sw" br0 "$work/clear.pcap" && wire=$last
ok "bypass: ping IPv4" ping_ok "$ns_host_a" 192.0.2.9
ok "bypass: ping IPv6, large" ping_ok "$ns_host_a" 2001:db8::9 -s 3000
ok "bypass: from outside" ping_ok "$ns_clear" 192.0.2.1
ok "bypass: a file" send_file "$ns_host_a" "$ns_clear" 192.0.2.9 7000 "$work/file"
capture_stop "$wire"
num "bypass: is in the clear" "$(frames "$work/clear.pcap" 'icmp and host 192.0.2.9')" -ge 6
is "bypass: TTL as it was" "$(tcpdump -nvr "$work/clear.pcap" 'icmp[0] = 8 and src 192.0.2.1' 2>/dev/null | grep -c 'ttl 64,')" 3
address "$ns_clear" eth0 192.0.2.66/24
ok "no policy: nothing comes in" not ping_ok "$ns_clear" 192.0.2.1 -I 192.0.2.66
num "no policy: counted" "$(drops a no_policy)" -gt 0

# ---- frames with tags, and of other kinds --------------------------------------------------------

tagged_conf() { # HERE THERE SPI_OUT SPI_IN SEED_OUT SEED_IN: addresses of hosts in VLANs
	sa_pair vout vin "$3" "$4" "$1" "$2" "$5" "$6"
	printf 'policy tagged { local = "%s" remote = "%s" action = protect out = {vout} in = {vin} }\n' "$1" "$2"
	printf 'policy tagged_clear { local = "%s" remote = "10.5.0.9" action = bypass }\n' "$1"
}
more=$(tagged_conf 10.5.0.1 10.5.0.2 0x501 0x502 128 160)
conf_host a
more=$(tagged_conf 10.5.0.2 10.5.0.1 0x502 0x501 160 128)
conf_host b
ok "reload a" bw a reload
ok "reload b" bw b reload
if "$python" -c 'import scapy.all' 2>/dev/null; then
	capture "$ns_sw" br0 "$work/vlan.pcap" && wire=$last
	capture "$ns_host_b" eth0 "$work/vlan-b.pcap" && wire_b=$last
	tagged() { in_ns "$ns_host_a" timeout 20 "$python" "$here/bridge/tagged.py" "$(mac_of "$ns_host_a" eth0)" "$@"; }
	ok "VLAN: frames" tagged "$(mac_of "$ns_host_b" eth0)" 5 10.5.0.1 10.5.0.2 7
	ok "VLAN: two tags" tagged "$(mac_of "$ns_host_b" eth0)" 5,6 10.5.0.1 10.5.0.2 4
	ok "VLAN: bypass" tagged "$(mac_of "$ns_clear" eth0)" 5 10.5.0.1 10.5.0.9 3
	ok "VLAN: three tags are another kind" tagged "$(mac_of "$ns_clear" eth0)" 5,6,7 10.5.0.1 10.5.0.9 3
	sleep 0.5
	capture_stop "$wire"
	capture_stop "$wire_b"
	is "VLAN: ESP has the tag" "$(frames "$work/vlan.pcap" 'ether proto 0x8100 and vlan 5 and ip proto 50')" 7
	is "VLAN: both tags" "$(frames "$work/vlan.pcap" 'ether proto 0x88a8 and vlan 5 and vlan 6 and ip proto 50')" 4
	is "VLAN: nothing in the clear but what may be" "$(frames "$work/vlan.pcap" 'vlan and icmp and host 10.5.0.2')" 0
	is "VLAN: what is bypassed has it, too" "$(frames "$work/vlan.pcap" 'vlan 5 and icmp and host 10.5.0.9')" 3
	is "VLAN: arrives with the tag" "$(frames "$work/vlan-b.pcap" 'ether proto 0x8100 and vlan 5 and icmp')" 7
	is "VLAN: and with both" "$(frames "$work/vlan-b.pcap" 'ether proto 0x88a8 and vlan 5 and vlan 6 and icmp')" 4
	num "VLAN: three tags are counted as another kind" "$(drops a frame_rule)" -ge 3
else
	skip "VLAN" "no python3-scapy"
fi

other() { # NS: a frame of an unassigned EtherType to everybody
	in_ns "$1" "$python" -c 'import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
s.send(b"\xff" * 6 + b"\x02\0\0\0\0\1" + bytes.fromhex("'"$2"'") + b"x" * 60)'
}
capture "$ns_sw" br0 "$work/other.pcap" && wire=$last
other "$ns_host_a" 88b5
other "$ns_host_a" 88cc
sleep 0.3
rules='	other = pass lldp = drop'
conf_host a
ok "reload with other rules" bw a reload
other "$ns_host_a" 88b6
other "$ns_host_a" 88cc
sleep 0.3
capture_stop "$wire"
of_type() { tcpdump -ttnr "$work/other.pcap" "ether proto $1" 2>/dev/null | grep -c '^[0-9]'; }
is "other = drop" "$(of_type 0x88b5)" 0
is "other = pass" "$(of_type 0x88b6)" 1
is "lldp = pass, then drop" "$(of_type 0x88cc)" 1
num "counted" "$(drops a frame_rule)" -ge 2
rules='' more=''

# ---- DHCP and SLAAC through the bump -------------------------------------------------------------

# the server beside the switch, through one bump; then behind the other bump, through both
dhcp() { # WHERE NS PREFIX: serves 2001:db8:PREFIX::/64 and leases from NS
	local where=$1 ns=$2 net=2001:db8:$3
	address "$ns" eth0 "$net::9/64"
	background "$ns" "$work/dnsmasq" dnsmasq -k -p 0 -i eth0 --bind-interfaces -C /dev/null -u root --no-ping \
		--dhcp-leasefile="$work/leases$3" --dhcp-range=192.0.2.$((40 + $3)),192.0.2.$((40 + $3)),1h --enable-ra --dhcp-range="$net::,ra-only"
	rm -f "$work/lease"
	ok "DHCP $where: a lease" in_ns "$ns_host_a" timeout 20 udhcpc -i eth0 -n -q -f -t 5 -T 1 -s "$work/bound"
	is "DHCP $where: of the server's range" "$(cat "$work/lease" 2>/dev/null)" 192.0.2.$((40 + $3))
	in_ns "$ns_host_a" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra; echo 1 >/proc/sys/net/ipv6/conf/eth0/autoconf'
	ip -n "$ns_host_a" link set eth0 down
	ip -n "$ns_host_a" link set eth0 up
	address "$ns_host_a" eth0 2001:db8::1/64
	ok "SLAAC $where: an address from router advertisements" wait_for 20 slaac "$net"
	stop "$last"
	ip -n "$ns" addr del "$net::9/64" dev eth0
}
slaac() { in_ns "$ns_host_a" ip -6 addr show dev eth0 | grep -q "$1:.* dynamic"; }
if command -v dnsmasq >/dev/null && command -v udhcpc >/dev/null; then
	printf '#!/bin/sh\n[ "$1" != bound ] || echo "$ip" >"%s/lease"\n' "$work" >"$work/bound"
	chmod +x "$work/bound"
	dhcp "through one bump" "$ns_clear" 5
	dhcp "through both bumps" "$ns_host_b" 6
else
	skip "DHCP and SLAAC" "no dnsmasq or no udhcpc"
fi

# ---- the policy pulled in and out ----------------------------------------------------------------

conf_host a
conf_host b
ok "reload a" bw a reload
ok "reload b" bw b reload
ok "protected again" ping_ok "$ns_host_a" 192.0.2.2
no_policy=1 more='policy all { action = bypass }'
conf_host b
ok "b goes without protection" bw b reload
capture "$ns_sw" br0 "$work/half.pcap" && wire=$last
before=$(drops a cleartext)
ok "a takes nothing in the clear" not ping_ok "$ns_host_b" 192.0.2.1
num "counted as cleartext" "$(drops a cleartext)" -gt "$before"
ok "and sends nothing in the clear" not ping_ok "$ns_host_a" 192.0.2.2
capture_stop "$wire"
is "a's side of it: ESP only" "$(frames "$work/half.pcap" "src 192.0.2.1 and icmp")" 0
conf_host a
ok "a follows" bw a reload
ok "both in the clear: ping" ping_ok "$ns_host_a" 192.0.2.2
ok "both in the clear: a file" send_file "$ns_host_a" "$ns_host_b" 192.0.2.2 7000 "$work/file"
no_policy='' more=''
conf_host a
conf_host b
ok "reload a" bw a reload
ok "reload b" bw b reload
capture "$ns_sw" br0 "$work/again.pcap" && wire=$last
ok "protected again: ping" ping_ok "$ns_host_a" 192.0.2.2
capture_stop "$wire"
num "ESP on the wire" "$(frames "$work/again.pcap" "$esp_raw")" -ge 6
is "nothing in the clear" "$(frames "$work/again.pcap" 'icmp')" 0

# ---- killed --------------------------------------------------------------------------------------

capture "$ns_sw" to_a "$work/killed.pcap" && wire=$last
background "$ns_host_a" "$work/flood" ping -n -i 0.01 -c 300 192.0.2.2
flood=$last
background "$ns_host_a" "$work/flood9" ping -n -i 0.01 -c 300 192.0.2.9
sleep 0.5
kill -9 "${gw_pid[a]}"
wait "${gw_pid[a]}" 2>/dev/null
killed=$(date +%s.%N)
wait "$flood"
in_ns "$ns_host_a" ping -6 -n -c 3 -i 0.1 -W 1 2001:db8::2 >/dev/null
capture_stop "$wire"
num "before the kill there was ESP" "$(frames "$work/killed.pcap" "$esp_raw")" -gt 10
is "killed: never anything in the clear to the peer" "$(frames "$work/killed.pcap" 'icmp and host 192.0.2.2')" 0
is "killed: nothing at all from the host's side any more" "$(tcpdump -ttnr "$work/killed.pcap" ether src \
	"$(mac_of "$ns_host_a" eth0)" 2>/dev/null | awk -v t="$killed" '$1 > t' | wc -l)" 0
unset "gw_pid[a]"
gw_start a && ok "started again: ping" ping_ok "$ns_host_a" 192.0.2.2

# ---- on_exit -------------------------------------------------------------------------------------

gw_stop a
ok "on_exit = block: nothing passes" not ping_ok "$ns_host_a" 192.0.2.9
rules='	on_exit = pass'
conf_host a
gw_start a && ok "on_exit = pass: protected while it runs" ping_ok "$ns_host_a" 192.0.2.2
gw_stop a
ok "on_exit = pass: after the end all passes" ping_ok "$ns_host_a" 192.0.2.9
is "by a bridge of the kernel's" "$(ip -n "$ns_a" -j link show dev in | jq -r '.[0].master')" wire
gw_start a && ok "started again: protected" ping_ok "$ns_host_a" 192.0.2.2
is "the kernel's bridge is gone" "$(ip -n "$ns_a" -j link show dev in | jq -r '.[0].master')" null
gw_stop a
rules=''
conf_host a
ok "in a bridge of the kernel's: refused" not timeout 10 ip netns exec "$ns_a" "$bin" run -c "$work/a.conf" --run-dir "$work/a.run"
ip -n "$ns_a" link del wire

# ---- the machine itself behind the bump, on a TAP device -----------------------------------------

ip -n "$ns_host_a" link set eth0 down
sed -i 's/protected = "in"/protected = "tap:host0"/' "$work/a.conf"
gw_start a
address "$ns_a" host0 192.0.2.1/24 2001:db8::1/64
capture "$ns_sw" br0 "$work/tap.pcap" && wire=$last
ok "TAP: ping IPv4" ping_ok "$ns_a" 192.0.2.2
ok "TAP: ping IPv6" ping_ok "$ns_a" 2001:db8::2
ok "TAP: a file" send_file "$ns_a" "$ns_host_b" 192.0.2.2 7000 "$work/file"
ok "TAP: a file the other way" send_file "$ns_host_b" "$ns_a" 2001:db8::1 7000 "$work/file"
ok "TAP: bypass, a file" send_file "$ns_a" "$ns_clear" 192.0.2.9 7000 "$work/file"
capture_stop "$wire"
is "TAP: between them nothing but ESP" "$(strangers "$work/tap.pcap" "($esp_raw or igmp or host 192.0.2.9)")" 0
finish
