#!/usr/bin/env bash
# A bump in the wire as a gateway: the hosts behind it keep their addresses, their switch and their router; what goes to the other
# side's hosts is tunnelled between the boxes' own addresses on the open side, in UDP and raw ESP; the rest is bridged. A host that never
# spoke is found by asking for it. DHCP of the hosts and tags of VLANs go through; without the process nothing passes, unless on_exit says so.
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

# ---- frames with tags: what no policy protects has them on the other side, too ---------------------

encap=udp outer=4
conf_gateway a
conf_gateway b
pair_start || finish
tagged() { in_ns "$ns_host_a" timeout 20 "$python" "$here/bridge/tagged.py" "$(mac_of "$ns_host_a" eth0)" "$@"; }
if "$python" -c 'import scapy.all' 2>/dev/null; then
	capture "$ns_sw" br0 "$work/vlan.pcap" && wire=$last
	ok "VLAN: frames that are bypassed" tagged "$(mac_of "$ns_clear" eth0)" 5 192.0.2.1 192.0.2.9 3
	ok "VLAN: frames that are protected" tagged "$(mac_of "$ns_host_b" eth0)" 5 192.0.2.1 192.0.2.2 3
	sleep 0.5
	capture_stop "$wire"
	is "VLAN: what is bypassed has the tag" "$(frames "$work/vlan.pcap" 'ether proto 0x8100 and vlan 5 and icmp and host 192.0.2.9')" 3
	is "VLAN: what is protected is not in the clear" "$(frames "$work/vlan.pcap" 'vlan and icmp and host 192.0.2.2')" 0
else
	skip "VLAN" "no python3-scapy"
fi

# ---- DHCP of the host behind the box ---------------------------------------------------------------

if command -v dnsmasq >/dev/null && command -v udhcpc >/dev/null; then
	printf '#!/bin/sh\n[ "$1" != bound ] || echo "$ip" >"%s/lease"\n' "$work" >"$work/bound"
	chmod +x "$work/bound"
	background "$ns_clear" "$work/dnsmasq" dnsmasq -k -p 0 -i eth0 --bind-interfaces -C /dev/null -u root --no-ping \
		--dhcp-leasefile="$work/leases" --dhcp-range=192.0.2.45,192.0.2.45,1h
	server=$last
	ok "DHCP: a lease through the box" in_ns "$ns_host_a" timeout 20 udhcpc -i eth0 -n -q -f -t 5 -T 1 -s "$work/bound"
	is "DHCP: of the server's range" "$(cat "$work/lease" 2>/dev/null)" 192.0.2.45
	stop "$server"
else
	skip "DHCP" "no dnsmasq or no udhcpc"
fi

# ---- killed ----------------------------------------------------------------------------------------

ok "before the kill: ping" ping_ok "$ns_host_a" 192.0.2.2
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
num "before the kill there was ESP" "$(frames "$work/killed.pcap" "$esp_udp")" -gt 10
is "killed: never anything in the clear to the peer" "$(frames "$work/killed.pcap" \
	'(icmp and host 192.0.2.2) or (icmp6 and host 2001:db8::2 and ip6[40] = 128)')" 0
is "killed: nothing at all from the host's side any more" "$(tcpdump -ttnr "$work/killed.pcap" ether src \
	"$(mac_of "$ns_host_a" eth0)" 2>/dev/null | awk -v t="$killed" '$1 > t' | wc -l)" 0
unset "gw_pid[a]"
gw_start a || finish
in_ns "$ns_host_a" ping -n -c 1 -W 0.3 192.0.2.2 >/dev/null # where the host is, is asked for again
ok "started again: ping" ping_ok "$ns_host_a" 192.0.2.2

# ---- on_exit ---------------------------------------------------------------------------------------

gw_stop a
ok "on_exit = block: nothing passes" not ping_ok "$ns_host_a" 192.0.2.9
rules='	on_exit = pass'
conf_gateway a
gw_start a || finish
in_ns "$ns_host_a" ping -n -c 1 -W 0.3 192.0.2.2 >/dev/null
ok "on_exit = pass: protected while it runs" ping_ok "$ns_host_a" 192.0.2.2
gw_stop a
ok "on_exit = pass: after the end all passes" ping_ok "$ns_host_a" 192.0.2.9
finish
