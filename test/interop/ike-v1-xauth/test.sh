#!/usr/bin/env bash
# XAUTH and Mode Config against strongSwan, bumpwire first as client and then as gateway: behind a secret, behind RSA
# signatures, and as hybrid authentication; addresses asked for and pushed; wrong passwords.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping
swan_need
swan_plugins="$swan_plugins xauth-generic"
[ -n "$(find /usr/lib/ipsec/plugins /usr/lib/*/ipsec/plugins /usr/lib/strongswan/plugins \
	-name libstrongswan-xauth-generic.so 2>/dev/null)" ] ||
	tap_skip_all "strongSwan has no xauth-generic (Debian: libcharon-extauth-plugins)"
topology
pki_ca root "/C=DE/O=Example/CN=Root"
pki_cert a "/C=DE/O=Example/CN=a" root key=rsa san=DNS:a.example
pki_cert b "/C=DE/O=Example/CN=b" root key=rsa san=DNS:b.example

password='open sesame 7'
# reset ROLE: bumpwire is client or gateway
reset() {
	ike_defaults
	swan_defaults
	rm -rf "$work/b.swan" "$work/a.run"
	ik_version=1 sw_version=1
	ik_proposals='"aes128-sha256-modp2048"' sw_proposals=aes128-sha256-modp2048
	ik_esp='"aes128-sha256"' sw_esp=aes128-sha256
	user="user alice { secret = \"$password\" }"
	sw_password=$password
	if [ "$1" = client ]; then
		ik_extra='vips = {"0.0.0.0"}' ik_local_ts='"dynamic"' ik_routes='"10.255.1.0/24"'
		ik_local_extra='xauth_id = alice
auth2 = xauth'
		sw_extra='pools = road
			remote-2 {
				auth = xauth
				round = 2
			}' sw_remote_ts=dynamic
	else
		ik_extra='pools = {"road"}' ik_remote_ts='"dynamic"' ik_routes='"10.255.1.0/24"'
		ik_peer_extra='auth2 = xauth'
		sw_extra='vips = 0.0.0.0
			local-2 {
				auth = xauth
				round = 2
				xauth_id = alice
			}' sw_local_ts=dynamic
		sw_charon='install_virtual_ip = yes'
	fi
}
start() {
	ik_top="$ik_top
$user
pool road {
	addrs = {\"10.9.0.0/24\"}
	dns = {\"10.1.0.53\"}
	split_include = {\"10.1.0.0/16\"}
}"
	ike_conf a
	swan_config b "$(swan_conn)
}
pools { road { addrs = 10.9.0.0/24
	dns = 10.2.0.53 } }
secrets {
	ike-test { id-a = \"$sw_id\"
		id-b = \"$sw_peer_id\"
		secret = \"$swan_psk\" }
	xauth-alice { id = alice
		secret = \"$sw_password\" }"
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
rsa() {
	ik_auth=pubkey ik_peer_auth=pubkey sw_auth=pubkey sw_peer_auth=pubkey ik_psk=''
	ik_top="cacerts = {\"$pki/root.pem\"}"
	ik_local_extra="$ik_local_extra
certs = {\"$pki/a.pem\"}
key = {\"$pki/a.key\"}"
	swan_cred b b root
}
order() { timeout 20 "$bin" "$@" --run-dir "$work/a.run"; }
other_sa() { [ "$before" != "$(ike_sa_spi a)" ] && ike_ready a; }
not_ok() { ! "$@"; }
our_address() { in_ns "$ns_a" ip -o addr show dev bw0 | grep -q "10.9.0.1/32"; }

# client WHAT: bumpwire asks
client() {
	local what=$1
	start || { end; return; }
	ok "$what: bumpwire is let in" ike_up a site-b || show
	is "$what: XAUTH user" "$(swan_value b remote-xauth-id)" alice
	ok "$what: our address is on the device" wait_for 3 our_address
	ok "$what: its name server is in resolv.conf of the run directory" grep -qx "nameserver 10.2.0.53" "$work/a.run/resolv.conf"
	ok "$what: ping from that address" wait_for 3 ping_ok "$ns_a" 10.2.0.2 || show
	ok "$what: phase 1 anew" order rekey site-b || show
	ok "$what: the children are there at both ends" wait_for 3 ping_ok "$ns_a" 10.2.0.2 || show
	ok "$what: the old phase 1 goes" wait_for 15 eval '[ "$(ike_count a true) $(swan_ike b)" = "1 1" ]' || show
	ok "$what: and leaves them" ping_ok "$ns_a" 10.2.0.2 || show
	ok "$what: the child anew" order rekey site-b/net || show
	ok "$what: ping under new keys" wait_for 3 ping_ok "$ns_a" 10.2.0.2 || show
	ok "$what: taken down" ike_down a site-b
	ok "$what: the address is gone" wait_for 3 eval '! our_address'
	ok "$what: so is its name server" not test -e "$work/a.run/resolv.conf"
	end
}
# gateway WHAT: strongSwan asks
gateway() {
	local what=$1
	start || { end; return; }
	ok "$what: strongSwan is let in" swan_up b net || show
	ok "$what: bumpwire has the child" wait_for 5 ike_ready a || show
	is "$what: its address" "$(bw a list sas --json | jq -r '[.[] | .leases? // [] | .[]][0]')" 10.9.0.1
	ok "$what: ping to that address" wait_for 5 ping_ok "$ns_host_a" 10.9.0.1 || show
	before=$(ike_sa_spi a)
	ok "$what: strongSwan makes phase 1 anew" eval 'swan b --rekey --ike peer && wait_for 5 other_sa' || show
	ok "$what: the children are there at both ends" wait_for 5 ping_ok "$ns_host_a" 10.9.0.1 || show
	ok "$what: strongSwan takes it down" swan_down b peer
	ok "$what: nothing is left" wait_for 5 ike_idle a
	ok "$what: once more" swan_up b net || show
	is "$what: the same address" "$(bw a list sas --json | jq -r '[.[] | .leases? // [] | .[]][0]')" 10.9.0.1
	end
}

reset client
client "client, secret"
reset client
rsa
client "client, RSA"
reset client
rsa
ik_auth=xauth ik_local_extra='xauth_id = alice' ik_id=a.example
sw_peer_auth=xauth sw_extra='pools = road' sw_peer_id=''
client "client, hybrid"
reset client
ik_extra="$ik_extra
pull = no" sw_extra="$sw_extra
pull = no"
client "client, pushed"
reset client
sw_password=wrong
start
ok "client, wrong password: refused" not_ok ike_up a site-b
ok "client, wrong password: told" grep -q "refuses our user name or password" "$work/a.up" || show
end

reset gateway
gateway "gateway, secret"
reset gateway
rsa
gateway "gateway, RSA"
reset gateway
rsa
ik_peer_auth=xauth ik_peer_extra='' ik_peer_id='%any'
sw_auth=xauth sw_local_extra='xauth_id = alice' sw_extra='vips = 0.0.0.0' sw_id=b.example
gateway "gateway, hybrid"
reset gateway
ik_extra="$ik_extra
pull = no" sw_extra="$sw_extra
pull = no"
gateway "gateway, pushed"
reset gateway
sw_password=wrong
start
ok "gateway, wrong password: refused" not_ok swan_up b net
ok "gateway, wrong password: told" ike_says a 'wrong password of user "alice"' || show
ok "gateway, wrong password: nothing is left" wait_for 5 ike_idle a
end
finish
