#!/usr/bin/env bash
# bypass, discard, reject and no policy at all, IPv4 and IPv6.
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump jq
topology
conf_defaults
policies_before='policy rejected {
	remote_port = {"7001"}
	protocol = {"tcp", "udp"}
	direction = out
	action = reject
}
policy discarded {
	remote_port = {"7003"}
	protocol = {"tcp", "udp"}
	direction = out
	action = discard
}
policy clear {
	remote = {"198.51.100.0/24"}
	action = bypass
}'
conf_pair
# what is bypassed, and what no policy knows, must come to the TUN device first
sed -i 's|routes = {|routes = {"198.51.100.0/24", "203.0.113.0/24", |' "$work/a.conf"
ip -n "$ns_a" route add 198.51.100.0/24 via 192.0.2.2 metric 4000000
ip -n "$ns_b" addr add 198.51.100.1/32 dev lo
pair_start || finish

capture "$ns_host_a" eth0 "$work/host.pcap" && host=$last
capture "$ns_b" wan "$work/wire.pcap" && wire=$last
quick() { # quick NS COMMAND...: fails, and by itself
	in_ns "$1" timeout 3 "${@:2}"
	local rc=$?
	[ $rc != 0 ] && [ $rc != 124 ]
}
ok "TCP to a rejected port is refused at once" quick "$ns_host_a" nc -z -w 2 10.2.0.2 7001
ok "the same over IPv6" quick "$ns_host_a" nc -z -w 2 fd02::2 7001
echo x | host_a timeout 2 nc -u -w 1 10.2.0.2 7001
echo x | host_a timeout 2 nc -u -w 1 fd02::2 7001
ok "TCP to a discarded port hears nothing" not host_a timeout 1 nc -z 10.2.0.2 7003
ok "what no policy knows hears nothing" not ping_ok "$ns_host_a" 203.0.113.1 -c 1 -W 1
host_a ping -q -n -c 3 -i 0.1 -W 1 198.51.100.1 >/dev/null
ok "the rest is protected" ping_ok "$ns_host_a" 10.2.0.2
capture_stop "$host"
capture_stop "$wire"

num "TCP: a reset" "$(frames "$work/host.pcap" 'src host 10.2.0.2 and tcp src port 7001 and tcp[tcpflags] & tcp-rst != 0')" -ge 1
num "TCP over IPv6: a reset" "$(frames "$work/host.pcap" 'ip6 src host fd02::2 and ip6 proto 6 and ip6[53] & 4 != 0')" -ge 1
num "UDP: ICMP administratively prohibited" "$(frames "$work/host.pcap" 'icmp[0] = 3 and icmp[1] = 13')" -ge 1
num "UDP over IPv6: ICMPv6 administratively prohibited" "$(frames "$work/host.pcap" 'icmp6 and ip6[40] = 1 and ip6[41] = 1')" -ge 1
num "rejected are counted" "$(drops a policy_reject)" -ge 4
num "discarded are counted" "$(drops a policy_discard)" -ge 1
num "those without policy are counted" "$(drops a no_policy)" -ge 1
num "bypassed go in the clear" "$(frames "$work/wire.pcap" 'icmp and src host 10.1.0.2 and dst host 198.51.100.1')" -ge 3
is "nothing else does" "$(frames "$work/wire.pcap" "$not_arp and not $esp_udp and not host 198.51.100.1")" 0
for p in rejected discarded clear net; do
	num "policy $p has hits" "$(bw a list policies --json | jq --arg p $p ".[] | select(.name == \$p) | .hits")" -ge 1
done
finish
