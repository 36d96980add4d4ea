#!/usr/bin/env bash
# IKEv1 against strongSwan, bumpwire first as initiator and then as responder: Main Mode with a secret, with RSA and
# with ECDSA, Aggressive Mode with a secret, PFS and combined ciphers, several Quick Modes, encapsulation in UDP,
# fragments; dead peers; new keys of the child and of phase 1 by either side while traffic passes.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need tcpdump tshark jq iperf3 ping
swan_need
topology
pki_ca root "/C=DE/O=Example/CN=Root"

reset() {
	ike_defaults
	swan_defaults
	rm -rf "$work/b.swan" "$work/a.run"
	ik_version=1 sw_version=1
	ik_proposals='"aes128-sha256-ecp256"' sw_proposals=aes128-sha256-ecp256
	ik_esp='"aes128-sha256"' sw_esp=aes128-sha256
}
start() {
	ike_conf a
	swan_config b "$(swan_conn)"
	swan_start b "$ns_b" && gw_start a
}
end() {
	gw_stop a
	swan_stop b
}
show() {
	swan_show b 60
	gw_show a
}

# roles WHAT: up from each side, with traffic, down from each side
roles() {
	local what=$1
	start || { swan_stop b; return; }
	ok "$what: bumpwire initiates" ike_up a site-b || show
	is "$what: IKEv1" "$(swan_value b version)" 1
	ok "$what: ping" wait_for 3 ping_ok "$ns_host_a" 10.2.0.2
	ok "$what: ping back" ping_ok "$ns_host_b" 10.1.0.2
	ok "$what: taken down" ike_down a site-b
	ok "$what: strongSwan has none left" wait_for 5 eval '[ "$(swan_ike b) $(swan_children b)" = "0 0" ]' || show
	ok "$what: strongSwan initiates" swan_up b net || show
	ok "$what: bumpwire has the child" wait_for 5 ike_ready a
	ok "$what: ping again" wait_for 3 ping_ok "$ns_host_b" 10.1.0.2
	ok "$what: strongSwan takes it down" swan_down b peer
	ok "$what: bumpwire has none left" wait_for 5 ike_idle a || show
	end
}

# ---- Main Mode with a secret, with everything
reset
ik_top='export_keys = yes'
start || finish
capture "$ns_a" wan "$work/m.pcap"
cap=$last
ok "Main Mode: up" ike_up a site-b || show
ike_traffic "Main Mode"
mkdir -p "$work/xdg/wireshark"
ok "Main Mode: keys for Wireshark" bw a keys --wireshark "$work/xdg/wireshark"
ok "Main Mode: down" ike_down a site-b
capture_stop "$cap"
ike_wire "Main Mode" "$work/m.pcap"
num "Main Mode: tshark reads identities, proposals of Quick Mode, deletes" \
	"$(XDG_CONFIG_HOME=$work/xdg tshark -r "$work/m.pcap" -V -Y isakmp 2>/dev/null |
		grep -cE 'ID_FQDN: (a|b).example|Transform ID: ESP_AES|Payload: Delete')" -ge 4
end
reset
roles "Main Mode, secret"
reset
ik_id=192.0.2.1 ik_peer_id=192.0.2.2 sw_id=192.0.2.2 sw_peer_id=192.0.2.1
roles "Main Mode, secret of addresses"
reset
ik_proposals='"aes256-sha384-modp2048"' sw_proposals=aes256-sha384-modp2048
ik_esp='"aes256gcm16-modp2048"' sw_esp=aes256gcm16-modp2048
roles "PFS and AES-GCM"
reset
ik_extra='allow_weak = yes'
ik_proposals='"3des-sha1-modp1024"' sw_proposals=3des-sha1-modp1024
ik_esp='"3des-sha1"' sw_esp=3des-sha1
roles "3DES and SHA-1"

# ---- Aggressive Mode
reset
ik_extra='aggressive = yes' sw_extra='aggressive = yes' sw_charon='i_dont_care_about_security_and_use_aggressive_mode_psk = yes'
roles "Aggressive Mode, secret"

# ---- signatures
for key in rsa p256 p384 p521; do
	reset
	pki_cert "a-$key" "/C=DE/O=Example/CN=a-$key" root key="$key" san=DNS:a.example
	pki_cert "b-$key" "/C=DE/O=Example/CN=b-$key" root key="$key" san=DNS:b.example
	ik_auth=pubkey ik_peer_auth=pubkey ik_psk=''
	ik_local_extra="certs = \"$pki/a-$key.pem\" key = \"$pki/a-$key.key\""
	ik_peer_extra="cacerts = \"$pki/root.pem\""
	sw_auth=pubkey sw_peer_auth=pubkey sw_local_extra="certs = b-$key.pem"
	swan_cred b "b-$key" root
	roles "Main Mode, $key"
done
reset
ik_auth=pubkey ik_peer_auth=pubkey ik_psk=''
ik_local_extra="certs = \"$pki/a-rsa.pem\" key = \"$pki/a-rsa.key\"" ik_peer_extra="cacerts = \"$pki/root.pem\""
sw_auth=pubkey sw_peer_auth=pubkey sw_local_extra="certs = b-rsa.pem"
ik_extra='aggressive = yes' sw_extra='aggressive = yes'
swan_cred b b-rsa root
roles "Aggressive Mode, rsa"
reset
ik_auth=pubkey ik_peer_auth=pubkey ik_psk=''
ik_local_extra="certs = \"$pki/a-rsa.pem\" key = \"$pki/a-rsa.key\"" ik_peer_extra="cacerts = \"$pki/root.pem\""
sw_auth=pubkey sw_peer_auth=pubkey sw_local_extra="certs = b-rsa.pem"
ik_extra='fragment_size = 600' sw_extra='fragmentation = force' sw_charon='fragment_size = 600'
swan_cred b b-rsa root
fragment='udp and ((port 500 and udp[24] = 132) or (port 4500 and udp[8:4] = 0 and udp[28] = 132))'
capture "$ns_a" wan "$work/f.pcap"
cap=$last
roles "fragments"
capture_stop "$cap"
num "fragments: bumpwire sent some" "$(frames "$work/f.pcap" "src host 192.0.2.1 and $fragment")" -ge 4
num "fragments: strongSwan sent some" "$(frames "$work/f.pcap" "src host 192.0.2.2 and $fragment")" -ge 4

# ---- in UDP
reset
ik_extra='encap = yes'
roles "encap"

# ---- several children
reset
ik_local_ts='"10.1.0.0/17"' sw_remote_ts=10.1.0.0/17
ik_children="child two { local_ts = 10.1.128.0/17 remote_ts = 10.2.0.0/16 esp_proposals = $ik_esp }"
sw_children="two {
				local_ts = 10.2.0.0/16
				remote_ts = 10.1.128.0/17
				esp_proposals = $sw_esp
			}"
start || finish
ok "two Quick Modes at once" ike_up a site-b || show
ok "two Quick Modes: both are there" wait_for 5 swan_ready b 2
is "two Quick Modes: under one phase 1" "$(swan_ike b)" 1
ok "two Quick Modes: taken down" ike_down a site-b
ok "two Quick Modes: strongSwan begins one" swan_up b net || show
ok "two Quick Modes: and the other" swan_up b two || show
ok "two Quick Modes: bumpwire has both" wait_for 5 ike_ready a 2
is "two Quick Modes: again under one phase 1" "$(swan_ike b) $(ike_count a true)" "1 1"
ok "two Quick Modes: ping" wait_for 3 ping_ok "$ns_host_b" 10.1.0.2
end

# ---- new keys
order() { timeout 20 "$bin" "$@" --run-dir "$work/a.run"; }
asks() { swan b --rekey "$@" && wait_for 5 others; }
others() { [ "$before" != "$("$spi" a)" ]; }
changes() {
	local what=$1 before spi=ike_$2_spi
	shift 2
	before=$("$spi" a)
	ok "$what: nothing is lost" ike_through "$@" || show
	ok "$what: another SPI" others
}
reset
# without it strongSwan leaves what it has replaced to its lifetime
sw_charon='delete_rekeyed = yes
	delete_rekeyed_delay = 1'
start || finish
ok "new keys: up" ike_up a site-b || show
changes "child, by bumpwire" child order rekey site-b/net
# told so, it closes what it replaces even before its message 3 is on the wire: what we have sent by it until then is lost
ike_may_lose=2
changes "child, by strongSwan" child asks --child net
ike_may_lose=0
changes "phase 1, by bumpwire" sa order rekey site-b
changes "phase 1, by strongSwan" sa asks --ike peer
changes "child after all, by bumpwire" child order rekey site-b/net
ok "new keys: one of each is left" wait_for 30 ike_settled || note "$(bw a list sas)" "$(swan_sas b)"
end

# ---- dead peers
reset
ik_extra='dpd_delay = 1s dpd_timeout = 4s' sw_extra='dpd_delay = 1s
		dpd_timeout = 4s' sw_child_extra='dpd_action = clear'
start || finish
ok "DPD: up" ike_up a site-b || show
sleep 3
is "DPD: both still think so" "$(swan_ike b) $(ike_children a)" "1 1"
num "DPD: strongSwan was asked and answered" "$(swan_log b | grep -c 'DPD_ACK')" -ge 2
swan_freeze b
ok "DPD: a frozen peer is noticed" wait_for 15 ike_idle a || show
swan_thaw b
ok "DPD: strongSwan notices, too" wait_for 15 eval '[ "$(swan_ike b)" = 0 ]'
end

# ---- refusals, in words
reset
ik_psk=another-secret
start || finish
ok "wrong secret: bumpwire's up fails" not ike_up a site-b 30
is "wrong secret: nothing is up" "$(swan_ike b)" 0
end
reset
ik_proposals='"aes256-sha512-ecp384"'
start || finish
ok "no common proposal: bumpwire's up fails" not ike_up a site-b 30
ok "no common proposal: and says so" grep -q 'none of the IKE proposals' "$work/a.up" || note "$(cat "$work/a.up")"
ok "no common proposal: strongSwan's up fails" not swan_up b net
ok "no common proposal: bumpwire's log says why" ike_says a 'peer offered only'
end
reset
ik_remote_ts='"10.3.0.0/16"'
start || finish
ok "no common selectors: bumpwire's up fails" not ike_up a site-b 30
ok "no common selectors: and says so" grep -qE 'INVALID-ID-INFORMATION|NO-PROPOSAL-CHOSEN' "$work/a.up" || note "$(cat "$work/a.up")"
end

# ---- a responder that takes either version
reset
ik_version=0
start || finish
ok "version = 0: strongSwan comes with 1" swan_up b net || show
ok "version = 0: bumpwire has the child" wait_for 5 ike_ready a
end

# ---- ike-scan identifies it without upsetting it
if command -v ike-scan >/dev/null; then
	reset
	ik_extra='aggressive = yes' ik_proposals='"aes128-sha1-modp2048"' sw_proposals=aes128-sha1-modp2048
	sw_extra='aggressive = yes' sw_charon='i_dont_care_about_security_and_use_aggressive_mode_psk = yes'
	start || finish
	ok "ike-scan: up before" ike_up a site-b || show
	in_ns "$ns_b" timeout 20 ike-scan --sport=0 --retry=1 --trans='(1=7,14=128,2=2,3=1,4=14)' 192.0.2.1 >"$work/scan.main" 2>&1
	ok "ike-scan: Main Mode handshake" grep -q 'Main Mode Handshake returned' "$work/scan.main" || note "$(cat "$work/scan.main")"
	in_ns "$ns_b" timeout 20 ike-scan --sport=0 --retry=1 --aggressive --id=b.example --idtype=2 --dhgroup=14 \
		--trans='(1=7,14=128,2=2,3=1,4=14)' 192.0.2.1 >"$work/scan.aggr" 2>&1
	ok "ike-scan: Aggressive Mode handshake" grep -q 'Aggressive Mode Handshake returned' "$work/scan.aggr" || note "$(cat "$work/scan.aggr")"
	ok "ike-scan: it names our vendor IDs" grep -qiE 'Dead Peer Detection|RFC 3947' "$work/scan.main" "$work/scan.aggr"
	ok "ike-scan: the tunnel does not mind" ping_ok "$ns_host_a" 10.2.0.2
	end
else
	note "no ike-scan here"
fi
finish
