#!/usr/bin/env bash
# Two senders offer far more UDP than the tunnel carries. Keying goes on beside it: both SAs are replaced, liveness probes
# are answered, nobody takes the peer for dead; and when it is over the tunnel is as good as before.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq nc
topology
conf_defaults
# in UDP: messages and ESP share the port
ike_conn=$'encap = yes\n\tdpd_delay = 1s'
ike_top=$'ike_retransmit_timeout = 500ms\nike_retransmit_tries = 5\nworkers = 2'
ike_pair
gw_start b && gw_start a || finish
ok "up" ike_up
ok "ping" ping_ok "$ns_host_a" 10.2.0.2
carried=$(status a "$q_out_packets")
seconds=6 senders=()
for port in 7001 7002; do
	background "$ns_host_a" "$work/flood.$port" "$python" "$here/overload/flood.py" 10.2.0.2 $port $seconds
	senders+=("$last")
done
sleep 1
ok "a child is replaced meanwhile, asked by the side that sends" order a rekey site-b/net
ok "and by the side that receives" order b rekey site-a/net
ok "so is the IKE SA, from the side that sends" order a rekey site-b
ok "and from the side that receives" order b rekey site-a
ok "they were still sending" kill -0 "${senders[@]}"
for pid in "${senders[@]}"; do wait "$pid"; done
num "that was an overload: packets were lost on the way" \
	"$(($(cat "$work"/flood.7001) / 1300 + $(cat "$work"/flood.7002) / 1300))" -gt "$(status b "$q_in_packets")"
num "and many were carried" "$(($(status a "$q_out_packets") - carried))" -gt 10000
ok "nobody took the other for dead" eval '[ "$(conn a .last_failure)$(conn b .last_failure)" = nullnull ]'
is "one IKE SA on each side" "$(sas a "$q_ike") $(sas b "$q_ike")" "1 1"
is "no message was dropped" "$(drops a ike_full) $(drops b ike_full)" "0 0"
ok "ping after that" ping_ok "$ns_host_a" 10.2.0.2
random_file "$work/file" 20000000
ok "a file through the tunnel" send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 7003 "$work/file"
finish
