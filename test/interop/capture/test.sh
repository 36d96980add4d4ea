#!/usr/bin/env bash
# Speed has not cost a byte: what gateway A read, what was on the wire, decrypted by Python's cryptography package, and what
# gateway B wrote are compared byte for byte, both ways: super-packets of TCP and UDP, odd sizes, fragments, ICMP, jumbo
# frames; with offloads and without.
. "$(dirname "$0")/../../scenario/lib.sh"
need scapy ping tcpdump ethtool jq
"$python" -c 'import cryptography' 2>/dev/null || tap_skip_all "no python3-cryptography"
folder=$src/test/interop/capture
topology
# the capture shows what a device gets: let the kernel cut batches up first, on the wire alone
for ns in "$ns_a" "$ns_b"; do
	in_ns "$ns" ethtool -K wan tx-udp-segmentation off gso off >/dev/null || tap_skip_all "no ethtool -K here"
done
in_ns "$ns_host_b" sysctl -qw net.ipv6.bindv6only=0
background "$ns_host_b" "$work/serve" "$python" "$folder/talk.py" serve
wait_for 5 listens "$ns_host_b" 7100 || fail "the server starts"

# tap NS IF FILE: a capture with room for super-packets, which the library's is too small for
tap() {
	background "$1" "$3.log" tcpdump -Z root -U -n -B 65536 -i "$2" -w "$3"
	wait_for 5 grep -q 'listening on' "$3.log.err"
}

# pings NS DST MTU
pings() {
	local size
	for size in 0 1 7 56 333 $(($3 - 48)) $(($3 - 28)) 5001 20000; do
		in_ns "$1" ping -n -q -c 1 -W 2 -s $size "$2" >/dev/null || { echo "ping of $size bytes"; return 1; }
	done
}

all_kinds() { # MTU
	local to
	for to in 10.2.0.2 fd02::2; do
		host_a timeout 30 "$python" "$folder/talk.py" send $to "$1" || return 1
		pings "$ns_host_a" $to "$1" || return 1
	done
	pings "$ns_host_b" 10.1.0.2 "$1"
}

# round OFFLOAD MTU
round() {
	local what="offloads $1, MTU $2" dir g dev taps=() p
	conf_defaults
	mtu=$2 policy_extra=$'\tmss_clamp = no' top="gso = $1"$'\n'"gro = $1" tun_extra=$'\toffload = '$1
	conf_pair
	for g in a b; do
		for dev in "ns_$g:wan" "ns_$g:lan" "ns_host_$g:eth0"; do
			local ns=${dev%:*}
			ip -n "${!ns}" link set "${dev#*:}" mtu $(($2 + 300))
		done
	done
	for dir in 'a default via 10.1.0.1' 'a default via fd01::1' 'b default via 10.2.0.1' 'b default via fd02::1'; do
		g=ns_host_${dir%% *}
		# shellcheck disable=SC2086
		ip -n "${!g}" route replace ${dir#* } mtu "$2"
	done
	pair_start || return
	for g in a b; do
		dev=ns_$g
		tap "${!dev}" bw0 "$work/tun-$g.pcap"
		taps+=("$last")
		tap "${!dev}" wan "$work/wan-$g.pcap"
		taps+=("$last")
	done
	ok "$what: all kinds of packets" all_kinds "$2"
	for p in "${taps[@]}"; do capture_stop "$p" & done
	wait "${!}"
	for p in "${taps[@]}"; do wait_for 5 ended "$p"; done
	is "$what: the captures are complete" "$(cat "$work"/*.pcap.log.err | grep -c '^0 packets dropped by kernel')" 4
	ok "$what: from A to B every byte is the same three times" eval '"$python" "$folder/compare.py" "$work/tun-a.pcap" \
		"$work/wan-a.pcap" "$work/tun-b.pcap" 0x1001 0 10.2.0.0/16 fd02::/16 >"$work/ab.json"'
	note "$(cat "$work/ab.json")"
	ok "$what: from B to A, too" eval '"$python" "$folder/compare.py" "$work/tun-b.pcap" "$work/wan-b.pcap" \
		"$work/tun-a.pcap" 0x1002 32 10.1.0.0/16 fd01::/16 >"$work/ba.json"'
	note "$(cat "$work/ba.json")"
	ok "$what: that was TCP, UDP, ICMP and fragments of both versions, in many sizes" \
		jq -e '.kinds == 10 and .sizes > 100 and .fragments > 30 and .icmp >= 14' "$work/ab.json"
	if [ "$1" = yes ]; then
		ok "$what: super-packets went in and came out" jq -e '.read.tcp4 > 10 and .read.tcp6 > 10 and .read.most > 30000
			and .written.tcp4 > 10 and .written.tcp6 > 10' "$work/ab.json"
	else
		ok "$what: no super-packets" jq -e '[.read, .written] | all(.tcp4 // .tcp6 // .udp4 // .udp6 | not)' "$work/ab.json"
	fi
	for g in a b; do is "$what: gateway $g dropped nothing of it" \
		"$(status $g '[.drops[] | select(.reason != "no_policy" and .reason != "keepalive") | .packets] | add // 0')" 0; done
	pair_stop
	rm -f "$work"/*.pcap
}
round yes 1400
round no 1400
round yes 9000
finish
