#!/usr/bin/env bash
# What a connection may be about: everything behind the peer, while the network on our side stays reachable; three
# children of one connection, one by one; AH; IPv6 outside.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq tcpdump
topology
space host_c
cable "$ns_a" lan2 "$ns_host_c" eth0
address "$ns_a" lan2 10.1.128.1/24
address "$ns_host_c" eth0 10.1.128.2/24
ip -n "$ns_host_c" route add default via 10.1.128.1
ip -n "$ns_host_a" route add 10.1.128.0/24 via 10.1.0.1

# all the Internet behind B
ike_nets_a='"10.1.0.0/16"' ike_nets_b='"0.0.0.0/0"'
ike_child_b='start_action = none'
ike_pair
pair_start || finish
ok "everything behind the peer: up" ike_up
ok "traffic goes" ping_ok "$ns_host_a" 10.2.0.2
ok "and comes" ping_ok "$ns_host_b" 10.1.0.2
ok "other networks go into the tunnel, too" eval 'gw_a ip route get 203.0.113.1 | grep -q "dev bw0"'
ok "hosts on our side reach each other" ping_ok "$ns_host_c" 10.1.0.2
ok "and their gateway" ping_ok "$ns_host_c" 10.1.128.1
ok "status names the table" eval 'bw a status | grep -q "routes in table 25186"'
ok "down" order a down site-b
ok "the tables are as before" eval '[ -z "$(gw_a ip route show table 25186 2>/dev/null)" ] && ! gw_a ip rule | grep -q 25186'
pair_stop

# three children
ike_defaults
extra() { # extra NAME HERE THERE
	printf '}\n\tchild %s {\n\t\tlocal_ts = "%s"\n\t\tremote_ts = "%s"\n' "$1" "$2" "$3"
}
ike_nets_a='"10.1.0.0/24"' ike_nets_b='"10.2.0.0/24"'
ike_child_a="$(extra two 10.1.128.0/24 10.2.0.0/16)$(extra three 10.1.0.0/24 10.3.0.0/16)"
ike_child_b="$(extra two 10.2.0.0/16 10.1.128.0/24)$(extra three 10.3.0.0/16 10.1.0.0/24)"
ike_pair
pair_start || finish
ok "one child of three" ike_up site-b/two
is "only it is up" "$(conn a '[.sas[0].children[].name] | join(" ")')" two
ok "it carries its traffic" ping_ok "$ns_host_c" 10.2.0.2
ok "all three" ike_up
is "are up, in one IKE SA" "$(conn a '[.sas[].children[].name] | sort | join(" ")') $(conn a .n_sas)" "net three two 1"
ok "the first carries its traffic" ping_ok "$ns_host_a" 10.2.0.2
ok "one child down" order a down site-b/net
wait_for 5 eval '[ "$(conn b .n_children)" = 2 ]'
is "the other two stay" "$(conn a '[.sas[].children[].name] | sort | join(" ")') $(conn b .n_children)" "three two 2"
ok "their traffic, too" ping_ok "$ns_host_c" 10.2.0.2
pair_stop

# AH
ike_defaults
ike_child='ah_proposals = sha256'
ike_pair
pair_start || finish
ok "AH: up" ike_up
is "AH: it is AH" "$(conn a '.sas[0].children[0].proto')" ah
ok "AH: traffic" ping_ok "$ns_host_a" 10.2.0.2
ok "AH: new keys under pings" steady order a rekey site-b/net
pair_stop

# IPv6 outside, in and without UDP
for encap in no yes; do
	ike_defaults
	ike_wan_a=2001:db8::1 ike_wan_b=2001:db8::2 ike_conn="encap = $encap"
	ike_pair
	pair_start || finish
	ok "IPv6, encap = $encap: up" ike_up
	ok "IPv6, encap = $encap: traffic" ping_ok "$ns_host_a" 10.2.0.2
	ok "IPv6, encap = $encap: traffic of IPv6" ping_ok "$ns_host_b" fd01::2
	ok "IPv6, encap = $encap: new IKE SA" order b rekey site-a
	ok "IPv6, encap = $encap: still" ping_ok "$ns_host_a" 10.2.0.2
	pair_stop
done
finish
