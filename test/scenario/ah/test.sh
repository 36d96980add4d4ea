#!/usr/bin/env bash
# AH, and SA bundles (RFC 2401 4.3, 4.5), between two hosts and between two gateways: real traffic, and tshark reads every header.
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump tshark jq
topology
random_file "$work/file" 200001

# One SA of a pair: one_sa SIDE NAME DIRECTION PROTO MODE SPI SEED
one_sa() {
	local s=$wan_a d=$wan_b
	[ "$1$3" = aout ] || [ "$1$3" = bin ] || { s=$wan_b d=$wan_a; }
	printf 'sa %s {\n\tdirection = %s\n\tproto = %s\n\tmode = %s\n\tspi = %s\n\tsrc = "%s"\n\tdst = "%s"\n\tencap = none\n' \
		"$2" "$3" "$4" "$5" "$6" "$s" "$d"
	case $4:$gmac in
	esp:*) printf '\tcipher = "aes128gcm16"\n\tkey = "%s"\n' "$(bytes 20 "$7")" ;;
	ah:yes) printf '\tcipher = "aes128gmac"\n\tkey = "%s"\n' "$(bytes 20 "$7")" ;;
	ah:*) printf '\tcipher = "null"\n\tintegrity = "sha256"\n\tinteg_key = "%s"\n' "$(bytes 32 "$7")" ;;
	esac
	printf '\tesn = %s\n}\n' "$esn"
}

# conf SIDE: from $list, e.g. "esp:transport ah:transport", innermost first
conf() {
	local side=$1 n=0 names_out='' names_in='' item other len=32 out in here there
	[ "$side" = a ] && other=b || other=a
	[ "$outer" = 4 ] || len=128
	if [ "$hosts" = yes ]; then
		here="\"$([ "$side" = a ] && echo "$wan_a" || echo "$wan_b")/$len\""
		there="\"$([ "$side" = a ] && echo "$wan_b" || echo "$wan_a")/$len\""
		printf 'tun bw0 {\n\taddress = {%s}\n\tmtu = 1400\n\troutes = {%s}\n}\n' "$here" "$there"
	else
		[ "$side" = a ] && here=1 there=2 || here=2 there=1
		printf 'tun bw0 {\n\tmtu = 1300\n\troutes = {"10.%s.0.0/16", "fd0%s::/16"}\n}\n' $there $there
		here="\"10.$here.0.0/16\", \"fd0$here::/16\"" there="\"10.$there.0.0/16\", \"fd0$there::/16\""
	fi
	for item in $list; do
		n=$((n + 1))
		out=$((0x1000 + n)) in=$((0x2000 + n))
		[ "$side" = a ] || { out=$((0x2000 + n)) in=$((0x1000 + n)); }
		one_sa "$side" "out$n" out "${item%:*}" "${item#*:}" $out $((out % 256 * 3 + out / 4096))
		one_sa "$side" "in$n" in "${item%:*}" "${item#*:}" $in $((in % 256 * 3 + in / 4096))
		names_out="$names_out${names_out:+, }\"out$n\"" names_in="$names_in${names_in:+, }\"in$n\""
	done
	printf 'policy net {\n\tlocal = {%s}\n\tremote = {%s}\n\taction = protect\n\tout = {%s}\n\tin = {%s}\n}\n' \
		"$here" "$there" "$names_out" "$names_in"
}

# layers PCAP: the stacks of headers on the wire, once each
layers() {
	timeout 60 tshark -r "$1" -T fields -e frame.protocols 2>/dev/null | grep -v "^$" |
		sed 's/^eth:ethertype://; s/:data$//; s/:nc$//' | sort -u
}

# case WHAT HOSTS OUTER LIST EXPECTED-STACK: traffic both ways, and every frame begins with the stack
run_case() {
	local what=$1 want=$5 to_b to_a from_a from_b bad
	hosts=$2 outer=$3 list=$4
	wan_a=192.0.2.1 wan_b=192.0.2.2
	[ "$outer" = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2
	conf a >"$work/a.conf"
	conf b >"$work/b.conf"
	chmod 600 "$work"/?.conf
	pair_start || return
	if [ "$hosts" = yes ]; then
		from_a=$ns_a from_b=$ns_b to_b=$wan_b to_a=$wan_a
	else
		from_a=$ns_host_a from_b=$ns_host_b to_b=10.2.0.2 to_a=fd01::2
	fi
	capture "$ns_a" wan "$work/case.pcap" "$not_arp" && wire=$last
	ok "$what: ping" ping_ok "$from_a" "$to_b"
	ok "$what: ping the other way" ping_ok "$from_b" "$to_a"
	ok "$what: a file" send_file "$from_a" "$from_b" "$to_b" 7000 "$work/file"
	capture_stop "$wire"
	bad=$(layers "$work/case.pcap" | grep -vE "^($want)(:|\$)")
	is "$what: on the wire" "$bad" ""
	note "$(layers "$work/case.pcap")"
	num "$what: frames" "$(timeout 60 tshark -r "$work/case.pcap" 2>/dev/null | wc -l)" -gt 20
	is "$what: nothing dropped" \
		"$(drops a transport)$(drops b transport)$(drops a policy_in)$(drops b policy_in)$(drops a auth)$(drops b auth)" 000000
	pair_stop || fail "$what: ends well"
}

esn=no gmac=no
run_case "AH, transport, IPv4" yes 4 ah:transport 'ip:ah'
run_case "AH, transport, IPv6" yes 6 ah:transport 'ipv6:ah'
run_case "AH, tunnel, IPv4" no 4 ah:tunnel 'ip:ah:ip|ip:ah:ipv6'
run_case "AH, tunnel, IPv6" no 6 ah:tunnel 'ipv6:ah:ip|ipv6:ah:ipv6'
esn=yes
run_case "AH, ESN" yes 4 ah:transport 'ip:ah'
gmac=yes
run_case "AH with GMAC, ESN, IPv4" no 4 ah:tunnel 'ip:ah:ip|ip:ah:ipv6'
esn=no
run_case "AH with GMAC, IPv6" yes 6 ah:transport 'ipv6:ah'
gmac=no
# RFC 2401 4.3: transport adjacency; 4.5 case 1, items 1 to 5
run_case "AH over ESP, transport, IPv4" yes 4 "esp:transport ah:transport" 'ip:ah:esp'
run_case "AH over ESP, transport, IPv6" yes 6 "esp:transport ah:transport" 'ipv6:ah:esp'
run_case "ESP in an AH tunnel" no 4 "esp:tunnel ah:tunnel" 'ip:ah:ip:esp'
run_case "AH in an ESP tunnel" no 4 "ah:tunnel esp:tunnel" 'ip:esp'
run_case "ESP in ESP, tunnels, IPv6" no 6 "esp:tunnel esp:tunnel" 'ipv6:esp'
run_case "transport inside of a tunnel" yes 4 "esp:transport ah:tunnel" 'ip:ah:ip:esp'

# case 2 of 4.5 in one: what a policy demands is all of it, in order
hosts=yes outer=4 wan_a=192.0.2.1 wan_b=192.0.2.2
list="esp:transport ah:transport"
conf a >"$work/a.conf"
conf b | sed 's/in = {"in1", "in2"}/in = {"in2", "in1"}/' >"$work/b.conf"
if pair_start; then
	ok "the wrong order is refused" not ping_ok "$ns_a" 192.0.2.2
	num "and counted" "$(drops b policy_in)" -gt 0
	conf b | sed 's/in = {"in1", "in2"}/in = {"in1"}/; /^sa in2 /,/^}/d' >"$work/b.conf"
	ok "reload" bw b reload
	ok "an SA too few is refused" not ping_ok "$ns_a" 192.0.2.2
	num "and counted" "$(drops b unknown_spi)" -gt 0
	conf b >"$work/b.conf"
	ok "reload" bw b reload
	ok "the right bundle is accepted" ping_ok "$ns_a" 192.0.2.2
fi
gw_stop a
gw_stop b

# the example of etc/, as it is
for g in a b; do
	cp "$src/etc/hosts-$g.conf" "$work/$g.conf"
	chmod 600 "$work/$g.conf"
done
if pair_start; then
	ok "etc/hosts-a.conf and etc/hosts-b.conf: ping" ping_ok "$ns_a" 192.0.2.2
	ok "a file" send_file "$ns_b" "$ns_a" 192.0.2.1 7000 "$work/file"
fi
finish
