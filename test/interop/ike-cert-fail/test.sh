#!/usr/bin/env bash
# Each way a certificate can be wrong, strongSwan having it: what `bumpwire up` says when bumpwire begins, and what its
# log says when strongSwan does. The words must tell which certificate it is and what to change.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq
swan_need
topology
pki_ca root "/O=Example/CN=Root"
pki_ca other "/O=Other/CN=Other Root"
pki_ca tight "/O=Example/CN=Tight" root basic=critical,CA:TRUE,pathlen:0
pki_ca below "/O=Example/CN=Below" tight
pki_ca oldmid "/O=Example/CN=Old Intermediate" root from=-9 to=-2
pki_cert a "/O=Example/CN=a" root san=DNS:a.example

ike_defaults
ik_auth=pubkey ik_peer_auth=pubkey ik_psk=''
ik_local_extra="certs = \"$pki/a.pem\" key = \"$pki/a.key\"" ik_peer_extra="cacerts = \"$pki/root.pem\""
ike_conf a
gw_start a || finish

# fails WHAT CERT [MORE...] -- WORDS...: strongSwan has CERT and sends MORE along; each of WORDS must be said
fails() {
	local what=$1 cert=$2 more=() w
	shift 2
	while [ "$1" != -- ]; do more+=("$1"); shift; done
	shift
	rm -rf "$work/b.swan"
	swan_defaults
	sw_auth=pubkey sw_peer_auth=pubkey
	sw_extra='send_cert = always' sw_local_extra="certs = $cert.pem"
	[ ${#more[@]} = 0 ] || sw_local_extra+=$(printf ', %s.pem' "${more[@]}")
	swan_config b "$(swan_conn)"
	swan_cred b "$cert" root
	[ ${#more[@]} = 0 ] || swan_more b "${more[@]}"
	swan_start b "$ns_b" || return
	ok "$what: up fails" not ike_up a site-b
	for w in "$@"; do
		ok "$what: up says: $w" grep -qF -- "$w" "$work/a.up" || note "$(cat "$work/a.up")"
	done
	ike_mark a
	ok "$what: strongSwan gets nowhere either" not swan_up b net 5
	for w in "$@"; do
		ok "$what: the log says: $w" ike_says a "$w"
	done
	is "$what: nothing is up" "$(swan_children b) $(bw a list sas --json | jq length)" "0 0"
	swan_stop b
}

pki_cert old "/O=Example/CN=b" root san=DNS:b.example from=-9 to=-2
fails expired old -- '"O=Example, CN=b" expired on' 'renew it'
pki_cert young "/O=Example/CN=b" root san=DNS:b.example from=2 to=9
fails "not yet valid" young -- '"O=Example, CN=b" is not valid before' 'check the clocks'
pki_cert mail "/O=Example/CN=b" root san=DNS:b.example eku=emailProtection
fails "wrong extendedKeyUsage" mail -- '"O=Example, CN=b" is not for IKE' 'E-mail Protection' 'ipsecIKE, serverAuth or clientAuth'
pki_cert encipher "/O=Example/CN=b" root san=DNS:b.example usage=keyEncipherment
fails "wrong keyUsage" encipher -- '"O=Example, CN=b" may not sign (keyUsage)'
pki_cert who "/O=Example/CN=c" root san=DNS:c.example,IP:192.0.2.2
fails "wrong identity" who -- c.example
pki_cert stranger "/O=Other/CN=b" other san=DNS:b.example
fails "unknown authority" stranger -- 'unknown authority "O=Other, CN=Other Root"' 'trusted here: "O=Example, CN=Root"'
pki_cert deep "/O=Example/CN=b" below san=DNS:b.example
fails "path length" deep below tight -- '"O=Example, CN=Tight" allows fewer CAs below it'
fails "missing intermediate" deep -- 'unknown authority "O=Example, CN=Below"' 'intermediate'
pki_cert byold "/O=Example/CN=b" oldmid san=DNS:b.example
fails "expired intermediate" byold oldmid -- 'CA certificate "O=Example, CN=Old Intermediate" expired on'
pki_cert weak "/O=Example/CN=b" root san=DNS:b.example sha=sha1
fails "weak signature" weak -- 'is signed with' 'too weak'
gw_stop a

# our own certificate is wrong, and strongSwan does not say why it refuses it: bumpwire sees for itself
pki_cert b "/O=Example/CN=b" root san=DNS:b.example
own() { # own WHAT CERT -- WORDS...
	local what=$1 w
	ik_local_extra="certs = \"$pki/$2.pem\" key = \"$pki/$2.key\""
	shift 3
	ike_conf a
	gw_start a || return
	rm -rf "$work/b.swan"
	swan_defaults
	sw_auth=pubkey sw_peer_auth=pubkey sw_local_extra='certs = b.pem'
	swan_config b "$(swan_conn)"
	swan_cred b b root
	swan_start b "$ns_b" || return
	ok "our own, $what: up fails" not ike_up a site-b
	for w in "$@"; do
		ok "our own, $what: up says: $w" grep -qF -- "$w" "$work/a.up" || note "$(cat "$work/a.up")"
	done
	# when strongSwan begins we prove ourselves last, and it tells by a message of its own
	ike_mark a
	ok "our own, $what: strongSwan gets nowhere either" not swan_up b net 5
	for w in "$@"; do
		ok "our own, $what: the log says: $w" ike_says a "$w"
	done
	ok "our own, $what: nothing is up" wait_for 5 eval '[ "$(bw a list sas --json | jq length)" = 0 ]'
	swan_stop b
	gw_stop a
}
pki_cert aold "/O=Example/CN=a" root san=DNS:a.example from=-9 to=-2
own expired aold -- AUTHENTICATION_FAILED '"O=Example, CN=a" expired on'
pki_cert awho "/O=Example/CN=a" root san=DNS:c.example
own "identity" awho -- 'does not speak for the identity a.example but for: c.example'
ik_local_extra="certs = \"$pki/a.pem\" key = \"$pki/a.key\""

# with revocation lists
pki_cert lost "/O=Example/CN=b" root san=DNS:b.example
pki_crl root lost
ik_top="crls = \"$pki/root.crl\""
ike_conf a
gw_start a || finish
fails revoked lost -- '"O=Example, CN=b" was revoked by "O=Example, CN=Root" on'
finish
