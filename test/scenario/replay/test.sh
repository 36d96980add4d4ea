#!/usr/bin/env bash
# Captured packets sent again are dropped and counted, for 32-bit and extended sequence numbers; the window
# can be switched off.
. "$(dirname "$0")/../lib.sh"
need ping tcpdump jq
topology
again() { in_ns "$ns_a" "$python" "$here/wire.py" frames "$work/$1.pcap" --dev wan; }
for kind in plain esn raw small off; do
	conf_defaults
	top='gso = no' # one packet a frame, or there are fewer frames than packets
	case $kind in
	esn) sa_extra=$'\tesn = yes' ;;
	raw) encap=none ;;
	small) sa_extra=$'\treplay_window = 32' ;;
	off) sa_extra=$'\treplay_window = 0' ;;
	esac
	conf_pair
	pair_start || continue
	capture "$ns_a" wan "$work/$kind.pcap" 'src host 192.0.2.1' && wire=$last
	ok "$kind: ping" ping_ok "$ns_host_a" 10.2.0.2 -c 50 -i 0.01
	capture_stop "$wire"
	in_before=$(status b "$q_in_packets")
	n=$(again $kind)
	num "$kind: the capture has the pings" "$n" -ge 50
	if [ $kind = off ]; then
		wait_for 5 eval '[ "$(status b "$q_in_packets")" -ge $((in_before + n)) ]'
		num "off: all accepted again" "$(status b "$q_in_packets")" -ge $((in_before + n))
		is "off: none counted as replay" "$(drops b replay)" 0
	else
		wait_for 5 eval '[ "$(drops b replay)" -ge "$n" ]'
		is "$kind: all dropped as replays" "$(drops b replay)" "$n"
		is "$kind: none reached the host" "$(status b "$q_in_packets")" "$in_before"
		is "$kind: the SA counted them too" "$(sa_value b in .drops.replay)" "$n"
	fi
	ok "$kind: ping goes on" ping_ok "$ns_host_a" 10.2.0.2
	pair_stop || fail "$kind: ends well"
done
finish
