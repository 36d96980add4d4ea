#!/usr/bin/env bash
# Whatever comes from the wire: counted, never a crash, and the tunnel works on.
#   1. every length from nothing to a small packet, with a known SPI and an unknown one, at UDP 4500 and as raw ESP
#   2. random bytes
#   3. the packets that crashed other implementations ($BUMPWIRE_VECTORS/malformed), at UDP 4500, as raw ESP, and, where
#      there is scapy, inside of authentic ESP: what only the peer itself could send
. "$(dirname "$0")/../lib.sh"
need ping jq
topology
# one pair in UDP, one raw: both kinds of sockets are open
conf_defaults
conf_pair
for g in a b; do
	[ $g = a ] && out=0x2001 in=0x2002 local=10.11 remote=10.12 || out=0x2002 in=0x2001 local=10.12 remote=10.11
	encap=none
	{
		conf_sa rawout out $out "$([ $g = a ] && echo $wan_a || echo $wan_b)" "$([ $g = a ] && echo $wan_b || echo $wan_a)" $((64 + out - 0x2001))
		conf_sa rawin in $in "$([ $g = a ] && echo $wan_b || echo $wan_a)" "$([ $g = a ] && echo $wan_a || echo $wan_b)" $((64 + in - 0x2001))
		printf 'policy raw {\n\tlocal = {"%s.0.0/16"}\n\tremote = {"%s.0.0/16"}\n\taction = protect\n\tout = {"rawout"}\n\tin = {"rawin"}\n}\n' $local $remote
	} >>"$work/$g.conf"
done
pair_start || finish
throw() { in_ns "$ns_a" "$python" "$here/wire.py" "$@" >/dev/null; }
# grew WHAT: the sum of all drops is larger than when it was last looked at
seen=$(all_drops b)
grew() {
	wait_for 3 eval '[ "$(all_drops b)" -gt "$seen" ]'
	num "$1: counted" "$(all_drops b)" -gt "$seen"
	seen=$(all_drops b)
	ok "$1: gateway B lives" gw_alive b
}

lengths=()
for ((n = 0; n <= 60; n++)); do
	body=$(bytes $n 1)
	lengths+=("${body:--}")
	known=00001001000000ff$body
	lengths+=("${known:0:$((n * 2))}")
done
throw udp 192.0.2.2 4500 "${lengths[@]}" ff fe 00000000 0000000001
grew "short datagrams at UDP 4500"
throw raw 192.0.2.2 "${lengths[@]/#00001001/00002001}" 00002001
grew "short packets of protocol 50"
mapfile -t noise < <("$python" -c '
import random
random.seed(4303)
for i in range(400):
    print(random.randbytes(random.choice([1, 8, 9, 31, 64, 300, 1400, 1472])).hex())')
throw udp 192.0.2.2 4500 "${noise[@]}"
grew "random bytes at UDP 4500"
throw raw 192.0.2.2 "${noise[@]}"
grew "random bytes of protocol 50"
throw udp 192.0.2.2 4500 "$(printf '00001001%08x' 77)$(bytes 30000 3)"
grew "a datagram of 30,000 bytes"

if [ -d "$vectors/malformed" ] && "$python" -c 'import scapy.all' 2>/dev/null; then
	"$python" "$here/malformed/vectors.py" bytes "$vectors/malformed" >"$work/vectors"
	mapfile -t bad <"$work/vectors"
	num "vectors were found" "${#bad[@]}" -ge 30
	throw udp 192.0.2.2 4500 "${bad[@]}"
	grew "vectors at UDP 4500"
	throw raw 192.0.2.2 "${bad[@]}"
	grew "vectors of protocol 50"
	"$python" "$here/malformed/vectors.py" esp "$vectors/malformed" >"$work/inner"
	mapfile -t bad <"$work/inner"
	throw udp 192.0.2.2 4500 "${bad[@]}"
	grew "vectors inside of authentic ESP"
	is "all of those were authentic" "$(sa_value b in .drops.auth | awk '{ print ($1 < 700) }')" 1
else
	skip "packets that crashed others" "no $vectors/malformed or no python3-scapy"
fi
# scapy's own sequence numbers went ahead; start from where both agree
ok "gateway A lives" gw_alive a
gw_stop a
gw_stop b
pair_start && ok "and a fresh pair talks" ping_ok "$ns_host_a" 10.2.0.2
finish
