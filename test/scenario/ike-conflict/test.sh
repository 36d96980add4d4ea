#!/usr/bin/env bash
# RFC 3948 5: two clients whose packets their server could not tell apart. In transport mode behind one NAT, and in tunnel mode with
# the same inner address; the second is refused in words, the first goes on, and what differs comes up.
#   a 10.0.1.2 -.
#   c 10.0.1.3 -+- 10.0.1.1 nat 192.0.2.1 === 192.0.2.2 b
. "$(dirname "$0")/../lib.sh"
need nft jq ping nc
space a c nat b
ip -n "$ns_nat" link add in type bridge forward_delay 0 || tap_skip_all "no bridges here"
ip -n "$ns_nat" link set in up
cable "$ns_a" wan "$ns_nat" pa
cable "$ns_c" wan "$ns_nat" pc
cable "$ns_nat" out "$ns_b" wan
for p in pa pc; do ip -n "$ns_nat" link set $p master in; done
address "$ns_nat" in 10.0.1.1/24
address "$ns_nat" out 192.0.2.1/24
address "$ns_a" wan 10.0.1.2/24
address "$ns_c" wan 10.0.1.3/24
address "$ns_b" wan 192.0.2.2/24
for n in a c; do ip -n "bw-$$-$n" route add default via 10.0.1.1; done
in_ns "$ns_nat" nft -f - <<-X || tap_skip_all "nftables cannot masquerade here"
	table ip nat {
		chain post {
			type nat hook postrouting priority srcnat;
			oifname "out" udp sport { 500, 4500 } masquerade to :20000-20100
		}
	}
X

# client NAME LOCAL_TS: reads $mode $version
client() {
	local server=dynamic
	[ "$mode" = transport ] || server=10.5.0.0/16
	cat >"$work/$1.conf" <<-X
		ike_retransmit_timeout = 500ms
		ike_retransmit_tries = 3
		tun bw0 {
			mtu = 1300
			${3:-}
		}
		connection server {
			version = $version
			aggressive = $([ $version = 1 ] && echo yes || echo no)
			local_addrs = $4
			remote_addrs = 192.0.2.2
			local {
				auth = psk
				id = $1.example
			}
			remote {
				auth = psk
				id = b.example
			}
			child net {
				mode = $mode
				local_ts = "$2"
				remote_ts = "$server"
			}
		}
		secret all {
			secret = "of them all"
		}
	X
	chmod 600 "$work/$1.conf"
}
server() {
	local ours=dynamic theirs=dynamic
	[ "$mode" = transport ] || { ours=10.5.0.0/16 theirs=10.1.0.0/16; }
	cat >"$work/b.conf" <<-X
		tun bw0 {
			mtu = 1300
			$([ "$mode" = transport ] || echo 'address = {"10.5.0.1/16"}')
		}
		connection clients {
			version = $version
			aggressive = $([ $version = 1 ] && echo yes || echo no)
			local_addrs = 192.0.2.2
			local {
				auth = psk
				id = b.example
			}
			remote {
				auth = psk
				id = "*.example"
			}
			child net {
				mode = $mode
				local_ts = "$ours"
				remote_ts = "$theirs"
			}
		}
		secret all {
			secret = "of them all"
		}
	X
	chmod 600 "$work/b.conf"
}

order() { local g=$1; shift; timeout 20 "$bin" "$@" --run-dir "$work/$g.run"; }
children() { bw b list sas --json | jq '[.[] | select(.proto == "ike") | .children[]] | length'; }
all_stop() { gw_stop a; gw_stop c; gw_stop b; }

# refused WHAT NOTIFY SECTION: c's child, in words on both sides
refused() {
	local said
	if said=$(order c up server/net 2>&1); then
		fail "$1: the second is refused"
	else
		pass "$1: the second is refused"
	fi
	ok "$1: it says what the server said" grep -q "$2" <<<"$said" || note "$said"
	ok "$1: the server says why" grep -q "a.example.*RFC 3948 $3" "$work/b.log.err"
	is "$1: one child there" "$(children)" 1
}

for version in 2 1; do
	notify=TS_UNACCEPTABLE
	[ $version = 2 ] || notify=INVALID-ID-INFORMATION
	what="IKEv$version, transport mode"
	mode=transport
	server
	client a dynamic '' 10.0.1.2
	client c dynamic '' 10.0.1.3
	if gw_start b && gw_start a && gw_start c; then
		ok "$what: the first" order a up server/net
		ok "$what: ping" ping_ok "$ns_a" 192.0.2.2
		refused "$what" $notify 5.2
		ok "$what: the first goes on" ping_ok "$ns_a" 192.0.2.2
		ok "$what: the first ends" order a down server
		ok "$what: then the second comes up" wait_for 10 order c up server/net
		ok "$what: ping from there" ping_ok "$ns_c" 192.0.2.2
	fi
	all_stop
	client a 'dynamic[icmp]' '' 10.0.1.2
	client c 'dynamic[tcp]' '' 10.0.1.3
	if gw_start b && gw_start a && gw_start c; then
		ok "$what: one with ICMP" order a up server/net
		ok "$what: one with TCP" order c up server/net
		is "$what: both are there" "$(children)" 2
		ok "$what: ping" ping_ok "$ns_a" 192.0.2.2
		random_file "$work/file" 100001
		ok "$what: a file" send_file "$ns_c" "$ns_b" 192.0.2.2 7000 "$work/file"
	fi
	all_stop
	what="IKEv$version, tunnel mode"
	mode=tunnel
	server
	client a 10.1.2.3/32 'address = {"10.1.2.3/32"}' 10.0.1.2
	client c 10.1.2.3/32 'address = {"10.1.2.3/32"}' 10.0.1.3
	if gw_start b && gw_start a && gw_start c; then
		ok "$what: the first" order a up server/net
		ok "$what: ping" ping_ok "$ns_a" 10.5.0.1
		refused "$what" $notify 5.1
		ok "$what: the first goes on" ping_ok "$ns_a" 10.5.0.1
	fi
	all_stop
done
finish
