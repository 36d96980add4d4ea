#!/usr/bin/env bash
# RFC 4301 7: where policies name ports, later fragments go the way of their first: out, or nowhere. And fragments of what is
# protected already, which the kernel puts together before ESP and AH see them.
. "$(dirname "$0")/../lib.sh"
need ping nc jq tcpdump scapy
topology
dir=$(dirname "$0")
random_file "$work/big" 3000
random_file "$work/small" 300
replayed() { [ "$(drops b replay)" -ge "$1" ]; }
given_up() { [ "$(drops a fragment_timeout)" -ge "$1" ]; }
# datagram PORT FILE [4|6]: one UDP datagram from host A to host B; succeeds when it arrives whole
datagram() {
	local family=AF_INET to=10.2.0.2
	[ "${3:-4}" = 4 ] || family=AF_INET6 to=fd02::2
	rm -f "$work/got.err" # of the one before
	background "$ns_host_b" "$work/got" timeout 3 "$python" -c "
import socket, sys
s = socket.socket(socket.$family, socket.SOCK_DGRAM); s.bind(('$to', $1)); s.settimeout(1.5)
print('bound', file=sys.stderr, flush=True)
sys.stdout.buffer.write(s.recv(65535))"
	wait_for 3 grep -q bound "$work/got.err"
	host_a "$python" -c "
import socket
socket.socket(socket.$family, socket.SOCK_DGRAM).sendto(open('$2', 'rb').read(), ('$to', $1))"
	wait "$last"
	cmp -s "$work/got" "$2"
}
conf_defaults
policies_before=$'policy closed {\n\tprotocol = {"udp"}\n\tremote_port = {"7001"}\n\tdirection = out\n\taction = discard\n}'
conf_pair
pair_start && {
	ok "a fragmented datagram arrives" datagram 7002 "$work/big"
	ok "one to the closed port does not" not datagram 7001 "$work/big"
	num "all of its fragments are counted" "$(drops a policy_discard)" -ge 3
	datagram 7002 "$work/big" 6 # lets host A know the MTU
	ok "over IPv6 a fragmented datagram arrives" datagram 7002 "$work/big" 6
	ok "over IPv6 the one to the closed port does not" not datagram 7001 "$work/big" 6
	num "its fragments are counted, too" "$(drops a policy_discard)" -ge 6
	pair_stop || fail "ends well"
}

# holds FILE N: a capture of so many frames already
holds() { [ "$(frames "$1")" -ge "$2" ]; }

# the other way round: only the port is open
conf_defaults
policy_extra=$'\tprotocol = {"udp"}\n\tremote_port = {"7001"}'
conf_one a >"$work/a.conf"
policy_extra=''
conf_one b >"$work/b.conf"
pair_start && {
	capture "$ns_host_b" eth0 "$work/b.pcap" 'ip[6:2] & 0x1fff != 0' && wire=$last
	ok "a whole datagram to the open port arrives" datagram 7001 "$work/small"
	ok "one to another port does not" not datagram 7002 "$work/small"
	datagram 7002 "$work/big"
	capture_stop "$wire"
	is "no later fragment of a closed port slips through" "$(frames "$work/b.pcap")" 0
	num "they are counted" "$(drops a no_policy)" -ge 3
	for v in 4 6; do
		ok "IPv$v: a fragmented datagram to the open port arrives" datagram 7001 "$work/big" $v
		for order in backwards overlap; do
			rm -f "$work/got.err"
			background "$ns_host_b" "$work/got" timeout 10 tcpdump -Z root --immediate-mode -U -n -i eth0 -w "$work/$order$v.pcap" \
				'udp or (ip6 and ip6[6] = 44)'
			wire=$last
			wait_for 5 grep -q 'listening on' "$work/got.err"
			in_ns "$ns_host_a" "$python" "$dir/frags.py" $v $order
			wait_for 3 holds "$work/$order$v.pcap" "$([ $order = overlap ] && echo 1 || echo 3)"
			sleep 0.3
			stop "$wire" INT
		done
		is "IPv$v: fragments that come backwards arrive" "$(frames "$work/backwards$v.pcap")" 3
		is "IPv$v: one that overlaps the first does not, nor what follows" "$(frames "$work/overlap$v.pcap")" 1
	done
	num "overlaps are counted" "$(drops a fragment_overlap)" -ge 4
	before=$(drops a fragment_timeout)
	in_ns "$ns_host_a" "$python" "$dir/frags.py" 4 orphan
	ok "a fragment whose first does not come is given up" wait_for 6 given_up $((before + 1))
	pair_stop || fail "ends well"
}

# fragments = no: agreed with nobody, so they are not for this policy
conf_defaults
policy_extra=$'\tprotocol = {"udp"}\n\tremote_port = {"7001"}\n\tfragments = no'
conf_one a >"$work/a.conf"
policy_extra=''
conf_one b >"$work/b.conf"
pair_start && {
	ok "fragments = no: a whole datagram arrives" datagram 7001 "$work/small"
	ok "fragments = no: one in fragments does not" not datagram 7001 "$work/big"
	num "its later fragments are counted" "$(drops a no_policy)" -ge 2
	pair_stop || fail "ends well"
}

# Fragments outside. The kernel puts them together before it gives them to raw sockets, and throws away what overlaps.
outer() { # outer WHAT VERSION
	local n
	pair_start || return
	capture "$ns_b" wan "$work/outer.pcap" && wire=$last
	n=$(drops b auth)
	ok "$1 over IPv$2: a large datagram arrives" datagram 7002 "$work/big"
	capture_stop "$wire"
	num "$1 over IPv$2: its protected packet was in fragments" "$(frames "$work/outer.pcap" 'ip[6:2] & 0x3fff != 0 or (ip6 and ip6[6] = 44)')" -ge 2
	is "$1 over IPv$2: B took it for one packet" "$(drops b auth)" "$n"
	# the same protected packet once more, with a new ID: a replay; and once more with an overlap in it
	n=$(drops b replay)
	gw_a "$python" "$dir/overlap_outer.py" "$work/outer.pcap" wan plain
	ok "$1 over IPv$2: sent again it is a replay" wait_for 3 replayed $((n + 1))
	n=$(in_ns "$ns_b" nstat -asz | awk '/ReasmFails/ { n += $2 } END { print n }')
	gw_a "$python" "$dir/overlap_outer.py" "$work/outer.pcap" wan overlap
	sleep 0.3
	is "$1 over IPv$2: with overlapping fragments it is not even that" "$(drops b replay)" 1
	num "$1 over IPv$2: since the kernel has thrown it away" "$(in_ns "$ns_b" nstat -asz | awk '/ReasmFails/ { n += $2 } END { print n }')" -gt "$n"
	pair_stop || fail "ends well"
}
for v in 4 6; do
	conf_defaults
	mtu=4000 encap=none sa_extra=$'\tfragment = after\n\tdf = clear'
	[ $v = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2
	conf_pair
	# large packets come to the tunnel whole
	ip -n "$ns_host_a" link set eth0 mtu 4000
	ip -n "$ns_a" link set lan mtu 4000
	ip -n "$ns_host_b" link set eth0 mtu 4000
	ip -n "$ns_b" link set lan mtu 4000
	outer ESP $v
done
finish
