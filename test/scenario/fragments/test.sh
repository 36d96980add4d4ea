#!/usr/bin/env bash
# RFC 4301 7: a fragment without ports matches no policy that names ports, neither to be let out nor to be kept in.
. "$(dirname "$0")/../lib.sh"
need ping nc jq tcpdump
topology
random_file "$work/big" 3000
random_file "$work/small" 300
# datagram PORT FILE: one UDP datagram from host A to host B; succeeds when it arrives whole
datagram() {
	background "$ns_host_b" "$work/got" timeout 3 "$python" -c "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.2.0.2', $1)); s.settimeout(1.5)
print('bound', file=sys.stderr, flush=True)
sys.stdout.buffer.write(s.recv(65535))"
	wait_for 3 grep -q bound "$work/got.err"
	host_a "$python" -c "
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(open('$2', 'rb').read(), ('10.2.0.2', $1))"
	wait "$last"
	cmp -s "$work/got" "$2"
}
conf_defaults
policies_before=$'policy closed {\n\tprotocol = {"udp"}\n\tremote_port = {"7001"}\n\tdirection = out\n\taction = discard\n}'
conf_pair
pair_start && {
	ok "a fragmented datagram arrives" datagram 7002 "$work/big"
	ok "one to the closed port does not" not datagram 7001 "$work/big"
	num "its first fragment is counted" "$(drops a policy_discard)" -ge 1
	pair_stop || fail "ends well"
}

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
	pair_stop || fail "ends well"
}
finish
