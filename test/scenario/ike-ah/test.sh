#!/usr/bin/env bash
# AH agreed on by IKE, and with IKEv1 AH around ESP: tunnel and transport mode, IPv4 and IPv6 outside, new keys; only AH is on the wire.
# Through a NAT it is refused in words.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping nc tcpdump tshark jq
topology
random_file "$work/file" 200001
ah_only="(ip proto 51 or ip6 proto 51)"
# a first message may be larger than the link: what is behind its first fragment shows no ports
ike_wire="(udp port 500 or udp port 4500 or (ip proto 17 and ip[6:2] & 0x1fff != 0) or (ip6[6] = 44 and ip6[40] = 17))"

# run_case WHAT FROM TO
run_case() {
	local what=$1 from=$2 to=$3
	ike_pair
	pair_start || return
	capture "$ns_a" wan "$work/case.pcap" && wire=$last
	ok "$what: up" ike_up
	ok "$what: ping" ping_ok "$from" "$to"
	ok "$what: a file" send_file "$from" "$([ "$from" = "$ns_a" ] && echo "$ns_b" || echo "$ns_host_b")" "$to" 7000 "$work/file"
	ok "$what: new keys from the other side" order b rekey site-a/net
	ok "$what: ping with them" ping_ok "$from" "$to"
	ok "$what: a new IKE SA" order a rekey site-b
	ok "$what: ping with it" ping_ok "$from" "$to"
	capture_stop "$wire"
	is "$what: only AH and IKE on the wire" \
		"$(frames "$work/case.pcap" "$not_arp and not $ah_only and not $ike_wire")" 0
	num "$what: frames" "$(frames "$work/case.pcap" "$ah_only")" -gt 20
	is "$what: nothing refused" "$(drops a auth)$(drops b auth)$(drops b policy_in)$(drops b unknown_spi)" 0000
	ok "$what: down" order a down site-b
	is "$what: nothing is left" "$(wait_for 5 eval '[ "$(sas b true)" = 0 ]'; sas b true)" 0
	pair_stop || fail "$what: ends well"
}

for v in 2 1; do
	ike_defaults
	ike_version=$v ike_nets_a='"10.1.0.0/16"' ike_nets_b='"10.2.0.0/16"'
	ike_child='ah_proposals = {"sha256-modp2048", sha384}'
	run_case "IKEv$v, tunnel, IPv4" "$ns_host_a" 10.2.0.2
	ike_wan_a=2001:db8::1 ike_wan_b=2001:db8::2
	run_case "IKEv$v, tunnel, IPv6" "$ns_host_a" 10.2.0.2
	ike_nets_a=dynamic ike_nets_b=dynamic ike_child=$'ah_proposals = sha256\nmode = transport'
	run_case "IKEv$v, transport, IPv6" "$ns_a" 2001:db8::2
	ike_wan_a=192.0.2.1 ike_wan_b=192.0.2.2 ike_child=$'ah_proposals = {"aes128gmac-esn"}\nmode = transport'
	run_case "IKEv$v, transport with GMAC, IPv4" "$ns_a" 192.0.2.2
done

ike_defaults
ike_version=1 ike_nets_a='"10.1.0.0/16"' ike_nets_b='"10.2.0.0/16"'
ike_child=$'ah_proposals = aes256gmac\nesp_proposals = aes128gcm16'
run_case "IKEv1, AH over an ESP tunnel" "$ns_host_a" 10.2.0.2
is "every frame has ESP in AH" "$(frames "$work/case.pcap" "ip proto 51 and ip[20] != 50")" 0

# the examples of etc/, as they are
for example in ah ikev1-bundle; do
	for g in a b; do
		cp "$src/etc/$example-$g.conf" "$work/$g.conf"
		chmod 600 "$work/$g.conf"
	done
	pair_start || break
	capture "$ns_a" wan "$work/case.pcap" && wire=$last
	ok "etc/$example-a.conf and its peer: up" wait_for 10 eval '[ "$(sas a ".proto == \"ah\"")" = 2 ]'
	ok "etc/$example-a.conf and its peer: ping" ping_ok "$ns_host_b" 10.1.0.2
	capture_stop "$wire"
	is "etc/$example-a.conf and its peer: only AH and IKE on the wire" \
		"$(frames "$work/case.pcap" "$not_arp and not $ah_only and not $ike_wire")" 0
	is "etc/$example-a.conf and its peer: what is in AH" \
		"$(tshark -r "$work/case.pcap" -Y ah -T fields -e ah.next_header 2>/dev/null | sort -u)" "$([ $example = ah ] && echo 4 || echo 50)"
	pair_stop || fail "etc/$example-a.conf and its peer: ends well"
done

# a NAT that only changes ports is one, too
if command -v nft >/dev/null && in_ns "$ns_a" nft -f - <<-X
	table ip nat {
		chain post {
			type nat hook postrouting priority srcnat;
			oifname "wan" udp sport { 500, 4500 } masquerade to :20000-20100
		}
	}
X
then
	ike_defaults
	ike_child='ah_proposals = sha256'
	ike_pair
	if pair_start; then
		said=$(ike_up site-b/net 2>&1) && fail "AH through a NAT is refused" || pass "AH through a NAT is refused"
		ok "who asked is told" grep -q 'NAT in between, which AH cannot cross' <<<"$said" || note "$said"
		ok "and who was asked" grep -q 'NAT in between, which AH cannot cross' "$work/b.log.err"
	fi
else
	skip "AH through a NAT is refused" "no nft here"
fi
finish
