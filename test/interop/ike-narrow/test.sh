#!/usr/bin/env bash
# Selectors with strongSwan: narrowed by either side in both roles, three children of one IKE SA told apart by
# protocol, ports, and what happens when nothing is left in common.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping iperf3 tcpdump nc
swan_need
topology

# ts [CHILD]: what bumpwire has agreed on
ts() { bw a list sas --json | jq -r --arg n "${1:-net}" '[.[] | select(.proto == "ike") | .children[] | select(.name == $n and .state == "installed") | (.local_ts | join(" ")) + " === " + (.remote_ts | join(" "))] | join("; ")'; }
pinged() { wait_for 3 ping_ok "$@"; }

# each side begins once; the narrower is strongSwan, then bumpwire
for who in strongSwan bumpwire; do
	if [ $who = strongSwan ]; then
		sw_local_ts=10.2.0.0/24 sw_remote_ts=10.1.0.0/16
		want='10.1.0.0/16 === 10.2.0.0/24'
	else
		ik_local_ts='"10.1.0.0/24", "10.1.7.0/24"' ik_remote_ts='"10.2.0.0/17"' ik_routes='"10.2.0.0/16"'
		want='10.1.0.0/24 10.1.7.0/24 === 10.2.0.0/17'
	fi
	ike_swan_start
	ok "$who narrows, bumpwire begins" ike_up a site-b || swan_show b
	is "$who narrows, bumpwire begins: both have" "$(ts)" "$want"
	ok "$who narrows, bumpwire begins: ping" pinged "$ns_host_a" 10.2.0.2
	ok "$who narrows, bumpwire begins: ping back" ping_ok "$ns_host_b" 10.1.0.2
	before=$(status a "$q_out_packets")
	ok "$who narrows: nothing outside of it passes" not ping_ok "$ns_host_a" 10.2.200.1 -W 0.2
	is "$who narrows: and is not sent" "$(status a "$q_out_packets")" "$before"
	num "$who narrows: but counted" "$(drops a no_policy)" -ge 3
	ok "$who narrows: new keys" timeout 20 "$bin" rekey site-b/net --run-dir "$work/a.run"
	is "$who narrows: for the same" "$(ts)" "$want"
	ok "$who narrows: down" ike_down a site-b
	ok "$who narrows, strongSwan begins" swan_up b net || gw_show a
	ok "$who narrows, strongSwan begins: bumpwire has it" wait_for 5 ike_ready a
	is "$who narrows, strongSwan begins: both have" "$(ts)" "$want"
	ok "$who narrows, strongSwan begins: ping" pinged "$ns_host_b" 10.1.0.2
	ike_swan_end
done

# three children. kernel-libipsec tells them apart by address and protocol, so that is what they differ by there.
ik_child=icmp ik_local_ts='"10.1.0.0/16[icmp]"' ik_remote_ts='"10.2.0.0/16[icmp]"' ik_routes='"10.2.0.0/16"'
ik_children='child tcp {
		local_ts = {"10.1.0.0/16[tcp]"}
		remote_ts = {"10.2.0.0/16[tcp/5201]", "10.2.0.0/16[tcp/5400-5410]"}
	}
	child udp {
		local_ts = {"10.1.0.0/16[udp]"}
		remote_ts = {"10.2.0.0/16[udp/7]"}
	}'
sw_child=icmp sw_local_ts=10.2.0.0/16[icmp] sw_remote_ts=10.1.0.0/16[icmp]
sw_children='tcp {
				local_ts = 10.2.0.0/16[tcp/5201], 10.2.0.0/16[tcp/5400-5410]
				remote_ts = 10.1.0.0/16[tcp]
			}
			udp {
				local_ts = 10.2.0.0/16[udp/7]
				remote_ts = 10.1.0.0/16[udp]
			}'
ike_swan_start
three() {
	is "$1: one IKE SA" "$(swan_ike b)" 1
	is "$1: three children" "$(ike_children a) $(swan_children b)" "3 3"
	is "$1: ICMP" "$(ts icmp)" "10.1.0.0/16[icmp] === 10.2.0.0/16[icmp]"
	is "$1: TCP" "$(ts tcp)" "10.1.0.0/16[tcp] === 10.2.0.0/16[tcp/5201] 10.2.0.0/16[tcp/5400-5410]"
	is "$1: UDP" "$(ts udp)" "10.1.0.0/16[udp] === 10.2.0.0/16[udp/7]"
	ok "$1: ping" pinged "$ns_host_a" 10.2.0.2
	serve "$ns_host_b" 5201
	ok "$1: iperf3" in_ns "$ns_host_a" timeout 20 iperf3 -c 10.2.0.2 -n 1M
	random_file "$work/file" 500000
	ok "$1: a file to a port of the range" send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 5405 "$work/file"
	background "$ns_host_b" "$work/udp.got" timeout 5 nc -u -l -W 1 7
	sleep 0.2
	echo datagram | host_a timeout 5 nc -u -q 0 -w 1 10.2.0.2 7
	ok "$1: a datagram" wait_for 3 grep -q datagram "$work/udp.got"
	ok "$1: each by its own" eval 'bw a list sas --json | jq -e "[.[] | select(.proto == \"ike\") | .children[] | .out.packets] | min > 0"'
	background "$ns_host_b" "$work/no.got" timeout 5 nc -l 5411
	ok "$1: another port is not let through" not in_ns "$ns_host_a" nc -z -w 1 10.2.0.2 5411
}
ok "three children: up" ike_up a site-b
three "bumpwire began"
ok "one goes" ike_down a site-b/tcp
ok "and the two others stay" wait_for 5 eval '[ "$(swan_children b)" = 2 ]'
ok "ping still" ping_ok "$ns_host_a" 10.2.0.2
ok "and comes back" ike_up a site-b/tcp
is "in the same IKE SA" "$(swan_ike b) $(swan_children b)" "1 3"
ok "all go" ike_down a site-b
for c in icmp tcp udp; do ok "strongSwan begins $c" swan_up b $c; done
wait_for 5 ike_ready a 3
three "strongSwan began"
ike_swan_end

# nothing in common
ik_remote_ts='"10.7.0.0/16"'
ike_swan_start
ok "nothing in common: bumpwire's up fails" not ike_up a site-b
ok "nothing in common: it says which, and what to do" grep -q '10.1.0.0/16 === 10.7.0.0/16.*TS_UNACCEPTABLE' "$work/a.up" || note "$(cat "$work/a.up")"
ok "nothing in common: strongSwan's up fails" not swan_up b net
ok "nothing in common: bumpwire's log names both" ike_says a 10.7.0.0/16 || gw_show a
note "$(ike_new a | grep -i 'selector\|TS_UN' | tail -n 2)"
is "nothing in common: no child" "$(ike_children a) $(swan_children b)" "0 0"
ike_swan_end
finish
