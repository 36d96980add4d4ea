#!/usr/bin/env bash
# AH around ESP, agreed on by IKEv1 as one proposal of two protocols: in tunnel and in transport mode, with PFS; the wire has
# nothing but IKE and AH with ESP in it; new keys under traffic; what has only one of the two gets nothing.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping nc tcpdump tshark jq
topology
random_file "$work/file" 300001
ike_version=1
ike_top+=$'\nexport_keys = yes'
ike_nets_a='"10.1.0.0/16"' ike_nets_b='"10.2.0.0/16"'
both='esp_proposals = "aes128gcm16-ecp256" ah_proposals = "sha256-ecp256"'
ah_raw='ip proto 51'
# AH (24 bytes with its 12 bytes of ICV, 28 with 16) says that ESP follows
ah_with_esp="$ah_raw and ip[20] = 50"
ike='(udp port 500 or (ip proto 17 and ip[6:2] & 0x1fff != 0))'

# what the device's own IPv6 says finds no policy
lost() { status "$1" '[.drops[] | select(.reason != "no_policy") | .packets] | add // 0'; }

ike_child=$both
ike_pair
pair_start || finish
capture "$ns_a" wan "$work/tunnel.pcap"
wire=$last
ok "tunnel: up" ike_up || { gw_show a; gw_show b; }
is "tunnel: two SAs each way on both" "$(sas a "$q_esp") $(sas a '.proto == "ah"') $(sas b "$q_esp") $(sas b '.proto == "ah"')" "2 2 2 2"
ok "tunnel: ping" ping_ok "$ns_host_a" 10.2.0.2
ok "tunnel: ping back" ping_ok "$ns_host_b" 10.1.0.2
ok "tunnel: a file" send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 7000 "$work/file"
ok "tunnel: new keys under pings, by A" steady order a rekey site-b/net
ok "tunnel: and by B" steady order b rekey site-a/net
ok "tunnel: a new phase 1 under pings" steady order a rekey site-b
ok "tunnel: ping after all" ping_ok "$ns_host_a" 10.2.0.2
for g in a b; do
	ok "$g: old SAs go" wait_for 25 eval '[ "$(sas $g "$q_ike") $(sas $g "$q_esp") $(sas $g ".proto == \"ah\"")" = "1 2 2" ]'
	is "$g: nothing was dropped" "$(lost $g)" 0
done
mkdir -p "$work/xdg/wireshark"
ok "tunnel: keys for Wireshark" bw a keys --wireshark "$work/xdg/wireshark"
ok "tunnel: down" order a down site-b
ok "tunnel: nothing is left at B" wait_for 5 eval '[ "$(sas b true)" = 0 ]'
capture_stop "$wire"
num "tunnel: ESP inside AH is on the wire" "$(frames "$work/tunnel.pcap" "$ah_with_esp")" -ge 100
is "tunnel: and nothing else but IKE" "$(frames "$work/tunnel.pcap" "$not_arp and not ($ah_with_esp or $ike)")" 0
is "tunnel: one outer header" "$(tshark -r "$work/tunnel.pcap" -Y 'ah.next_header == 4' 2>/dev/null | wc -l)" 0
export XDG_CONFIG_HOME=$work/xdg
num "tunnel: both protocols are in the proposal, under one number" \
	"$(tshark -r "$work/tunnel.pcap" -Y 'isakmp.exchangetype == 32' -T fields -e isakmp.prop.number -e isakmp.prop.protoid 2>/dev/null |
		tee "$work/proposals" | awk '{ n = split($1, a, ","); m = split($2, p, ",") } n == 2 && a[1] == a[2] && p[1] p[2] == "32"' | wc -l)" -ge 2
note "$(sort -u "$work/proposals")"
num "tunnel: tshark agrees with what AH covers: pings inside can be read" \
	"$(tshark -r "$work/tunnel.pcap" -o esp.enable_encryption_decode:TRUE -Y 'ah && esp && icmp' 2>/dev/null | wc -l)" -ge 10
unset XDG_CONFIG_HOME
pair_stop || fail "tunnel: ends well"

ike_child="$both mode = transport" ike_nets_a=dynamic ike_nets_b=dynamic
ike_pair
pair_start || finish
ok "transport: up, from B" eval 'order b up site-a'
ok "transport: ping between the gateways" ping_ok "$ns_a" 192.0.2.2
ok "transport: a file" send_file "$ns_a" "$ns_b" 192.0.2.2 7001 "$work/file"
is "transport: nothing was dropped" "$(lost a) $(lost b)" "0 0"
pair_stop || fail "transport: ends well"

ike_nets_a='"10.1.0.0/16"' ike_nets_b='"10.2.0.0/16"' ike_child=''
ike_child_a=$both ike_child_b='esp_proposals = "aes128gcm16-ecp256"'
ike_pair
pair_start || finish
ok "B without AH: refused" not ike_up
ok "B without AH: with words at A" eval 'bw a status | grep -q "none of our proposals"' || note "$(bw a status)"
ok "B without AH: and at B" eval 'bw b status | grep -q "bundles"' || note "$(bw b status)"
ok "B's ESP alone is not taken by A" not order b up site-a
is "nothing is up" "$(sas a "$q_esp") $(sas b "$q_esp")" "0 0"
pair_stop || fail "one side only: ends well"
finish
