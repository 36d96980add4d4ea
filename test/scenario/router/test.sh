#!/usr/bin/env bash
# A router whose routes lead into the TUN device: bypass goes on in the clear by the interface that the main table says, one of
# several, and does not come back; discard is silent; reject answers. And what bumpwire(8) says of cleartext that claims to come from a
# network which is protected: the check of the way back refuses it.
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump jq
topology
space dmz net
cable "$ns_a" inner "$ns_dmz" eth0
cable "$ns_a" isp "$ns_net" eth0
address "$ns_a" inner 10.9.0.1/24 fd09::1/64
address "$ns_dmz" eth0 10.9.0.2/24 fd09::2/64
address "$ns_a" isp 198.51.100.1/24 2001:db8:5::1/64
address "$ns_net" eth0 198.51.100.2/24 2001:db8:5::2/64
ip -n "$ns_dmz" route add default via 10.9.0.1
ip -n "$ns_dmz" route add default via fd09::1
ip -n "$ns_net" route add default via 198.51.100.1
ip -n "$ns_net" route add default via 2001:db8:5::1
ip -n "$ns_net" addr add 203.0.113.7/32 dev lo
ip -n "$ns_net" addr add 2001:db8:7::7/128 dev lo nodad
ip -n "$ns_a" route add default via 198.51.100.2
ip -n "$ns_a" route add default via 2001:db8:5::2
random_file "$work/file" 200001

conf_defaults
policies_before='policy no-ssh {
	remote_port = {"22"}
	protocol = {"tcp", "udp"}
	direction = out
	action = reject
}
policy silent {
	remote = {"203.0.113.66", "2001:db8:7::66"}
	direction = out
	action = discard
}
policy clear {
	remote = {"10.9.0.0/24", "fd09::/64", "203.0.113.0/24", "2001:db8:7::/64", "198.51.100.0/24"}
	action = bypass
}'
conf_pair
sed -i 's|routes = {|routes = {"10.9.0.0/24", "fd09::/64", "203.0.113.0/24", "2001:db8:7::/64", |' "$work/a.conf"
# hint_of: what `check` says of gateway A here; silent WHAT and hinted WHAT PATTERN
hint_of() { gw_a "$bin" check -c "$work/a.conf" 2>&1; }
silent() { is "$1: no hint" "$(hint_of)" ""; }
hinted() { is "$1: a hint" "$(hint_of | grep -cE "$2.*ROUTES AND PEERS")" 1 || note "$(hint_of)"; }
forwards() { in_ns "$ns_a" sh -c "echo $1 >/proc/sys/net/ipv4/ip_forward; echo $2 >/proc/sys/net/ipv6/conf/all/forwarding"; }
rp_filter() { # VALUE INTERFACE...
	local dev value=$1
	shift
	for dev in "$@"; do in_ns "$ns_a" sh -c "echo $value >/proc/sys/net/ipv4/conf/$dev/rp_filter"; done
}
rp_filter 0 all wan isp lan inner
hinted "forwards, no check of the way back" 'hint: .*forwards IPv4 and IPv6, and policy net protects 10.1.0.0/16 .*rp_filter = 1'
ok "check succeeds all the same" gw_a "$bin" check -c "$work/a.conf"
rp_filter 1 wan isp inner
hinted "rp_filter = 1 but on the interface to the network itself" 'forwards IPv6, and policy net protects fd01::/16 .*a rule of nft'
rp_filter 0 isp
hinted "rp_filter = 0 on one" 'forwards IPv4 and IPv6'
rp_filter 1 isp
rp_filter 2 all
hinted "loose for all of them" 'forwards IPv4 and IPv6'
rp_filter 1 all
rp_filter 0 wan isp inner
forwards 1 0
silent "rp_filter = 1 for all, IPv6 not forwarded"
rp_filter 0 all
forwards 0 0
silent "nothing forwarded"
forwards 1 1
sed 's|local = {.*}|local = {"192.0.2.1", "10.255.0.1", "2001:db8::1"}|' "$work/a.conf" >"$work/own.conf" && chmod 600 "$work/own.conf"
is "forwards, but our own addresses are what is protected: no hint" "$(gw_a "$bin" check -c "$work/own.conf" 2>&1)" ""
sed 's/192\.0\.2\.1", "10/192.0.2.77", "10/' "$work/own.conf" >"$work/single.conf" && chmod 600 "$work/single.conf"
ok "one address that is another's: a hint" eval 'gw_a "$bin" check -c "$work/single.conf" 2>&1 | grep -q "protects 192.0.2.77/32"'

pair_start || finish
is "the log says it once at start" "$(grep -c 'forwards IPv4 and IPv6, and policy net protects' "$work/a.log.err")" 1
bw a reload
is "and not again" "$(grep -c 'and policy net protects' "$work/a.log.err")" 1
gw_a ip rule show >"$work/rules"
ok "there is a rule for our mark" grep -qE 'not from all fwmark' "$work/rules"

capture "$ns_dmz" eth0 "$work/dmz.pcap" && p_dmz=$last
capture "$ns_net" eth0 "$work/net.pcap" && p_net=$last
capture "$ns_b" wan "$work/wire.pcap" && p_wire=$last
capture "$ns_host_a" eth0 "$work/host.pcap" && p_host=$last
ok "bypass to the DMZ" ping_ok "$ns_host_a" 10.9.0.2
ok "bypass to the DMZ, IPv6" ping_ok "$ns_host_a" fd09::2
ok "bypass by the default route" ping_ok "$ns_host_a" 203.0.113.7
ok "bypass by the default route, IPv6" ping_ok "$ns_host_a" 2001:db8:7::7
ok "a file in the clear" send_file "$ns_host_a" "$ns_net" 203.0.113.7 7300 "$work/file"
ok "a file in the clear, IPv6" send_file "$ns_host_a" "$ns_net" 2001:db8:7::7 7301 "$work/file"
ok "the rest is protected" ping_ok "$ns_host_a" 10.2.0.2
ok "discard is silent" not ping_ok "$ns_host_a" 203.0.113.66 -c 1 -W 1
ok "discard is silent, IPv6" not ping_ok "$ns_host_a" 2001:db8:7::66 -c 1 -W 1
quick() { # fails, and by itself
	in_ns "$ns_host_a" timeout 3 "$@"
	local rc=$?
	[ $rc != 0 ] && [ $rc != 124 ]
}
ok "reject answers TCP at once" quick nc -z -w 2 203.0.113.7 22
ok "reject answers TCP over IPv6 at once" quick nc -z -w 2 fd02::2 22
echo x | in_ns "$ns_host_a" timeout 2 nc -u -w 1 203.0.113.7 22
echo x | in_ns "$ns_host_a" timeout 2 nc -u -w 1 2001:db8:7::7 22

# the provider's link is the smaller one
ip -n "$ns_a" link set isp mtu 1280
ip -n "$ns_net" link set eth0 mtu 1280
capture "$ns_net" eth0 "$work/small.pcap" && p_small=$last
ok "bypass, larger than the link: in fragments" ping_ok "$ns_host_a" 203.0.113.7 -s 1340 -M dont
said() { in_ns "$ns_host_a" ping -n -c 2 -i 0.2 -W 1 "$@" 2>&1; }
ok "bypass, larger than the link, with DF: the sender is told" eval 'said -s 1340 -M do 203.0.113.7 | grep -q "mtu.*1280"'
ok "bypass, larger than the link, IPv6: the sender is told" eval 'said -6 -s 1340 -M do 2001:db8:7::7 | grep -qi "too big.*1280"'
ok "a file over it" send_file "$ns_host_a" "$ns_net" 203.0.113.7 7302 "$work/file"
ok "a file over it, IPv6" send_file "$ns_host_a" "$ns_net" 2001:db8:7::7 7303 "$work/file"
capture_stop "$p_small"
is "bypass, larger than the link: two fragments each" \
	"$(frames "$work/small.pcap" 'src 10.1.0.2 and ip proto 1 and ip[6:2] & 0x3fff != 0')" 6
num "counted as fragmented" "$(status a .work.fragmented)" -ge 3
is "counted as failed" "$(drops a bypass_failed)" 0
ip -n "$ns_a" link set isp mtu 1500
ip -n "$ns_net" link set eth0 mtu 1500

capture_stop "$p_dmz"
capture_stop "$p_net"
capture_stop "$p_wire"
capture_stop "$p_host"
is "each ping left once: nothing went in a circle" "$(frames "$work/dmz.pcap" 'icmp[0] = 8')" 3
is "IPv6 as well" "$(frames "$work/dmz.pcap" 'icmp6 and ip6[40] = 128')" 3
is "nothing of it on the peer's link" "$(frames "$work/wire.pcap" "$not_arp and not $esp_udp")" 0
is "nothing discarded or rejected left in the clear" \
	"$(frames "$work/net.pcap" 'host 203.0.113.66 or host 2001:db8:7::66 or port 22')" 0
is "no word about what was discarded" "$(frames "$work/host.pcap" 'icmp[0] = 3 and icmp[1] != 13 and icmp[1] != 4')" 0
num "reject answers UDP with ICMP" "$(frames "$work/host.pcap" 'icmp[0] = 3 and icmp[1] = 13')" -ge 1
num "reject answers UDP over IPv6, too" "$(frames "$work/host.pcap" 'icmp6 and ip6[40] = 1 and ip6[41] = 1 and ip6[54] = 17')" -ge 1
num "bypassed packets are counted" "$(status a .traffic.bypass.packets)" -ge 100
num "discarded ones, too" "$(drops a policy_discard)" -ge 2
num "and rejected ones" "$(drops a policy_reject)" -ge 3

# in the clear, from an address that is behind the peer: forwarded by the system, unless its check of the way back says no
ip -n "$ns_b" addr add 10.2.0.66/32 dev lo
ip -n "$ns_b" addr add fd02::66/128 dev lo nodad
ip -n "$ns_b" route add 10.1.0.0/16 via 192.0.2.1 src 10.2.0.66 table 77
ip -n "$ns_b" -6 route add fd01::/16 via 2001:db8::1 src fd02::66 table 77
ip -n "$ns_b" rule add from 10.2.0.66 table 77 priority 10
ip -n "$ns_b" -6 rule add from fd02::66 table 77 priority 10
spoof() { # counts what host A gets of it
	capture "$ns_host_a" eth0 "$work/spoof.pcap" && p_spoof=$last
	in_ns "$ns_b" ping -n -c 2 -i 0.2 -W 0.3 -I 10.2.0.66 10.1.0.2 >/dev/null 2>&1
	in_ns "$ns_b" ping -6 -n -c 2 -i 0.2 -W 0.3 -I fd02::66 fd01::2 >/dev/null 2>&1
	capture_stop "$p_spoof"
	spoofed=$(frames "$work/spoof.pcap" 'src 10.2.0.66') spoofed6=$(frames "$work/spoof.pcap" 'src fd02::66')
}
in_ns "$ns_a" sh -c 'echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/wan/rp_filter'
spoof
is "without a check: the system forwards it" "$spoofed,$spoofed6" 2,2
in_ns "$ns_a" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/wan/rp_filter'
spoof
is "rp_filter = 1: not IPv4" "$spoofed" 0
ok "rp_filter = 1: the tunnel works" ping_ok "$ns_host_a" 10.2.0.2
if command -v nft >/dev/null && sed -n '/^table inet clear/,/^}/p' "$src/man/bumpwire.8" | sed 's/NAME/wan/' | in_ns "$ns_a" nft -f -; then
	in_ns "$ns_a" sh -c 'echo 0 >/proc/sys/net/ipv4/conf/wan/rp_filter'
	spoof
	is "the rule of bumpwire(8): neither" "$spoofed,$spoofed6" 0,0
	num "and counted there" "$(gw_a nft list ruleset | sed -n 's/.*counter packets \([0-9]*\).*/\1/p')" -ge 4
	ok "with it the tunnel works" ping_ok "$ns_host_a" 10.2.0.2
	ok "with it the tunnel works, IPv6" ping_ok "$ns_host_a" fd02::2
	ok "with it bypass works" ping_ok "$ns_host_a" 203.0.113.7
else
	skip "the rule of bumpwire(8)" "no nft here"
fi
finish
