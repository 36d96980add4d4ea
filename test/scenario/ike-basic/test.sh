#!/usr/bin/env bash
# Two gateways with a shared secret: up, traffic both ways, every command about connections, new keys while pings
# go on, decryption of the capture with exported keys, down.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq tshark tcpdump
topology
ike_top_a='export_keys = yes'
ike_pair
pair_start || finish
capture "$ns_a" wan "$work/wire.pcap"
wire=$last
background "$ns_a" "$work/monitor" "$bin" monitor --json --run-dir "$work/a.run"

is "nothing is up before it is asked for" "$(sas a true)" 0
ok "list conns tells of the connection" eval 'bw a list conns | grep -q "^site-b: IKEv2, 0 IKE SAs"'
ok "status, too" eval 'bw a status | grep -q "  site-b: down"'

ok "up" eval 'ike_up >"$work/up"'
note "$(cat "$work/up")"
num "it told how it went on" "$(wc -l <"$work/up")" -ge 3
ok "ping from A to B, at once" ping_ok "$ns_host_a" 10.2.0.2
ok "ping from B to A" ping_ok "$ns_host_b" 10.1.0.2
ok "ping with IPv6" ping_ok "$ns_host_a" fd02::2
for g in a b; do
	is "$g: one IKE SA" "$(sas $g "$q_ike")" 1
	is "$g: one SA each way" "$(sas $g "$q_esp")" 2
	is "$g: no failure" "$(conn $g .last_failure)" null
	num "$g: traffic of the child" "$(conn $g '.sas[0].children[0].in.packets')" -ge 9
	ok "$g: the proposal" eval 'conn $g ".sas[0].proposal, .sas[0].children[0].proposal" | grep -q aes'
	num "$g: new keys are due" "$(conn $g '.sas[0].rekey_in_s')" -gt 3600
done
is "A started it" "$(conn a '.sas[0].started_by')" us
is "says B, too" "$(conn b '.sas[0].started_by')" peer
is "B knows A" "$(conn b '.sas[0].remote_id')" a.example
is "no NAT was found" "$(conn a '.sas[0].nat.local or .sas[0].nat.remote')" false
ok "status in words" eval 'bw a status | grep -q "IKEv2 #[0-9]* established .*started by us"'
ok "routes lead to the TUN device" eval 'gw_a ip route get 10.2.0.2 | grep -q "dev bw0"'
ok "with a source address of the local network" eval 'gw_a ip route get 10.2.0.2 | grep -q "src 10.1.0.1"'
ok "so that the gateway itself can ping" eval 'gw_a ping -c 1 -W 2 -q 10.2.0.2'
ok "up again is refused or done at once" eval 'ike_up || true'
is "and changes nothing" "$(sas a "$q_esp")" 2

spi=$(conn a '.sas[0].children[0].spi_in')
ok "rekey of the child under pings" steady order a rekey site-b/net
ok "it has another SPI" not test "$spi" = "$(conn a '.sas[0].children[0].spi_in')"
ike=$(conn a '.sas[0].spi_i')
ok "rekey of all under pings, by B" steady order b rekey site-a
ok "the IKE SA has another SPI" not test "$ike" = "$(conn a '.sas[0].spi_i')"
ike=$(conn a '.sas[0].spi_i')
ok "new authentication under pings" steady order a rekey --reauth site-b
ok "the IKE SA has another SPI" not test "$ike" = "$(conn a '.sas[0].spi_i')"
for g in a b; do
	wait_for 5 eval '[ "$(sas $g "$q_ike")" = 1 ] && [ "$(sas $g "$q_esp")" = 2 ]'
	is "$g: old SAs are gone" "$(sas $g "$q_ike or $q_esp")" 3
done

mkdir "$work/profile"
ok "keys for Wireshark" bw a keys --wireshark "$work/profile"
ok "B does not give any" not bw b keys --wireshark "$work/profile.b"
ok "down" order a down site-b
capture_stop "$wire"
wait_for 5 eval '[ "$(sas b true)" = 0 ]'
is "A has no SA left" "$(sas a true)" 0
is "B has none either" "$(sas b true)" 0
is "no policy is left" "$(bw a list policies --json | jq length)" 0
ok "no route is left" eval '! gw_a ip route show table all | grep -q "10.2.0.0/16 dev bw0"'
ok "what is not there is refused" not order a up nobody
ok "with a reason" eval 'order a up nobody 2>&1 | grep -q nobody'

ok "tshark finds the IKE keys" test -s "$work/profile/ikev2_decryption_table"
export XDG_CONFIG_HOME=$work/xdg
mkdir -p "$work/xdg/wireshark"
cp "$work/profile/ikev2_decryption_table" "$work/profile/esp_sa" "$work/xdg/wireshark/"
num "IKE_AUTH can be read: identification payloads" \
	"$(tshark -r "$work/wire.pcap" -Y 'isakmp.typepayload == 35' -T fields -e frame.number 2>/dev/null | wc -l)" -ge 2
num "ESP can be read: pings inside" \
	"$(tshark -r "$work/wire.pcap" -o esp.enable_encryption_decode:TRUE -Y 'esp && icmp' -T fields -e frame.number 2>/dev/null | wc -l)" -ge 10
unset XDG_CONFIG_HOME

for e in ike_up child_up child_rekeyed ike_rekeyed child_down ike_down order_done; do
	ok "monitor has told of $e" grep -q "\"event\": *\"$e\"" "$work/monitor"
done

gw_stop b
ok "without B, up fails" not ike_up
ok "and says why" eval 'bw a status | grep -q "last failure"'
note "$(conn a .last_failure.what)"
finish
