#!/usr/bin/env bash
# Every algorithm of ESP that bumpwire and strongSwan both have, negotiated by each of them: a child each in one IKE
# SA, with pings through every one.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping
swan_need
topology
swan_plugins+=' md5'

esp=(
	aes128gcm16 aes192gcm16 aes256gcm16 aes128gcm12 aes256gcm8-esn-noesn aes128ccm16 aes192ccm12 aes256ccm8 chacha20poly1305
	aes128-sha1 aes192-sha256 aes256-sha384 aes256-sha512 aes128-aesxcbc aes128-aescmac aes128-md5
	aes128ctr-sha256 aes192ctr-sha384 aes256ctr-sha512 3des-sha1 3des-sha256 null-sha1 null-sha512
)
# child_proposal CHILD: what is up here. kernel-libipsec has no extended sequence numbers: only bumpwire offers them.
child_proposal() { bw a list sas --json | jq -r --arg n "$1" '.[] | select(.proto == "ike") | .children[] | select(.name == $n) | .proposal'; }

# ---- ESP: child N is for 10.1.N.1
ik_children='' sw_children='' ik_routes=''
for i in "${!esp[@]}"; do
	n=$((i + 10))
	address "$ns_host_a" eth0 "10.1.$n.1/32"
	ik_children+="child c$n {
		local_ts = {\"10.1.$n.0/24\"}
		remote_ts = {\"10.2.0.0/16\"}
		esp_proposals = {\"${esp[i]}\"}
	}
	"
	sw_children+="c$n {
				local_ts = 10.2.0.0/16
				remote_ts = 10.1.$n.0/24
				esp_proposals = ${esp[i]%-esn-noesn}
			}
			"
done
both() { # both WHAT: pings through every child, and the name of what each has
	local i n
	for i in "${!esp[@]}"; do
		n=$((i + 10))
		wait_for 3 ping_ok "$ns_host_a" 10.2.0.2 -I "10.1.$n.1" -c 1
		ok "$1: ESP ${esp[i]}: ping" ping_ok "$ns_host_a" 10.2.0.2 -I "10.1.$n.1" -s 1000
		is "$1: ESP ${esp[i]}: it is that" "$(child_proposal "c$n")" "${esp[i]%-esn-noesn}-noesn"
	done
}
ik_top='allow_weak = yes' ik_local_ts='"10.1.0.0/24"' sw_remote_ts=10.1.0.0/24
ike_swan_start
ok "bumpwire: every child of ESP" ike_up a site-b 30 || { note "$(cat "$work/a.up")"; swan_show b; }
both bumpwire
is "bumpwire: by one IKE SA" "$(swan_ike b)" 1
ike_down a site-b >/dev/null
wait_for 5 ike_idle a
for i in "${!esp[@]}"; do
	swan_up b "c$((i + 10))" >"$work/sw.up" || { fail "strongSwan: ESP ${esp[i]}: up"; note "$(tail -n 5 "$work/sw.up")"; }
done
both strongSwan
ike_swan_end

finish
