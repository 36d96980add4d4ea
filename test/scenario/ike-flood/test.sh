#!/usr/bin/env bash
# Thousands of IKE_SA_INIT a second from addresses that do not exist, onto a gateway whose tunnel carries a stream:
# the stream goes on, memory and half-open IKE SAs stay bounded, a peer that is honest comes in meanwhile by way of
# a cookie, and nothing of it stays.
#   the tunnel is between A and B; c is the honest peer, f the source of the flood, all on one wire
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq iperf3
space a b c f
for n in a b c; do cable "bw-$$-$n" wan "$ns_f" "p$n"; done
ip -n "$ns_f" link add name br type bridge forward_delay 0 && ip -n "$ns_f" link set dev br up || tap_skip_all "no bridges here"
for n in a b c; do ip -n "$ns_f" link set dev "p$n" master br; done
address "$ns_a" wan 192.0.2.1/24
address "$ns_b" wan 192.0.2.2/24
address "$ns_c" wan 192.0.2.3/24
address "$ns_f" br 192.0.2.9/24
ip -n "$ns_a" route add default via 192.0.2.9
hosts
address "$ns_c" lo 10.3.0.1/16
in_ns "$ns_a" sh -c 'echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/wan/rp_filter'
# what A answers to nobody ends here
ip -n "$ns_f" route add blackhole default

# A knows B and C; C is made of B's side
ike_nets_a='"10.1.0.0/16"' ike_nets_b='"10.2.0.0/16"'
ike_top=$'ike_retransmit_timeout = 1s\nike_retransmit_tries = 5\nhalf_open_timeout = 5s'
ike_more_a='connection site-c {
	version = 2
	local_addrs = 192.0.2.1
	remote_addrs = 192.0.2.3
	local { auth = psk id = a.example }
	remote { auth = psk id = c.example }
	child net { local_ts = 10.1.0.0/16 remote_ts = 10.3.0.0/16 }
}
connection anybody {
	version = 2
	local_addrs = 192.0.2.1
	local { auth = psk id = a.example }
	remote { auth = psk id = "*.example" }
	child net { local_ts = 10.1.0.0/16 remote_ts = 10.4.0.0/16 }
}
secret c {
	id = {a.example, c.example}
	secret = "another secret"
}'
ike_pair
cat >"$work/c.conf" <<X
$ike_top
tun bw0 { address = {"10.255.0.3/32"} mtu = 1400 }
connection site-a {
	version = 2
	local_addrs = 192.0.2.3
	remote_addrs = 192.0.2.1
	local { auth = psk id = c.example }
	remote { auth = psk id = a.example }
	child net { local_ts = 10.3.0.0/16 remote_ts = 10.1.0.0/16 }
}
secret c {
	id = {a.example, c.example}
	secret = "another secret"
}
X
chmod 600 "$work/c.conf"
gw_start a && gw_start b && gw_start c || finish

rss() { awk '/^VmRSS/ { print $2 }' "/proc/${gw_pid[a]}/status"; }
ike_of() { status a ".ike.$1"; }
ok "up" ike_up
ok "ping" ping_ok "$ns_host_a" 10.2.0.2
# throughput: of three seconds of one TCP stream, in bits per second
throughput() {
	serve "$ns_host_b" 5201 || return 1
	in_ns "$ns_host_a" timeout 20 iperf3 -J -c 10.2.0.2 -t 3 | jq -r '.end.sum_received.bits_per_second | floor'
}
before=$(throughput)
rss_before=$(rss) memory_before=$(ike_of memory)

background "$ns_f" "$work/flood" "$python" "$here/ike-flood/flood.py" 192.0.2.1 5000
flood=$last
wait_for 10 grep -q ready "$work/flood"
sleep 0.5
most=0
look() {
	local n
	while sleep 0.3; do
		n=$(ike_of half_open)
		[ "$n" -gt "$most" ] && most=$n
		echo "$most $(rss)" >"$work/most"
	done
}
look &
looker=$!
during=$(throughput)
# who makes the flood needs a processor, too, and others may be at work here
[ $((during * 2)) -ge "$before" ] || during=$(throughput)
ok "the honest peer comes in while it goes on" timeout 20 "$bin" up site-a --run-dir "$work/c.run"
ok "and has traffic" wait_for 3 ping_ok "$ns_c" 10.1.0.2 -I 10.3.0.1
ok "so has the old one" wait_for 3 ping_ok "$ns_host_b" 10.1.0.2
ok "new keys meanwhile" order a rekey site-b
kill "$looker"
wait "$looker" 2>/dev/null
stop "$flood"
read -r most rss_most <"$work/most"
note "$(tail -n 1 "$work/flood") requests; $before bit/s before, $during during; most half-open $most; RSS $rss_before, then $rss_most KiB"
note "$(bw a status --json | jq -c .ike)"
num "requests were sent" "$(tail -n 1 "$work/flood")" -gt 5000
num "throughput goes on, at half of what it was at least" $((during * 2)) -ge "$before"
num "they were asked for cookies" "$(ike_of cookies_sent)" -gt 1000
num "half-open IKE SAs are few" "$most" -le 30
num "memory is bounded: less than 16 MiB more" $((rss_most - rss_before)) -lt 16384
num "the log has not grown by each" "$(wc -l <"$work/a.log.err")" -lt 300
wait_for 15 eval '[ "$(ike_of half_open)" = 0 ]'
is "nothing half-open is left" "$(ike_of half_open)" 0
is "the IKE SAs are those of the peers" "$(sas a '.proto == "ike" and .state == "established"')" 2
num "nor memory of the engine" "$(ike_of memory)" -lt $((memory_before + 200000))
ok "ping still" ping_ok "$ns_host_a" 10.2.0.2
finish
