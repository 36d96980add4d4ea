#!/usr/bin/env bash
# The examples of etc/ with IKEv2 and a secret, as they are, against one another: the first packet brings the tunnel up
# and arrives. Then every order that bumpwire(8) has for a connection, and every list, on the pair that is up.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq
topology

# example A B: these files of etc/ are checked, and started, the one that may wait first
example() {
	local g=a f
	for f; do
		cp "$src/etc/$f.conf" "$work/$g.conf" && chmod 600 "$work/$g.conf"
		ok "etc/$f.conf is good" "$bin" check -c "$work/$g.conf"
		g=b
	done
	gw_start b && gw_start a || finish
}
ends() { gw_stop a; gw_stop b; }

for pair in "site-to-site-psk-a site-to-site-psk-b" "trap site-to-site-psk-b" "trap-each site-to-site-psk-b"; do
	# shellcheck disable=SC2086
	example $pair
	case $pair in
	trap*) is "nothing is up before the first packet" "$(sas a true) $(sas b true)" "0 0" ;;
	*) ok "it comes up by itself" wait_for 5 eval '[ "$(sas a "$q_esp")" = 2 ]' ;;
	esac
	ok "the first packet arrives" ping_ok "$ns_host_a" 10.2.0.2 -c 1 -W 5
	ok "and the other way round" ping_ok "$ns_host_b" 10.1.0.2 -c 1 -W 5
	is "one IKE SA" "$(sas a "$q_ike") $(sas b "$q_ike")" "1 1"
	ends
done

# without start_action = start, which would bring it up before we ask
sed 's/^tun/export_keys = yes\n&/; s/start_action = start/start_action = trap/' "$src/etc/site-to-site-psk-a.conf" >"$work/a.conf"
cp "$src/etc/site-to-site-psk-b.conf" "$work/b.conf"
chmod 600 "$work"/*.conf
gw_start a && gw_start b || finish
says() { local g=$1 words=$2; shift 2; order "$g" "$@" 2>&1 | grep -qF -- "$words"; }
spi() { conn a '.sas[0].children[0].spi_in'; }
id() { conn a '.sas[0].id'; }

ok "down: it is not up" says a "site-b is not up" down site-b
ok "rekey: it is not up" says a "site-b is not up" rekey site-b
ok "no such name" says a "named site-c" up site-c
ok "up" order a up site-b
ok "up: it is up already" says a "site-b is up already" up site-b
before=$(spi)
ok "rekey of the child" order a rekey site-b/net
is "it has another SPI" "$([ "$(spi)" != "$before" ] && echo yes)" yes
before=$(id)
ok "rekey of the IKE SA" order a rekey site-b
is "it is another" "$([ "$(id)" != "$before" ] && echo yes)" yes
before=$(id)
ok "rekey with authentication" order a rekey site-b --reauth
ok "it is another, too, and the old one goes" wait_for 5 eval '[ "$(id)" != "$before" ]'
ok "list conns names it" says a "site-b" list conns
ok "with its selectors" says a "10.2.0.0/16" list conns
ok "list sas has its SPI" says a "$(spi)" list sas
ok "list certs without any" order a list certs
ok "status: the proposal" says a "aes256gcm16" status
ok "status: who started" says a "started by us" status
ok "status of the other: who started" says b "started by the peer" status
ok "status: when new keys are due" says a "next rekey in" status
mkdir "$work/keys"
ok "keys" order a keys --wireshark "$work/keys"
ok "keys of the IKE SA" eval '[ "$(grep -c . "$work/keys/ikev2_decryption_table")" -ge 1 ]'
ok "keys of ESP" eval '[ "$(grep -c . "$work/keys/esp_sa")" -ge 2 ]'
before=$(spi)
ok "reload" order a reload
is "nothing has changed" "$(spi)" "$before"
ok "down of the child" order a down site-b/net
is "the IKE SA stays" "$(sas a "$q_ike") $(sas a "$q_esp") $(sas b "$q_esp")" "1 0 0"
ok "up of the child" order a up site-b/net
ok "down by the other side" order b down site-a
wait_for 5 eval '[ "$(sas a true)" = 0 ]'
is "nothing is up" "$(sas a true) $(sas b true)" "0 0"
ok "a packet brings it up again" ping_ok "$ns_host_b" 10.1.0.2 -c 1 -W 5
finish
