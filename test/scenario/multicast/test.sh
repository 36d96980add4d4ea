#!/usr/bin/env bash
# SAs to multicast groups: three gateways on one link share SAs; each sends to both others, and nothing else
# is on the wire. Tunnels with an outer group, with the inner addresses outside (RFC 5374 3.1), transport mode,
# AH, ESP in UDP; several senders by numbers in their IVs (RFC 6054), and one SA for each of them.
. "$(dirname "$0")/../lib.sh"
need tcpdump tshark jq
group=$(dirname "$0")/group.py

space sw a b c
ip -n "$ns_sw" link add br0 type bridge mcast_snooping 0
ip -n "$ns_sw" link set br0 up
n=0
for g in a b c; do
	n=$((n + 1))
	ns_var=ns_$g
	cable "${!ns_var}" wan "$ns_sw" "p$g"
	ip -n "$ns_sw" link set "p$g" master br0
	address "${!ns_var}" wan "192.0.2.$n/24" "2001:db8::$n/64"
	# what comes out of the tunnel may answer to an address that is routed elsewhere
	in_ns "${!ns_var}" sh -c 'for f in all default wan; do echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter; done'
done

# one_sa NAME DIRECTION SPI DST [LINES]: reads $proto $mode $encap $cipher $preserve
one_sa() {
	printf 'sa %s {\n\tdirection = %s\n\tproto = %s\n\tmode = %s\n\tspi = %s\n\tdst = "%s"\n\tencap = %s\n\tinterface = wan\n' \
		"$1" "$2" "$proto" "$mode" "$3" "$4" "$encap"
	printf '\tcipher = "%s"\n' "$cipher"
	[ "$(key_bytes "$cipher")" = 0 ] || printf '\tkey = "%s"\n' "$(bytes "$(key_bytes "$cipher")" 7)"
	[ "$(integ_bytes "$cipher-$integ")" = 0 ] || printf '\tintegrity = "%s"\n\tinteg_key = "%s"\n' "$integ" "$(bytes "$(integ_bytes "$cipher-$integ")" 9)"
	[ $preserve = no ] || printf '\taddress_preservation = yes\n'
	[ -z "${5:-}" ] || printf '\t%s\n' "$5"
	printf '}\n'
}

# conf NUMBER: reads $ver $inner $outer $each (an SA for each sender)
conf() {
	local me=$1 i src="" names='"in"' wan=192.0.2. net=10. tail=.0.1 len=32 nets routes from
	[ "$ver" = 4 ] || { wan=2001:db8:: net=fd0 tail=::1 len=128; }
	if [ "$mode" = transport ]; then
		printf 'tun bw0 {\n\taddress = {"%s%s/%s"}\n\tmtu = 1400\n}\n' "$wan" "$me" $len
		nets="\"$wan$me\"" routes="\"$wan""0/$([ "$ver" = 4 ] && echo 24 || echo 64)\""
	else
		for i in 1 2 3; do
			[ $i = "$me" ] || routes="${routes:+$routes, }\"$net$i$([ "$ver" = 4 ] && echo .0.0/16 || echo ::/16)\""
		done
		printf 'tun bw0 {\n\taddress = {"%s%s%s/%s"}\n\tmtu = 1400\n\troutes = {%s}\n}\n' "$net" "$me" "$tail" $len "$routes"
		nets="\"$net$me$([ "$ver" = 4 ] && echo .0.0/16 || echo ::/16)\"" routes='"any"'
	fi
	[ $preserve = yes ] || src="src = \"$wan$me\""
	[ "$sender" = no ] || src="$src
	sender_id = $me"
	one_sa out out 0x9001 "$outer" "$src"
	if [ $each = no ]; then
		one_sa in in 0x9001 "$outer"
	else
		names=
		for i in 1 2 3; do
			[ $i = "$me" ] && continue
			from=$wan$i
			[ $preserve = no ] || from=$net$i$tail
			one_sa in$i in 0x9001 "$outer" "src = \"$from\""
			names="${names:+$names, }\"in$i\""
		done
	fi
	printf 'policy send {\n\tdirection = out\n\tlocal = {%s}\n\tremote = {"%s"}\n\taction = protect\n\tout = {"out"}\n}\n' "$nets" "$inner"
	if [ $each = no ]; then
		printf 'policy receive {\n\tdirection = in\n\tlocal = {"%s"}\n\tremote = {any}\n\taction = protect\n\tin = {%s}\n}\n' "$inner" "$names"
	else
		for i in 1 2 3; do
			[ $i = "$me" ] || printf 'policy receive%s {\n\tdirection = in\n\tlocal = {"%s"}\n\tremote = {"%s"}\n\taction = protect\n\tin = {"in%s"}\n}\n' \
				$i "$inner" "$([ "$mode" = transport ] && echo "$wan$i" || echo "$net$i$([ "$ver" = 4 ] && echo .0.0/16 || echo ::/16)")" $i
		done
	fi
}

# from ADDR WORD FILE: how many datagrams of that sender, different ones
count() { grep "^$1 $2 " "$3" | sort -u | wc -l; }
total() { grep -vc '^ready' "$1"; }

all_start() { gw_start a && gw_start b && gw_start c; }
all_stop() { gw_stop a && gw_stop b && gw_stop c; }
joined() { [ "$(sa_value "$1" "${2:-in}" .group.joined)" = true ]; }

# run_case WHAT FILTER: everyone to everyone else
run_case() {
	local what=$1 filter=$2 i=0 g ns_var src bad
	local -A pid=()
	for g in a b c; do
		i=$((i + 1))
		conf $i >"$work/$g.conf"
	done
	chmod 600 "$work"/?.conf
	all_start || return
	[ $each = yes ] || ok "$what: joined" joined b
	capture "$ns_sw" br0 "$work/case.pcap" "$not_arp" && wire=$last
	for g in a b c; do
		ns_var=ns_$g
		background "${!ns_var}" "$work/got.$g" "$python" "$group" receive "$inner" 7000 --dev bw0 --count 61 --time 6
		pid[$g]=$last
		wait_for 5 grep -q ready "$work/got.$g"
	done
	i=0
	for g in a b c; do
		i=$((i + 1))
		ns_var=ns_$g
		src=10.$i.0.1
		[ "$ver" = 4 ] || src=fd0$i::1
		[ "$mode" = tunnel ] || { src=192.0.2.$i; [ "$ver" = 4 ] || src=2001:db8::$i; }
		in_ns "${!ns_var}" "$python" "$group" send "$inner" 7000 --dev bw0 --src "$src" --text "from-$g" --count 20 --size "$size"
		eval "addr_$g=\$src"
	done
	sleep 0.5
	for g in a b c; do stop "${pid[$g]}"; done
	capture_stop "$wire"
	is "$what: a to b and c" "$(count "$addr_a" from-a "$work/got.b") $(count "$addr_a" from-a "$work/got.c")" "20 20"
	is "$what: b to a and c" "$(count "$addr_b" from-b "$work/got.a") $(count "$addr_b" from-b "$work/got.c")" "20 20"
	is "$what: c to a and b" "$(count "$addr_c" from-c "$work/got.a") $(count "$addr_c" from-c "$work/got.b")" "20 20"
	# nothing twice: 40 from others, and 20 that the system has looped to its own listeners
	is "$what: each once" "$(total "$work/got.a") $(total "$work/got.b") $(total "$work/got.c")" "60 60 60"
	bad=$(timeout 60 tshark -r "$work/case.pcap" -Y "!($filter) && !igmp && !icmpv6" 2>/dev/null)
	is "$what: on the wire" "$bad" ""
	# several datagrams that are sent at once may be one frame here
	num "$what: frames" "$(timeout 60 tshark -r "$work/case.pcap" -Y "$filter" 2>/dev/null | wc -l)" -ge 30
	is "$what: nothing refused" "$(drops a policy_in)$(drops b policy_in)$(drops c auth)$(drops c replay)" 0000
	all_stop || fail "$what: ends well"
}

proto=esp mode=tunnel encap=none cipher=aes128gcm16 integ='' preserve=no sender=yes each=no size=100
ver=4 inner=239.1.1.1 outer=239.9.9.9
run_case "ESP tunnel, IPv4" "esp && ip.dst == 239.9.9.9"
# RFC 6054: the IVs of a sender begin with its number, and none comes twice
is "IVs: how many, how many different, senders by address" "$("$python" "$group" ivs "$work/case.pcap")" \
	"60 60 [(1, 1), (2, 2), (3, 3)]"
ver=6 inner=ff05::11 outer=ff05::99
run_case "ESP tunnel, IPv6" "esp && ipv6.dst == ff05::99"
preserve=yes ver=4 inner=239.1.1.1 outer=239.1.1.1
run_case "addresses preserved, IPv4" "esp && ip.dst == 239.1.1.1 && ip.src == 10.0.0.0/8"
ver=6 inner=ff05::11 outer=ff05::11
run_case "addresses preserved, IPv6" "esp && ipv6.dst == ff05::11 && ipv6.src == fd00::/12"
preserve=no ver=4 inner=239.1.1.1 outer=239.9.9.9 encap=udp
run_case "ESP in UDP, IPv4" "udp.dstport == 4500 && ip.dst == 239.9.9.9"
ver=6 inner=ff05::11 outer=ff05::99
run_case "ESP in UDP, IPv6" "udp.dstport == 4500 && ipv6.dst == ff05::99"
encap=none mode=transport ver=4 inner=239.1.1.1 outer=239.1.1.1
run_case "transport mode, IPv4" "esp && ip.dst == 239.1.1.1 && ip.src == 192.0.2.0/24"
ver=6 inner=ff05::11 outer=ff05::11
run_case "transport mode, IPv6" "esp && ipv6.dst == ff05::11"
proto=ah cipher=null integ=sha256 sender=no ver=4 inner=239.1.1.1 outer=239.1.1.1
run_case "AH, transport mode, IPv4" "ah && ip.dst == 239.1.1.1"
mode=tunnel preserve=yes ver=6 inner=ff05::11 outer=ff05::11
run_case "AH, addresses preserved, IPv6" "ah && ipv6.dst == ff05::11"
proto=esp cipher=aes128gcm16 integ='' sender=yes each=yes preserve=no ver=4 inner=239.1.1.1 outer=232.9.9.9
run_case "an SA for each sender" "esp && ip.dst == 232.9.9.9"

# what is on the wire already comes a second time: each sender has its own window
if gw_start b; then
	in_ns "$ns_sw" "$python" "$here/wire.py" frames "$work/case.pcap" --dev pb >/dev/null
	num "frames sent again: b has its numbers from the first time" "$(sa_value b in1 .packets)" -ge 20
	in_ns "$ns_sw" "$python" "$here/wire.py" frames "$work/case.pcap" --dev pb >/dev/null
	num "and refuses them the second time" "$(drops b replay)" -ge 40
	is "of one sender as of the other" "$(sa_value b in1 .packets) $(sa_value b in3 .packets)" "20 20"
fi

# an interface that comes later; and one group for all
each=no
conf 2 | sed 's/interface = wan/interface = late/' >"$work/b.conf"
gw_stop b
if gw_start b; then
	is "without its interface" "$(sa_value b in .group.joined) $(sa_value b in .group.present)" "false false"
	ip -n "$ns_b" link add late type veth peer name late2
	ip -n "$ns_b" link set late up
	ip -n "$ns_b" link set late2 up
	ok "joined once it is there" wait_for 15 joined b
	ok "as list sas says" grep -q 'multicast on late, joined' <(bw b list sas)
fi
finish
