#!/usr/bin/env bash
# All there is goes into the tunnel. A road warrior, whose every packet but the outer ones does; then a router whose hosts' do. Networks
# beside them stay reachable: by bypass in the clear, by the main table's routes for what comes out of the tunnel. Killed, nothing leaves.
#
#   printer 10.9.0.2 - [a] wan === wan [b] - lan host_b 10.2.0.2
#   10.1.0.2 host_a - lan /            \ inet - net 203.0.113.7
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump jq
topology
space printer net
cable "$ns_a" local "$ns_printer" eth0
cable "$ns_b" inet "$ns_net" eth0
address "$ns_a" local 10.9.0.1/24 fd09::1/64
address "$ns_printer" eth0 10.9.0.2/24 fd09::2/64
address "$ns_b" inet 198.51.100.1/24 2001:db8:5::1/64
address "$ns_net" eth0 198.51.100.2/24 2001:db8:5::2/64
ip -n "$ns_net" addr add 203.0.113.7/32 dev lo
ip -n "$ns_net" addr add 2001:db8:7::7/128 dev lo nodad
for v in "198.51.100.1 198.51.100.2 192.0.2.2" "2001:db8:5::1 2001:db8:5::2 2001:db8::2"; do
	set -- $v
	ip -n "$ns_net" route add default via "$1"
	ip -n "$ns_b" route add default via "$2"
	ip -n "$ns_a" route add default via "$3" # the provider's, in whose network all would be in the clear
done
in_ns "$ns_a" sh -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 2 >$f; done'
random_file "$work/file" 1000001

secret() {
	printf 'secret both {\n\tid = {a.example, b.example}\n\tsecret = "scenario secret"\n}\n'
}
ends() { printf '\tlocal {\n\t\tauth = psk\n\t\tid = %s.example\n\t}\n\tremote {\n\t\tauth = psk\n\t\tid = %s.example\n\t}\n' "$1" "$2"; }
ours='"10.255.0.1/32", "fdff::1/128"' all='"0.0.0.0/0", "::/0"'
conf_client() { # NETWORKS, of ours; KEYS of the tun section
	{
		printf 'tun bw0 {\n\taddress = {%s}\n\tmtu = 1400\n%s\n}\n' "$ours" "$2"
		printf 'policy beside {\n\tremote = {"10.9.0.0/24", "fd09::/64"}\n\taction = bypass\n}\n'
		printf 'connection all {\n\tversion = 2\n\tlocal_addrs = "192.0.2.1"\n\tremote_addrs = "192.0.2.2"\n'
		ends a b
		printf '\tchild all {\n\t\tlocal_ts = {%s}\n\t\tremote_ts = {%s}\n\t}\n}\n' "$1" "$all"
		secret
	} >"$work/a.conf"
	{
		printf 'tun bw0 {\n\taddress = {"10.255.0.2/32"}\n\tmtu = 1400\n}\n'
		printf 'connection clients {\n\tversion = 2\n\tlocal_addrs = "192.0.2.2"\n\tremote_addrs = "192.0.2.1"\n'
		ends b a
		printf '\tchild all {\n\t\tlocal_ts = {%s}\n\t\tremote_ts = {%s}\n\t}\n}\n' "$all" "$1"
		secret
	} >"$work/b.conf"
	chmod 600 "$work"/*.conf
}
all_rules() { ip -n "$ns_a" rule; ip -n "$ns_a" -6 rule; }
outer_only() { # what is on the wire but ESP, IKE and address resolution
	frames "$1" "$not_arp and not $esp_udp and not $esp_raw and not (udp port 500 or udp port 4500)"
}

# ---- a road warrior --------------------------------------------------------------------------------

conf_client "$ours" '	persist = yes'
pair_start || finish
ok "road warrior: before it is up, the net is reached in the clear" eval '! ping_ok "$ns_a" 203.0.113.7 -I 10.255.0.1'
ok "road warrior: up" timeout 20 "$bin" up all --run-dir "$work/a.run"
ok "a rule for our mark" eval 'all_rules | grep -c "not from all fwmark" | grep -qx 2'
capture "$ns_b" wan "$work/wire.pcap" && wire=$last
for to in 203.0.113.7 2001:db8:7::7 10.2.0.2 fd02::2; do
	ok "road warrior: ping $to" ping_ok "$ns_a" $to
done
ok "road warrior: ping larger than the tunnel" ping_ok "$ns_a" 203.0.113.7 -s 3000 -M dont
ok "road warrior: a file" send_file "$ns_a" "$ns_net" 203.0.113.7 7300 "$work/file"
ok "road warrior: a file, IPv6" send_file "$ns_a" "$ns_net" 2001:db8:7::7 7301 "$work/file"
ok "road warrior: from the net" ping_ok "$ns_net" 10.255.0.1
ok "road warrior: the printer beside it, by bypass" ping_ok "$ns_a" 10.9.0.2
ok "road warrior: and by IPv6" ping_ok "$ns_a" fd09::2
ok "road warrior: the peer itself, through the tunnel" ping_ok "$ns_a" 192.0.2.2
ok "road warrior: new keys" timeout 20 "$bin" rekey all --run-dir "$work/a.run"
ok "road warrior: ping afterwards" ping_ok "$ns_a" 203.0.113.7
capture_stop "$wire"
is "road warrior: nothing but outer packets on the wire" "$(outer_only "$work/wire.pcap")" 0

capture "$ns_b" wan "$work/killed.pcap" && wire=$last
kill -9 "${gw_pid[a]}"
wait "${gw_pid[a]}" 2>/dev/null
unset "gw_pid[a]"
ok "persist = yes, killed: the net is not reached" not ping_ok "$ns_a" 203.0.113.7 -c 1 -W 0.5
ok "persist = yes, killed: nor by IPv6" not ping_ok "$ns_a" 2001:db8:7::7 -c 1 -W 0.5
capture_stop "$wire"
is "persist = yes, killed: nothing leaves in the clear" "$(frames "$work/killed.pcap" 'icmp or (icmp6 and ip6[40] = 128)')" 0
gw_start a && ok "started again: up" timeout 20 "$bin" up all --run-dir "$work/a.run"
ok "started again: ping" ping_ok "$ns_a" 203.0.113.7
ok "down" timeout 20 "$bin" down all --run-dir "$work/a.run"
is "down: no route, no rule is left" "$(ip -n "$ns_a" route show table 25186 2>/dev/null; all_rules | grep -c 2518)" 0
pair_stop
ip -n "$ns_a" link del bw0

# ---- a router, whose hosts' packets all go in ------------------------------------------------------

# what comes out of the tunnel is for lan, and for the network beside it, where no child ends
conf_client '"10.1.0.0/16", "fd01::/16", "10.255.0.1/32"' ''
pair_start || finish
ok "router: up" timeout 20 "$bin" up all --run-dir "$work/a.run"
is "router: rules, two for each version" "$(all_rules | grep -c '^2518[56]:')" 4
capture "$ns_b" wan "$work/router.pcap" && wire=$last
for to in 203.0.113.7 2001:db8:7::7 10.2.0.2 fd02::2; do
	ok "router: ping $to" ping_ok "$ns_host_a" $to
done
ok "router: a file" send_file "$ns_host_a" "$ns_net" 203.0.113.7 7300 "$work/file"
ok "router: from outside to a host" ping_ok "$ns_net" 10.1.0.2
ok "router: from outside, IPv6" ping_ok "$ns_host_b" fd01::2
capture_stop "$wire"
is "router: nothing but outer packets on the wire" "$(outer_only "$work/router.pcap")" 0
pair_stop
is "ended: no rule is left" "$(all_rules | grep -c 2518)" 0

# ---- the same, keyed by hand ------------------------------------------------------------------------

# routes of the file, and a network beside the hosts' own that may be reached through the tunnel
conf_defaults
nets_a='"10.1.0.0/16", "fd01::/16", "10.9.0.0/24", "fd09::/64"' nets_b=$all
conf_pair
sed -i "s|routes = {.*|routes = {$nets_a}|" "$work/b.conf"
ip -n "$ns_printer" route add default via 10.9.0.1
ip -n "$ns_printer" route add default via fd09::1
pair_start || finish
capture "$ns_b" wan "$work/hand.pcap" && wire=$last
for to in 203.0.113.7 2001:db8:7::7 10.2.0.2; do
	ok "by hand: ping $to" ping_ok "$ns_host_a" $to
	ok "by hand: ping $to from the network beside" ping_ok "$ns_printer" $to
done
ok "by hand: out of the tunnel to the network beside" ping_ok "$ns_net" 10.9.0.2
ok "by hand: and by IPv6" ping_ok "$ns_net" fd09::2
ok "by hand: the router reaches its own hosts" ping_ok "$ns_a" 10.1.0.2
ok "by hand: hosts reach each other, not through the tunnel" ping_ok "$ns_host_a" 10.9.0.2
capture_stop "$wire"
is "by hand: nothing but outer packets on the wire" "$(outer_only "$work/hand.pcap")" 0
finish
