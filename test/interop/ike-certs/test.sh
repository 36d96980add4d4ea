#!/usr/bin/env bash
# IKEv2 with certificates against strongSwan, bumpwire first as initiator and then as responder: every kind of key,
# a chain with an intermediate that is sent along, distinguished names, raw public keys, keys behind a passphrase
# and in PKCS#12, and peers from before RFC 7427.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need tcpdump jq iperf3 ping
swan_need
topology
pki_ca root "/C=DE/O=Example/CN=Root"
pki_ca mid "/C=DE/O=Example/CN=Intermediate" root

ours() { # ours KEY: makes certificates a-KEY and b-KEY
	pki_cert "a-$1" "/C=DE/O=Example/CN=a-$1" mid key="$1" san=DNS:a.example
	pki_cert "b-$1" "/C=DE/O=Example/CN=b-$1" mid key="$1" san=DNS:b.example
	pki_bundle "$pki/a-$1.chain.pem" "a-$1" mid
}

# both with certificates of that key; the variables may be changed before both_start
both() { # both KEY
	ike_defaults
	swan_defaults
	rm -rf "$work/b.swan" "$work/a.run"
	ours "$1" || fail "certificates of kind $1"
	ik_auth=pubkey ik_peer_auth=pubkey ik_psk=''
	ik_local_extra="certs = \"$pki/a-$1.chain.pem\" key = \"$pki/a-$1.key\""
	ik_peer_extra="cacerts = \"$pki/root.pem\""
	sw_auth=pubkey sw_peer_auth=pubkey sw_local_extra="certs = b-$1.pem, mid.pem"
	swan_cred b "b-$1" root
	swan_more b mid
}

both_start() {
	ike_conf a
	swan_config b "$(swan_conn)"
	swan_start b "$ns_b" && gw_start a
}
both_stop() {
	gw_stop a
	swan_stop b
}

# both_roles WHAT [SIGNATURE]: up from each side with traffic; strongSwan's log must say that bumpwire signed like that
both_roles() {
	local what=$1 alg=${2:-}
	if ! both_start; then
		swan_stop b
		return
	fi
	ok "$what: bumpwire initiates" ike_up a site-b || { swan_show b; gw_show a; }
	# strongSwan's side may drop a reply while it sets up its routes
	ok "$what: traffic" wait_for 3 ping_ok "$ns_host_a" 10.2.0.2
	ok "$what: taken down" ike_down a site-b
	ok "$what: strongSwan initiates" swan_up b net || { swan_show b; gw_show a; }
	ok "$what: traffic again" wait_for 3 ping_ok "$ns_host_b" 10.1.0.2
	[ -z "$alg" ] || num "$what: strongSwan checked $alg each time" \
		"$(swan_log b | grep -cE "authentication of '[^']*' with $alg successful")" -ge 2 ||
		note "$(swan_log b | grep 'authentication of')"
	both_stop
}

both rsa
both_start
capture "$ns_a" wan "$work/w.pcap"
cap=$last
ok "RSA: bumpwire initiates" ike_up a site-b || { swan_show b; gw_show a; }
ike_traffic RSA
capture_stop "$cap"
ike_wire RSA "$work/w.pcap"
both_stop
both_roles RSA 'RSA_EMSA_PKCS1_SHA2_[0-9]+'
both rsa
ik_local_extra+=" rsa_pss = yes" sw_charon="rsa_pss = yes"
both_roles RSA-PSS 'RSA_EMSA_PSS_SHA2_[0-9]+_SALT_[0-9]+'
both p256
both_roles "ECDSA P-256" ECDSA_WITH_SHA256_DER
both p384
both_roles "ECDSA P-384" ECDSA_WITH_SHA384_DER
both p521
both_roles "ECDSA P-521" ECDSA_WITH_SHA512_DER
both ed25519
both_roles Ed25519 ED25519
both ed448
both_roles Ed448 ED448

# peers that do not announce hashes get the older methods
both rsa
sw_charon="signature_authentication = no"
both_roles "RSA, method 1" "RSA signature"
both p256
sw_charon="signature_authentication = no"
both_roles "ECDSA-256, method 9" "ECDSA-256 signature"

# distinguished names as identities, the peer's with wildcards
both p256
ik_id='C=DE, O=Example, CN=a-p256' ik_peer_id='C=DE, O=Example, CN=*'
sw_id='C=DE, O=Example, CN=b-p256' sw_peer_id='C=DE, O=Example, CN=a-p256'
both_roles "distinguished names"

# the identity left out: of the certificate
both p256
ik_id='' ik_peer_id='*.example' sw_peer_id='C=DE, O=Example, CN=a-p256'
both_roles "identity of the certificate"

# private keys that are locked up
both p256
pki_encrypt a-p256 opensesame
(umask 077 && echo opensesame >"$pki/pass")
ik_local_extra="certs = \"$pki/a-p256.chain.pem\" key = \"$pki/a-p256.enc.key\" passphrase = \"file:$pki/pass\""
both_roles "encrypted key"
both p256
pki_p12 a-p256 opensesame mid
ik_local_extra="certs = \"$pki/a-p256.p12\" passphrase = \"opensesame\""
both_roles "PKCS#12"

# authorities from a folder; of two certificates the one that strongSwan's request names
both p256
mkdir -p "$pki/authorities"
pki_ca other "/C=DE/O=Other/CN=Other Root"
cp "$pki/root.pem" "$pki/other.pem" "$pki/a-p256.key" "$pki/authorities/"
pki_cert a-other "/C=DE/O=Other/CN=a" other san=DNS:a.example
ik_local_extra="certs = {\"$pki/a-other.pem\", \"$pki/a-p256.chain.pem\"} key = {\"$pki/a-other.key\", \"$pki/a-p256.key\"}"
ik_peer_extra="cacerts = \"$pki/authorities\""
both_roles "authorities of a folder, two certificates" ECDSA_WITH_SHA256_DER

# the peer's own certificate, and no authority
both p256
ik_peer_extra="certs = \"$pki/b-p256.pem\""
both_roles "the peer's certificate pinned"

# certificates of the peer that are signed by the root, revocation lists here
both ed25519
pki_crl root
pki_crl mid
ik_top="crls = {\"$pki/root.crl\", \"$pki/mid.crl\"}"
ik_peer_extra='' ik_top+=" cacerts = \"$pki/root.pem\""
both_roles "with revocation lists"

# raw public keys
both ed25519
rm -rf "$work/b.swan"
swan_raw_key b b-ed25519 a-ed25519
ik_local_extra="pubkeys = \"$pki/a-ed25519.pub\" key = \"$pki/a-ed25519.key\"" ik_peer_extra="pubkeys = \"$pki/b-ed25519.pub\""
sw_local_extra='pubkeys = b-ed25519.pub' sw_peer_extra='pubkeys = a-ed25519.pub'
both_roles "raw public keys" ED25519
finish
