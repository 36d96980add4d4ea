#!/usr/bin/env bash
# Every algorithm of IKEv2 that bumpwire and strongSwan both have, negotiated by each of them: a connection each,
# with pings through it.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping
swan_need
topology
swan_plugins+=' md5'

ike=(
	aes128gcm16-prfsha256-curve25519 aes192gcm16-prfsha384-curve448 aes256gcm16-prfsha512-ecp521
	aes128gcm12-prfsha1-ecp384 aes256gcm8-prfaesxcbc-ecp256 aes128ccm16-prfaescmac-modp2048
	aes256ccm12-prfsha256-modp3072 aes256ccm8-prfsha256-ecp192 chacha20poly1305-prfsha256-ecp224
	aes128-sha1-modp1024 aes192-sha256-modp1536 aes256-sha384-modp4096 aes256-sha512-modp6144
	aes128-aesxcbc-prfaesxcbc-ecp256bp aes128-aescmac-prfaescmac-ecp384bp aes128ctr-sha256-ecp512bp
	aes256ctr-sha512-modp8192 3des-sha1-ecp224bp 3des-md5-prfsha1-modp2048
)

# ---- IKE, bumpwire begins: a connection for each
# everything in two proposals, as the one who answers has it: combined modes, and the others
words() { printf '%s\n' "${ike[@]}" | tr - '\n' | sort -u | grep -E "$1" | tr '\n' -; }
groups=$(words '^(curve|ecp|modp)') prfs='prfsha256-prfsha384-prfsha512-prfsha1-prfaesxcbc-prfaescmac'
all="$(words 'gcm|ccm|poly1305' | sed 's/prf.*//')$prfs-${groups%-},$(words '^(aes(128|192|256)(ctr)?|3des)$')$(words '^(sha|md5|aesxcbc|aescmac)')$prfs-${groups%-}"
conns=''
for i in "${!ike[@]}"; do
	ik_proposals="\"${ike[i]}\"" ik_extra='allow_weak = yes'
	conns+=$(ike_conn "c$i")$'\n'
done
ike_defaults
ike_proposal() { bw a list sas --json | jq -r '.[] | select(.proto == "ike" and .state == "established") | .proposal'; }
# the PRF is named once it is not what the integrity algorithm says
same() { [ "$1" = "$2" ] || [ "${1/-prf*([a-z0-9])-/-}" = "${2/-prf*([a-z0-9])-/-}" ]; }
shopt -s extglob
used() { # used WHO PROPOSAL
	ok "$1: IKE $2: it is that" same "$(ike_proposal)" "$2" || note "$(ike_proposal)"
	wait_for 3 ping_ok "$ns_host_a" 10.2.0.2 -c 1
	ok "$1: IKE $2: ping" ping_ok "$ns_host_a" 10.2.0.2
}
sw_proposals=$all ik_routes='"10.2.0.0/16"' ik_top=$conns
ike_swan_start
for i in "${!ike[@]}"; do
	ok "bumpwire: IKE ${ike[i]}: up" ike_up a "c$i" || { swan_show b 8; continue; }
	used bumpwire "${ike[i]}"
	ike_down a "c$i" >/dev/null
	wait_for 3 eval '[ "$(swan_ike b)" = 0 ]'
done
ike_swan_end

# ---- IKE, strongSwan begins
conns=''
for i in "${!ike[@]}"; do
	sw_proposals=${ike[i]} sw_child=n$i
	conns+=$(swan_conn "c$i")$'\n'
done
swan_defaults
ik_proposals="\"${all//,/\", \"}\"" ik_extra='allow_weak = yes'
ike_conf a
swan_config b "$conns"
swan_start b "$ns_b" && gw_start a || finish
for i in "${!ike[@]}"; do
	ok "strongSwan: IKE ${ike[i]}: up" swan_up b "n$i" || { gw_show a; continue; }
	wait_for 3 ike_ready a
	used strongSwan "${ike[i]}"
	swan b --terminate --ike "c$i" >/dev/null 2>&1
	wait_for 3 ike_idle a
done
ike_swan_end
finish
