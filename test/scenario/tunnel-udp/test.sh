#!/usr/bin/env bash
# Two gateways over UDP 4500 as in etc/manual-a.conf and manual-b.conf, which are used as they are:
# ping both ways, iperf3 TCP and UDP, a file whole, and nothing but ESP on the wire.
. "$(dirname "$0")/../lib.sh"
need ping iperf3 nc tcpdump jq
topology
gw_start a "$src/etc/manual-a.conf" && gw_start b "$src/etc/manual-b.conf" || { finish; }

capture "$ns_b" wan "$work/wire.pcap" && wire=$last
ok "host A pings host B" ping_ok "$ns_host_a" 10.2.0.2
ok "host B pings host A" ping_ok "$ns_host_b" 10.1.0.2
ok "gateway A pings host B from its own network" ping_ok "$ns_a" 10.2.0.2 -I 10.1.0.1
ok "pings of every size up to the MTU" ping_ok "$ns_host_a" 10.2.0.2 -s 1372 -M do
ok "big pings in fragments" ping_ok "$ns_host_a" 10.2.0.2 -s 5000

random_file "$work/file" 3000001
ok "a file from A to B arrives whole" send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 7000 "$work/file"
ok "a file from B to A arrives whole" send_file "$ns_host_b" "$ns_host_a" 10.1.0.2 7000 "$work/file"

serve "$ns_host_b" 5201
ok "iperf3 TCP" eval 'host_a iperf3 -J -c 10.2.0.2 -t 2 >"$work/tcp.json"'
serve "$ns_host_b" 5201
ok "iperf3 TCP, the other way" host_a iperf3 -J -R -c 10.2.0.2 -t 1
serve "$ns_host_b" 5201
ok "iperf3 UDP" eval 'host_a iperf3 -J -u -b 5M -l 1300 -c 10.2.0.2 -t 1 >"$work/udp.json"'
# a machine with more to do than CPUs loses some at the receiver's socket
num "UDP loses less than one in ten" "$(jq '.end.sum.lost_percent | floor' "$work/udp.json")" -lt 10 || gw_drops
capture_stop "$wire"

num "ESP in UDP was seen on the wire" "$(frames "$work/wire.pcap" "$esp_udp")" -gt 100
is "nothing else was on the wire" "$(strangers "$work/wire.pcap")" 0
num "gateway A counts what it protected" "$(status a "$q_out_packets")" -gt 100
num "gateway B counts what it accepted" "$(status b "$q_in_packets")" -gt 100
for g in a b; do
	is "gateway $g: no packet failed its integrity check" "$(drops $g auth)" 0
	is "gateway $g: no packet was taken for a replay" "$(drops $g replay)" 0
done
finish
