#!/usr/bin/env bash
# One bit changed anywhere: dropped, counted, and nothing moved by it.
. "$(dirname "$0")/../lib.sh"
need ping tcpdump jq
topology
conf_defaults
top='gso = no' # one packet a frame
conf_pair
pair_start || finish
capture "$ns_a" wan "$work/wire.pcap" 'src host 192.0.2.1' && wire=$last
ok "ping" ping_ok "$ns_host_a" 10.2.0.2 -c 10
capture_stop "$wire"
accepted=$(status b "$q_in_packets")
tampered() { in_ns "$ns_a" "$python" "$here/wire.py" frames "$work/wire.pcap" --dev wan --count 10 "$@"; }

# sequence numbers ahead of the window, or the replay check would take them before
for at in 8 12 16 40 -1 -16 -17; do
	before=$(drops b auth)
	n=$(tampered --flip $at --seq-add $((100000 + at * 100)))
	wait_for 5 eval '[ "$(drops b auth)" -ge $((before + n)) ]'
	is "a bit at $at: integrity check" "$(($(drops b auth) - before))" "$n"
done
before=$(drops b auth)
n=$(tampered --seq-add 50000)
wait_for 5 eval '[ "$(drops b auth)" -ge $((before + n)) ]'
is "another sequence number: integrity check" "$(($(drops b auth) - before))" "$n"
before=$(drops b unknown_spi)
n=$(tampered --flip 0 --seq-add 50000)
wait_for 5 eval '[ "$(drops b unknown_spi)" -ge $((before + n)) ]'
is "another SPI: unknown" "$(($(drops b unknown_spi) - before))" "$n"

is "none was accepted" "$(status b "$q_in_packets")" "$accepted"
num "the SA counted them" "$(sa_value b in .drops.auth)" -ge 70
ok "the window did not move: ping goes on" ping_ok "$ns_host_a" 10.2.0.2 -c 20
is "without a replay" "$(drops b replay)" 0
finish
