#!/usr/bin/env bash
# Large IKE messages with strongSwan: a chain of intermediates with RSA keys of 4096 bits over a path of 1280 bytes
# that drops IP fragments, as some firewalls do, so that only fragments of RFC 7383 arrive; in both roles. Without
# them it cannot come up, and both sides' keys for that work.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need tcpdump jq ping nft openssl
swan_need
space a b r
cable "$ns_a" wan "$ns_r" left
cable "$ns_r" right "$ns_b" wan
address "$ns_a" wan 192.0.2.1/24
address "$ns_r" left 192.0.2.254/24
address "$ns_r" right 198.51.100.254/24
address "$ns_b" wan 198.51.100.2/24
ip -n "$ns_a" route add default via 192.0.2.254
ip -n "$ns_b" route add default via 198.51.100.254
for l in "$ns_r left" "$ns_r right" "$ns_a wan" "$ns_b wan"; do
	# shellcheck disable=SC2086
	set -- $l
	ip -n "$1" link set "$2" mtu 1280
done
hosts
# defragmentation would put them together before the rule sees them
in_ns "$ns_r" nft -f - <<'X' || tap_skip_all "nftables does not work here"
	table inet path {
		chain forward {
			type filter hook forward priority -500;
			ip frag-off & 0x3fff != 0 counter drop
		}
	}
X
dropped() { in_ns "$ns_r" nft list ruleset | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'; }

# a chain of three intermediates for each side below one root; the messages are around 10 kB
pki_ca root "/O=Example/CN=Root" - key=rsa4096
parent=root chain=()
for n in 1 2 3; do
	pki_ca "inter$n" "/O=Example/CN=Intermediate $n" "$parent" key=rsa4096
	parent=inter$n chain=("inter$n" "${chain[@]}")
done
pki_cert a "/O=Example/CN=a.example" "$parent" key=rsa4096 san=DNS:a.example
pki_cert b "/O=Example/CN=b.example" "$parent" key=rsa4096 san=DNS:b.example
pki_bundle "$pki/a-chain.pem" a "${chain[@]}"

conf() {
	ike_defaults
	swan_defaults
	ik_remote=198.51.100.2 sw_local=198.51.100.2
	ik_auth=pubkey ik_peer_auth=pubkey sw_auth=pubkey sw_peer_auth=pubkey ik_psk=''
	ik_local_extra="certs = {\"$pki/a-chain.pem\"}
		key = {\"$pki/a.key\"}"
	ik_peer_extra="cacerts = {\"$pki/root.pem\"}"
	ik_top=$'ike_retransmit_timeout = 500ms\nike_retransmit_tries = 1'
	swan_cred b b root
	swan_more b "${chain[@]}"
	sw_local_extra='certs = b.pem'
	sw_charon=$'fragment_size = 1280\n\tretransmit_tries = 1\n\tretransmit_base = 1.2'
}

conf
ike_swan_start
capture "$ns_a" wan "$work/i.pcap"
cap=$last
ok "bumpwire begins: up" ike_up a site-b || swan_show b
ok "bumpwire begins: ping" wait_for 3 ping_ok "$ns_host_a" 10.2.0.2
ok "bumpwire begins: down" ike_down a site-b
ok "strongSwan begins: up" swan_up b net || gw_show a
ok "strongSwan begins: bumpwire has the child" wait_for 5 ike_ready a
ok "strongSwan begins: ping" wait_for 3 ping_ok "$ns_host_b" 10.1.0.2
ok "strongSwan begins: down" swan_down b peer
capture_stop "$cap"
# payload 53, Encrypted and Authenticated Fragment, is the first and only one
fragments='udp port 4500 and udp[8:4] = 0 and udp[28] = 53'
num "fragments from bumpwire" "$(frames "$work/i.pcap" "src host 192.0.2.1 and $fragments")" -ge 8
num "fragments from strongSwan" "$(frames "$work/i.pcap" "src host 198.51.100.2 and $fragments")" -ge 8
is "none is larger than the path" "$(frames "$work/i.pcap" 'ip and ip[2:2] > 1280')" 0
is "no IP fragment was needed" "$(dropped)" 0
ike_swan_end

conf
ik_extra='fragment_size = 600'
ike_swan_start
capture "$ns_a" wan "$work/s.pcap"
cap=$last
ok "fragment_size: up" ike_up a site-b
capture_stop "$cap"
is "fragment_size: none is larger" "$(frames "$work/s.pcap" "src host 192.0.2.1 and $fragments and ip[2:2] > 600")" 0
num "fragment_size: there are more" "$(frames "$work/s.pcap" "src host 192.0.2.1 and $fragments")" -ge 12
ike_swan_end

conf
ik_extra='fragmentation = no'
ike_swan_start
ok "fragmentation = no: it does not come up" not ike_up a site-b
num "fragmentation = no: IP fragments were dropped" "$(dropped)" -ge 1
is "fragmentation = no: strongSwan was not told of them" "$(swan_log b | grep 'parsed IKE_SA_INIT' | grep -c FRAG_SUP)" 0
ok "fragmentation = no: nor when strongSwan begins" not swan_up b net 3
ike_swan_end

conf
ik_extra='fragmentation = accept'
ike_swan_start
ok "fragmentation = accept: bumpwire makes none" not ike_up a site-b
is "fragmentation = accept: strongSwan was told" "$(swan_log b | grep 'parsed IKE_SA_INIT' | grep -c FRAG_SUP)" 1
ike_swan_end

conf
ik_extra='fragmentation = force'
ike_swan_start
ok "fragmentation = force: up" ike_up a site-b
ike_swan_end
finish
