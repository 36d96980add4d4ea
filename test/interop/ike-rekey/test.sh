#!/usr/bin/env bash
# New keys against strongSwan while a TCP stream and 100 pings a second pass: of the child, of the IKE SA, and
# authentication anew, asked for at either side, with and without a key exchange of the child's own (PFS). Nothing is
# lost, nothing goes in the clear, and nothing of what was replaced stays. The same by lifetimes: ike-lifetimes.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping
swan_need
topology
sw_charon='make_before_break = yes
	delete_rekeyed_delay = 1'

order() { timeout 20 "$bin" "$@" --run-dir "$work/a.run"; }
# asks ARGUMENTS...: swanctl --rekey does not wait for the end, and knows no UDP
asks() { swan b --rekey "$@" && wait_for 5 others; }
others() { [ "$before" != "$("$spi" a)" ]; }
# child_group: the group of the newest child's own key exchange, nothing without PFS
child_group() { swan_sas b | sed 's/.*child-sas {//' | grep -oE '[ {]dh-group=[^ }]*' | tail -n 1 | sed 's/.*=//'; }

# changes WHAT CHILD|SA COMMAND...: new keys without a loss
changes() {
	local what=$1 before spi=ike_$2_spi
	shift 2
	before=$("$spi" a)
	ok "$what: nothing is lost" ike_through "$@" || swan_show b
	ok "$what: another SPI" others
}
settles() { ok "$1: one IKE SA and one child are left on both sides" wait_for 10 ike_settled || note "$(bw a list sas)" "$(swan_sas b)"; }

ike_swan_start
ok "up" ike_up a site-b
capture "$ns_a" wan "$work/plain.pcap"
cap=$last
changes "child, by bumpwire" child order rekey site-b/net
changes "child, by strongSwan" child asks --child net
is "without PFS: no group of the child's own" "$(child_group)" ""
changes "IKE SA, by bumpwire" sa order rekey site-b
changes "IKE SA, by strongSwan" sa asks --ike peer
changes "authentication, by bumpwire" sa order rekey --reauth site-b
changes "authentication, by strongSwan" sa asks --ike peer --reauth
settles "without PFS"
capture_stop "$cap"
ike_wire "without PFS" "$work/plain.pcap"
ike_swan_end

sw_charon='delete_rekeyed_delay = 1'
ik_esp='"aes128gcm16-ecp256"' sw_esp=aes128gcm16-ecp256
ike_swan_start
ok "up by strongSwan, with PFS" swan_up b net
capture "$ns_a" wan "$work/pfs.pcap"
cap=$last
changes "PFS, by bumpwire" child order rekey site-b/net
is "PFS, by bumpwire: the child's own group" "$(child_group)" ECP_256
changes "PFS, by strongSwan" child asks --child net
is "PFS, by strongSwan: the child's own group" "$(child_group)" ECP_256
settles PFS
capture_stop "$cap"
ike_wire PFS "$work/pfs.pcap"
ike_swan_end
finish
