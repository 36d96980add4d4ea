#!/usr/bin/env bash
# Lifetimes of seconds against strongSwan, while a TCP stream and 100 pings a second pass: of the child and of the
# IKE SA at bumpwire, then at strongSwan; of the authentication; of bytes; then at both at once, so that they meet.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-strongswan.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping
swan_need
topology

short='make_before_break = yes
	delete_rekeyed_delay = 1'
quick='life_time = 30s
	rand_time = 0
	rekey_time'
# changes [CHILD] [IKE]: SPIs are others after so many changes of each; that takes a few seconds
changes() { wait_for 40 changed "$@"; }
changed() {
	local c i
	c=$(ike_child_spi a) i=$(ike_sa_spi a)
	[[ " $children " == *" $c "* ]] || children+=" $c"
	[[ " $ikes " == *" $i "* ]] || ikes+=" $i"
	[ "$(wc -w <<<"$children")" -gt "$1" ] && [ "$(wc -w <<<"$ikes")" -gt "$2" ]
}
# lives WHAT CHILD IKE: so many new SPIs without a loss
lives() {
	children='' ikes=''
	ok "$1: nothing is lost" ike_through changes "$2" "$3" || swan_show b
	ok "$1: traffic goes on" ping_ok "$ns_host_b" 10.1.0.2
	# when both have rekeyed at once there are three until the one that lost is deleted
	ok "$1: IKE SAs, with one on its way in or out at most" wait_for 5 few || note "$(ike_count a true)"
}
few() { [ "$(ike_count a true)" -le 2 ]; }

sw_charon=$short
ik_extra=$'rekey_time = 2s\n\tover_time = 20s\n\trand_time = 0'
ik_child_extra="$quick = 1s"
ike_swan_start
ok "up" ike_up a site-b
lives "bumpwire's" 2 1
ike_swan_end

sw_charon=$short
sw_extra=$'rekey_time = 2s\n\t\tover_time = 20s\n\t\trand_time = 0'
sw_child_extra="$quick = 1s"
ike_swan_start
ok "up by strongSwan" swan_up b net
lives "strongSwan's" 2 1
ike_swan_end

sw_charon=$short
ik_extra=$'reauth_time = 2s\n\tover_time = 20s\n\trand_time = 0'
ik_child_extra=$'rekey_bytes = 300k\n\trand_bytes = 0\n\tlife_bytes = 1G'
ike_swan_start
ok "up, with authentication anew after two seconds" ike_up a site-b
lives "of authentication, and of bytes" 3 1
ike_swan_end

sw_charon=$short
ik_extra=$'rekey_time = 2s\n\tover_time = 20s\n\trand_time = 0' sw_extra=$ik_extra
ik_child_extra="$quick = 1s" sw_child_extra="$quick = 1s"
ike_swan_start
ok "up, with the same lifetimes on both sides" ike_up a site-b
lives "both sides'" 3 2
ike_swan_end
finish
