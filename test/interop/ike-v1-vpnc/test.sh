#!/usr/bin/env bash
# vpnc as a road warrior of bumpwire: Aggressive Mode with the secret of a group, XAUTH, Mode Config with Cisco's
# attributes, traffic by ESP and by ESP in UDP, also from behind a NAT; new keys, a wrong password, the end by either side.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-ike.sh"
need vpnc ping jq iperf3 nft tcpdump
topology
# two clients behind one NAT, beside A, which is not behind any
space c d nat
for n in c d; do
	ns=ns_$n
	cable "${!ns}" eth0 "$ns_nat" "in$n"
done
cable "$ns_nat" out "$ns_b" wan2
address "$ns_c" eth0 172.16.1.2/24
address "$ns_nat" inc 172.16.1.1/24
address "$ns_d" eth0 172.16.2.2/24
address "$ns_nat" ind 172.16.2.1/24
address "$ns_nat" out 198.51.100.9/24
address "$ns_b" wan2 198.51.100.2/24
ip -n "$ns_c" route add default via 172.16.1.1
ip -n "$ns_d" route add default via 172.16.2.1
in_ns "$ns_nat" nft -f - <<-X || tap_skip_all "nftables cannot masquerade here"
	table ip nat {
		chain post {
			type nat hook postrouting priority srcnat;
			oifname "out" meta l4proto udp masquerade to :20000-20100
		}
	}
X

# ---- the gateway
gateway() { # gateway LOCAL_ADDR
	ike_defaults
	ik_version=1 ik_name=road ik_local=$1 ik_remote=%any ik_proposals='"aes256-sha1-modp2048"' ik_esp='"aes256-sha1"'
	ik_id=$1 ik_peer_id=keyid:staff ik_peer_extra='auth2 = xauth' ik_local_ts='"0.0.0.0/0"' ik_remote_ts='"dynamic"'
	ik_extra='aggressive = yes
pools = {road}
rekey_time = 1h
dpd_delay = 5s'
	ik_routes='"10.9.0.0/24"' ik_tun_addr=10.255.0.2/32
	ik_top='user alice { secret = "open sesame 7" }
user bob { secret = "swordfish" }
pool road {
	addrs = {"10.9.0.0/24"}
	dns = {"10.2.0.53", "10.2.0.54"}
	nbns = {"10.2.0.55"}
	domain = corp.example
	split_include = {"10.2.0.0/16", "10.3.0.0/16"}
	split_dns = "corp.example,lab.example"
	banner = "Welcome in."
}'
	ike_conf b
}

# ---- the client
# What vpnc knows goes into a file; it has no way to set routes but this.
cat >"$work/script" <<'X'
#!/bin/sh
env | grep -E '^(reason|VPNGATEWAY|TUNDEV|INTERNAL|CISCO)' | sort >"$OUT.$reason"
[ "$reason" = connect ] || exit 0
ip link set "$TUNDEV" addrgenmode none # vpnc would send IPv6 as if it were IPv4
ip link set "$TUNDEV" up mtu "${INTERNAL_IP4_MTU:-1400}"
ip addr add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
i=0
while [ "$i" -lt "${CISCO_SPLIT_INC:-0}" ]; do
	eval "ip route add \$CISCO_SPLIT_INC_${i}_ADDR/\$CISCO_SPLIT_INC_${i}_MASKLEN dev $TUNDEV"
	i=$((i + 1))
done
X
chmod +x "$work/script"
declare -A vpnc_pid=()
# vpnc_start G NS GATEWAY USER PASSWORD NATT: returns when its interface has an address, or it has ended
vpnc_start() {
	local g=$1
	rm -f "$work/$g.env".*
	(
		umask 077
		printf '%s\n' "IPSec gateway $3" 'IPSec ID staff' "IPSec secret $ik_psk" "Xauth username $4" \
			"Xauth password $5" 'IKE DH Group dh14' 'Perfect Forward Secrecy nopfs' "NAT Traversal Mode $6" \
			"Script $work/script" 'Local Port 0' 'DPD idle timeout (our side) 10' 'Interface name vpn0' \
			"Pidfile $work/$g.pid" 'Enable weak authentication' >"$work/$g.vpnc"
	)
	background "$2" "$work/$g.vpnc.log" env OUT="$work/$g.env" vpnc --no-detach --non-inter --debug 2 "$work/$g.vpnc"
	vpnc_pid[$g]=$last
	wait_for 15 eval "up $2 || ended $last"
}
up() { in_ns "$1" ip -o addr show dev vpn0 2>/dev/null | grep -q "inet 10.9.0"; }
vpnc_stop() {
	stop "${vpnc_pid[$1]}"
	unset "vpnc_pid[$1]"
}
told() { sed -n "s/^$2=//p" "$work/$1.env.connect" 2>/dev/null; }
show() {
	note "$(tail -n 40 "$work/$1.vpnc.log" "$work/$1.vpnc.log.err" 2>/dev/null)"
	gw_show b
}
holds() { bw b list leases --json | jq -r ".[] | select(.addr == \"$1\") | [.who, .held] | join(\" \")"; }
no_sa() { [ "$(ike_count b true)" = 0 ]; }

gateway 192.0.2.2
gw_start b || finish
vpnc_start a "$ns_a" 192.0.2.2 alice 'open sesame 7' none
ok "vpnc is let in" up "$ns_a" || show a
is "its address" "$(told a INTERNAL_IP4_ADDRESS)" 10.9.0.1
is "name servers" "$(told a INTERNAL_IP4_DNS)" "10.2.0.53 10.2.0.54"
is "WINS" "$(told a INTERNAL_IP4_NBNS)" 10.2.0.55
is "domain" "$(told a CISCO_DEF_DOMAIN)" corp.example
is "banner" "$(told a CISCO_BANNER)" "Welcome in."
is "split networks" "$(told a CISCO_SPLIT_INC) $(told a CISCO_SPLIT_INC_0_ADDR)/$(told a CISCO_SPLIT_INC_0_MASKLEN) $(told a CISCO_SPLIT_INC_1_ADDR)/$(told a CISCO_SPLIT_INC_1_MASKLEN)" \
	"2 10.2.0.0/16 10.3.0.0/16"
is "split DNS" "$(told a CISCO_SPLIT_DNS)" corp.example,lab.example
is "whose the lease is" "$(holds 10.9.0.1)" "user alice 1"
is "status has the user" "$(bw b list sas --json | jq -r '.[0].user')" alice
capture "$ns_a" wan "$work/esp.pcap"
wire=$last
ok "ping from vpnc to the host behind" wait_for 5 ping_ok "$ns_a" 10.2.0.2 -I vpn0 || show a
ok "ping from that host to vpnc" ping_ok "$ns_host_b" 10.9.0.1 || show a
serve "$ns_host_b" 5201
ok "iperf3" in_ns "$ns_a" timeout 20 iperf3 -c 10.2.0.2 -B 10.9.0.1 -t 1
capture_stop "$wire"
num "it is ESP on the wire" "$(frames "$work/esp.pcap" "$esp_raw")" -ge 10
is "and nothing in the clear" "$(frames "$work/esp.pcap" 'icmp or tcp')" 0
ok "the gateway makes a new child" timeout 20 "$bin" rekey road/net --run-dir "$work/b.run" || show a
# it knows one pair only: what we send by the old one until message 3 has surely come is lost there
ok "ping by it" wait_for 5 ping_ok "$ns_a" 10.2.0.2 -I vpn0 || show a
sleep 6
ok "dead peer detection finds it alive" ping_ok "$ns_a" 10.2.0.2 -I vpn0 || show a
vpnc_stop a
ok "vpnc ends: nothing is left" wait_for 5 no_sa || note "$(bw b list sas)"
is "but the lease, given back" "$(holds 10.9.0.1)" "user alice 0"

vpnc_start a "$ns_a" 192.0.2.2 alice 'open sesame 8' none
ok "a wrong password is refused" not up "$ns_a" || show a
ok "and told here" ike_says b 'wrong password of user "alice"'
ok "so that vpnc ends" wait_for 5 ended "${vpnc_pid[a]}"
ok "nothing is left of that" wait_for 5 no_sa

vpnc_start a "$ns_a" 192.0.2.2 alice 'open sesame 7' force-natt
ok "vpnc with UDP" up "$ns_a" || show a
is "it has the address it had" "$(told a INTERNAL_IP4_ADDRESS)" 10.9.0.1
ok "ping in UDP" wait_for 5 ping_ok "$ns_a" 10.2.0.2 -I vpn0 || show a
ok "the gateway takes it down" ike_down b road
ok "vpnc hears of it" wait_for 10 ended "${vpnc_pid[a]}" || show a
gw_stop b

# ---- behind one NAT, with the identity of one group
gateway 198.51.100.2
gw_start b || finish
is "a restart keeps the lease" "$(holds 10.9.0.1)" "user alice 0"
vpnc_start c "$ns_c" 198.51.100.2 bob swordfish natt
ok "bob is let in from behind the NAT" up "$ns_c" || show c
vpnc_start d "$ns_d" 198.51.100.2 alice 'open sesame 7' natt
ok "alice from behind the same one" up "$ns_d" || show d
is "bob has another address than was alice's" "$(told c INTERNAL_IP4_ADDRESS)" 10.9.0.2
is "alice hers" "$(told d INTERNAL_IP4_ADDRESS)" 10.9.0.1
ok "ping from bob" wait_for 5 ping_ok "$ns_c" 10.2.0.2 -I vpn0 || show c
ok "ping from alice" wait_for 5 ping_ok "$ns_d" 10.2.0.2 -I vpn0 || show d
ok "ping to bob" ping_ok "$ns_host_b" 10.9.0.2 || show c
ok "ping to alice" ping_ok "$ns_host_b" 10.9.0.1 || show d
is "both are there" "$(ike_count b true)" 2
vpnc_stop c
vpnc_stop d
ok "nothing is left" wait_for 5 no_sa || note "$(bw b list sas)"
finish
