#!/usr/bin/env bash
# IKEv1: lifetimes of seconds against strongSwan, while a TCP stream and 100 pings a second pass: of the child and of
# phase 1 at bumpwire, then at strongSwan, whoever brought them up; of bytes; then at both at once, so that they meet.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping
swan_need
topology

phase1='over_time = 20s
	rand_time = 0
	rekey_time'
quick='life_time = 30s
	rand_time = 0
	rekey_time'
v1() {
	ik_version=1 sw_version=1
	ik_proposals='"aes128-sha256-ecp256"' sw_proposals=aes128-sha256-ecp256
	ik_esp='"aes128-sha256"' sw_esp=aes128-sha256
	children='' ikes=''
}

# changes CHILD IKE: until there have been so many new SPIs of each
changes() { wait_for 40 changed "$@"; }
changed() {
	local c i
	c=$(ike_child_spi a) i=$(ike_sa_spi a)
	[[ " $children " == *" $c "* ]] || children+=" $c"
	[[ " $ikes " == *" $i "* ]] || ikes+=" $i"
	[ "$(wc -w <<<"$children")" -gt "$1" ] && [ "$(wc -w <<<"$ikes")" -gt "$2" ]
}
few() { [ "$(ike_count a true)" -le "$1" ]; }
# lives WHAT CHILD IKE [LEFT]: so many new SPIs without a loss, and at most LEFT (2) phases 1 beside each other. One that
# has been replaced stays for a quarter of its lifetime, or half, but not longer than 16 seconds.
lives() {
	ok "$1: nothing is lost" ike_through changes "$2" "$3" || { swan_show b; note "children$children, IKE SAs$ikes"; }
	ok "$1: traffic goes on" ping_ok "$ns_host_b" 10.1.0.2
	ok "$1: no more phases 1 than are replaced in the time that they stay" wait_for 5 few "${4:-2}" || note "$(bw a list sas)"
	ok "$1: never an error" not grep -qE 'RETRY LIMIT|phase 1 failed|INVALID' "$work/a.log.err" ||
		note "$(grep -E 'RETRY LIMIT|phase 1 failed|INVALID' "$work/a.log.err" | head)"
	ike_swan_end
	v1
}

v1
ik_extra="$phase1 = 4s" ik_child_extra="$quick = 2s"
ike_swan_start
ok "bumpwire's: up" ike_up a site-b
lives "bumpwire's" 3 2

sw_extra="$phase1 = 4s" sw_child_extra="$quick = 2s"
ike_swan_start
ok "strongSwan's: up by strongSwan" swan_up b net
lives "strongSwan's" 2 1 6

# who called does not begin anew
sw_extra="$phase1 = 4s" sw_child_extra="$quick = 2s"
ike_swan_start
ok "strongSwan's, called: up" ike_up a site-b
lives "strongSwan's, called" 2 1 6

ik_child_extra=$'rekey_bytes = 300k\n\trand_bytes = 0\n\tlife_bytes = 1G'
ike_swan_start
ok "of bytes: up" ike_up a site-b
lives "of bytes" 3 0

# two phases 1 cross; strongSwan has children under that which it began, and would end them with it
ik_extra="$phase1 = 4s" ik_child_extra="$quick = 3s"
sw_extra="$phase1 = 4s" sw_child_extra="$quick = 3s"
ike_swan_start
ok "both sides': up" ike_up a site-b
lives "both sides'" 4 2
finish
