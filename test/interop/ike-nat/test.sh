#!/usr/bin/env bash
# IKEv2, or with BW_IKE_VERSION=1 IKEv1, through NAT with strongSwan: bumpwire behind it, strongSwan behind it, two of a kind behind the same address,
# both ends behind their own with a forwarded port, encapsulation that is asked for without NAT; keepalives, and a
# mapping that changes in between and is followed.
#   a 10.0.1.2 -.
#   c 10.0.1.3 -+- 10.0.1.1 n1 192.0.2.1 -- w -- 192.0.2.2 n2 10.0.2.1 -- 10.0.2.2 b
#                                           '- 192.0.2.3 p, which no NAT hides
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need nft tcpdump jq ping
swan_need
space a b c n1 n2 p w
bridge() { # bridge NS NAME PORT...
	local ns=$1 name=$2 port
	shift 2
	ip -n "$ns" link add name "$name" type bridge forward_delay 0 && ip -n "$ns" link set dev "$name" up || tap_skip_all "no bridges here"
	for port; do ip -n "$ns" link set "$port" master "$name"; done
}
cable "$ns_a" wan "$ns_n1" pa
cable "$ns_c" wan "$ns_n1" pc
cable "$ns_b" wan "$ns_n2" in
cable "$ns_n1" out "$ns_w" p1
cable "$ns_n2" out "$ns_w" p2
cable "$ns_p" wan "$ns_w" p3
bridge "$ns_n1" in pa pc
bridge "$ns_w" br p1 p2 p3
address "$ns_a" wan 10.0.1.2/24
address "$ns_c" wan 10.0.1.3/24
address "$ns_n1" in 10.0.1.1/24
address "$ns_n1" out 192.0.2.1/24
address "$ns_n2" out 192.0.2.2/24
address "$ns_n2" in 10.0.2.1/24
address "$ns_b" wan 10.0.2.2/24
address "$ns_p" wan 192.0.2.3/24
for n in a c; do ip -n "bw-$$-$n" route add default via 10.0.1.1; done
ip -n "$ns_b" route add default via 10.0.2.1
hosts
address "$ns_c" lo 10.3.0.1/16
address "$ns_p" lo 10.5.0.1/16

masquerade() { # masquerade NS PORTS [FORWARD]: FORWARD is who gets what comes to the IKE ports
	local pre=''
	[ $# -lt 3 ] || pre="chain pre {
		type nat hook prerouting priority dstnat; iifname \"out\" udp dport { 500, 4500 } dnat to $3;
	}"
	in_ns "$1" nft -f - <<-X
		flush ruleset
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat;
				oifname "out" udp sport { 500, 4500 } masquerade to :$2
			}
			$pre
		}
	X
}
# another ADDRESS PORTS: n1 forgets its mappings and has that address now, and the ports start elsewhere
another() {
	ip -n "$ns_n1" addr flush dev out
	masquerade "$ns_n1" "$2"
	address "$ns_n1" out "$1/24"
}
masquerade "$ns_n1" 20000-20100 || tap_skip_all "nftables cannot masquerade here"
masquerade "$ns_n2" 22000-22100 10.0.2.2
mapped='src host 192.0.2.1 and udp portrange 20000-20100 and udp dst port 4500'
keepalives='udp[4:2] = 9 and udp[8] = 255'

# client / server: variables of bumpwire and of strongSwan as one behind n1 (with network 10.N.0.0/16) and as p
version=${BW_IKE_VERSION:-2}
bw_client() { # bw_client N ADDRESS PEER [ID]
	ik_local=$2 ik_remote=$3 ik_id=${4:-a.example} ik_peer_id=p.example ik_name=out
	ik_local_ts="\"10.$1.0.0/16\"" ik_remote_ts='"10.5.0.0/16"' ik_tun_addr=10.255.0.$1/32
}
bw_server() {
	ik_local=192.0.2.3 ik_remote=%any ik_id=p.example ik_peer_id='*.example' ik_name=in ik_routes='"10.1.0.0/16", "10.3.0.0/16"'
	ik_local_ts='"10.5.0.0/16"' ik_remote_ts='"10.1.0.0/16"' ik_children='child two { local_ts = 10.5.0.0/16 remote_ts = 10.3.0.0/16 }' ik_tun_addr=10.255.0.5/32
	ik_psk='' ik_top="secret all {
	secret = \"$swan_psk\"
}"
}
sw_client() { # sw_client N ADDRESS ID
	sw_local=$2 sw_remote=192.0.2.3 sw_id=$3 sw_peer_id=p.example sw_local_ts=10.$1.0.0/16 sw_remote_ts=10.5.0.0/16
}
sw_server() { # sw_server TS...: one connection for all
	sw_local=192.0.2.3 sw_remote=%any sw_id=p.example sw_peer_id='*.example'
	sw_local_ts=10.5.0.0/16 sw_remote_ts=10.1.0.0/16,10.3.0.0/16
}
sw_secret=$'}\nsecrets {\n\tike-all {\n\t\tsecret = "'$swan_psk$'"\n\t}'
nat() { bw "$1" list sas --json | jq -c '[.[] | select(.proto == "ike") | .nat | [.local, .remote]][0]'; }
remotes() { bw p list sas --json | jq -r '[.[] | select(.proto == "ike" and .state == "established") | .remote] | sort | join(" ")'; }
reset() {
	ike_defaults
	swan_defaults
	ik_version=$version sw_version=$version
}
reset
pinged() { wait_for 5 ping_ok "$@"; }

# ---- bumpwire behind the NAT, alone and then with another; strongSwan at p
sw_server
swan_config p "$(swan_conn)$sw_secret"
swan_start p "$ns_p" || finish
reset
bw_client 1 10.0.1.2 192.0.2.3
ik_top='keepalive = 1s' ik_extra='dpd_delay = 3s'
ike_conf a
bw_client 3 10.0.1.3 192.0.2.3 c.example
ike_conf c
gw_start a && gw_start c || finish
capture "$ns_w" p1 "$work/w.pcap"
cap=$last
ok "bumpwire behind NAT: up" ike_up a out || swan_show p
is "bumpwire behind NAT: it knows where it is" "$(nat a | cut -d, -f1)" '[true'
ok "bumpwire behind NAT: ping from behind it" pinged "$ns_host_a" 10.5.0.1
ok "bumpwire behind NAT: ping to behind it" ping_ok "$ns_p" 10.1.0.2 -I 10.5.0.1
ok "two behind one address: the second, up" ike_up c out
ok "two behind one address: the second" pinged "$ns_c" 10.5.0.1 -I 10.3.0.1
ok "two behind one address: the first, still" ping_ok "$ns_host_a" 10.5.0.1
ok "two behind one address: to the second" ping_ok "$ns_p" 10.3.0.1 -I 10.5.0.1
is "two behind one address: strongSwan has both" "$(swan_children p)" 2
wait_for 5 eval '[ "$(frames "$work/w.pcap" "$mapped and $keepalives")" -ge 3 ]'
capture_stop "$cap"
num "mapped ports" "$(frames "$work/w.pcap" "$mapped")" -ge 10
num "keepalives of both" "$(frames "$work/w.pcap" "$mapped and $keepalives")" -ge 2
# strongSwan answers with an ICMP error while it sets up its routes; from the NAT comes what bumpwire sends
is "nothing but IKE, ESP and keepalives" "$(frames "$work/w.pcap" "$not_arp and src host 192.0.2.1 and not udp")" 0 ||
	note "$(tcpdump -nr "$work/w.pcap" "$not_arp and src host 192.0.2.1 and not udp" 2>/dev/null)"
another 192.0.2.11 21000-21100
ok "another mapping: bumpwire goes on" wait_for 10 ping_ok "$ns_host_a" 10.5.0.1
ok "another mapping: and its neighbour" wait_for 10 ping_ok "$ns_c" 10.5.0.1 -I 10.3.0.1
ok "another mapping: strongSwan follows" wait_for 10 ping_ok "$ns_p" 10.1.0.2 -I 10.5.0.1
is "another mapping: with the same SAs" "$(swan_ike p) $(swan_children p)" "2 2"
ok "down" ike_down a out
ok "down: strongSwan has only the other's" wait_for 5 eval '[ "$(swan_children p)" = 1 ]'
gw_stop a
gw_stop c
swan_stop p

# ---- strongSwan behind the NAT, two of them; bumpwire at p
another 192.0.2.1 20000-20100
reset
bw_server
ike_conf p
gw_start p || finish
sw_charon='keep_alive = 1'
sw_client 1 10.0.1.2 a.example
swan_config a "$(swan_conn)"
sw_client 3 10.0.1.3 c.example
swan_config c "$(swan_conn)"
swan_start a "$ns_a" && swan_start c "$ns_c" || finish
ok "strongSwan behind NAT: up" swan_up a net || gw_show p
ok "strongSwan behind NAT: the second" swan_up c net || gw_show p
ok "strongSwan behind NAT: bumpwire has both" wait_for 5 ike_ready p 2
is "strongSwan behind NAT: bumpwire knows" "$(nat p | cut -d, -f2)" 'true]'
ok "strongSwan behind NAT: ping from behind it" pinged "$ns_host_a" 10.5.0.1
ok "strongSwan behind NAT: ping from the second" pinged "$ns_c" 10.5.0.1 -I 10.3.0.1
ok "strongSwan behind NAT: ping to behind it" ping_ok "$ns_p" 10.1.0.2 -I 10.5.0.1
ok "strongSwan behind NAT: ping to the second" ping_ok "$ns_p" 10.3.0.1 -I 10.5.0.1
before=$(remotes)
ok "strongSwan behind NAT: keepalives are taken" wait_for 5 eval '[ "$(drops p keepalive)" -ge 2 ]'
another 192.0.2.12 23000-23100
ok "another mapping: strongSwan goes on" wait_for 10 ping_ok "$ns_host_a" 10.5.0.1
ok "another mapping: and its neighbour" wait_for 10 ping_ok "$ns_c" 10.5.0.1 -I 10.3.0.1
ok "another mapping: bumpwire follows" ping_ok "$ns_p" 10.1.0.2 -I 10.5.0.1
ok "another mapping: each to its own" ping_ok "$ns_p" 10.3.0.1 -I 10.5.0.1
ok "another mapping: bumpwire asks for new keys there" timeout 20 "$bin" rekey in --run-dir "$work/p.run"
ok "another mapping: and pings on" pinged "$ns_host_a" 10.5.0.1
note "$before became $(remotes)"
ok "strongSwan behind NAT: down" swan_down a peer
ok "strongSwan behind NAT: down, the second" swan_down c peer
ok "strongSwan behind NAT: nothing is left" wait_for 10 ike_idle p
gw_stop p
swan_stop a
swan_stop c

# ---- both behind their own NAT, each called through a forwarded port
ip -n "$ns_n1" addr flush dev out
masquerade "$ns_n1" 20000-20100 10.0.1.2
address "$ns_n1" out 192.0.2.1/24
reset
ik_local=10.0.1.2 sw_local=10.0.2.2
ike_swan_start
ok "both behind NAT: bumpwire calls" ike_up a site-b || swan_show b
is "both behind NAT: bumpwire knows" "$(nat a)" '[true,true]'
ok "both behind NAT: ping" pinged "$ns_host_a" 10.2.0.2
ok "both behind NAT: ping back" ping_ok "$ns_host_b" 10.1.0.2
ok "both behind NAT: down" ike_down a site-b
ok "both behind NAT: strongSwan calls" swan_up b net || gw_show a
ok "both behind NAT: bumpwire has the child" wait_for 5 ike_ready a
ok "both behind NAT: ping the other way" pinged "$ns_host_b" 10.1.0.2
ike_swan_end

# ---- no NAT, but encapsulation is asked for: strongSwan is told that bumpwire is behind one
in_ns "$ns_n2" nft flush ruleset
address "$ns_n2" lo 10.2.0.1/16
for encap in no yes; do
	reset
	ik_local=192.0.2.3 ik_local_ts='"10.5.0.0/16"' sw_remote=192.0.2.3 sw_remote_ts=10.5.0.0/16
	ik_extra="encap = $encap"
	ike_conf p
	swan_config n2 "$(swan_conn)"
	swan_start n2 "$ns_n2" && gw_start p || finish
	ok "encap = $encap: up" ike_up p site-b
	is "encap = $encap: strongSwan sees a NAT before us" \
		"$(swan_log n2 | grep -q 'remote host is behind NAT' && echo yes || echo no)" $encap
	ok "encap = $encap: ping" pinged "$ns_p" 10.2.0.1 -I 10.5.0.1
	ok "encap = $encap: ping back" ping_ok "$ns_n2" 10.5.0.1 -I 10.2.0.1
	is "encap = $encap: ESP in UDP" "$(bw p list sas --json | jq -r '[.[] | select(.proto == "ike") | .children[].encap][0]')" udp
	ok "encap = $encap: down" ike_down p site-b
	ok "encap = $encap: strongSwan calls" swan_up n2 net || gw_show p
	ok "encap = $encap: bumpwire has the child" wait_for 5 ike_ready p
	ok "encap = $encap: ping when strongSwan called" pinged "$ns_n2" 10.5.0.1 -I 10.2.0.1
	ok "encap = $encap: and back" ping_ok "$ns_p" 10.2.0.1 -I 10.5.0.1
	gw_stop p
	swan_stop n2
done
finish
