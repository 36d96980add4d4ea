#!/usr/bin/env bash
# The exchanges of RFC 2408 section 4 that are off unless configured: Base, with traffic after it, and Authentication Only,
# which leaves nothing; tshark sees which payloads go in which message. A peer that has not got them refuses.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping tcpdump tshark jq
topology
ike_version=1
ike_nets_a='"10.1.0.0/16"' ike_nets_b='"10.2.0.0/16"'

# messages FILE TYPE: the payload types of each message of an exchange type
messages() { tshark -r "$1" -Y "isakmp.exchangetype == $2" -T fields -e isakmp.typepayload 2>/dev/null; }
# nth FILE TYPE N: of the N-th, without vendor IDs (13), NAT-D (20) and the parts of the SA (2, 3)
nth() { messages "$1" "$2" | sed -n "$3p" | tr ',' '\n' | grep -vxE '13|20|2|3' | paste -sd,; }

ike_conn=$'exchange = base\n\tcommit_bit = yes'
ike_pair
ok "base: a secret is warned of" eval '"$bin" check -c "$work/a.conf" 2>&1 | grep -q "guess the secret"'
pair_start || finish
capture "$ns_a" wan "$work/base.pcap"
wire=$last
ok "base: up" ike_up || { gw_show a; gw_show b; }
ok "base: ping" ping_ok "$ns_host_a" 10.2.0.2
ok "base: ping back" ping_ok "$ns_host_b" 10.1.0.2
ok "base: new keys under pings" steady order b rekey site-a/net
ok "base: a new phase 1 under pings, by the other side" steady order b rekey site-a
ok "base: down" order a down site-b
capture_stop "$wire"
is "base: SA and nonce" "$(nth "$work/base.pcap" 1 1) $(nth "$work/base.pcap" 1 2)" "1,10 1,10"
is "base: then KE, identity, proof" "$(nth "$work/base.pcap" 1 3) $(nth "$work/base.pcap" 1 4)" "4,5,8 4,5,8"
is "base: no Main Mode" "$(messages "$work/base.pcap" 2 | wc -l)" 0
pair_stop || fail "base: ends well"

ike_conn='exchange = authentication'
ike_pair
for g in a b; do # nothing is carried
	awk '/^\tchild net/ { skip = 1 } !skip { print } skip && /^\t}/ { skip = 0 }' "$work/$g.conf" >"$work/$g.new"
	cat "$work/$g.new" >"$work/$g.conf"
done
pair_start || finish
capture "$ns_a" wan "$work/auth.pcap"
wire=$last
ok "authentication: done" eval 'ike_up >"$work/up"' || { gw_show a; gw_show b; }
ok "authentication: it says who" grep -q 'b.example has proved who it is' "$work/up" || note "$(cat "$work/up")"
ok "authentication: B knows, too" wait_for 3 grep -q 'a.example has proved who it is' "$work/b.log" "$work/b.log.err"
is "authentication: nothing is up" "$(sas a '.state == "established"') $(sas b '.state == "established"')" "0 0"
ok "authentication: nothing stays" wait_for 15 eval '[ "$(sas a true) $(sas b true)" = "0 0" ]'
capture_stop "$wire"
is "authentication: SA and nonce; with identity and proof; identity and proof" \
	"$(for i in 1 2 3; do nth "$work/auth.pcap" 3 $i; done | paste -sd' ')" "1,10 1,10,5,8 5,8"
pair_stop || fail "authentication: ends well"

ike_conn='' ike_conn_a='exchange = base'
ike_pair
pair_start || finish
ok "off at B: refused" not ike_up
ok "off at B: with the notify" eval 'bw a status | grep -q UNSUPPORTED-EXCHANGE-TYPE' || note "$(bw a status)"
ok "Main Mode by B is taken all the same" order b up site-a
ok "and carries" ping_ok "$ns_host_b" 10.1.0.2
pair_stop || fail "off at B: ends well"
finish
