#!/usr/bin/env bash
# scapy as the other end of AH and ESP, transport and tunnel, with IP options and extension headers, in tunnel mode outside and inside. Everything is in
# peer.py, which speaks TAP; scapy sits on the wire of host A in place of host B.
. "$(dirname "$0")/../../scenario/lib.sh"
need scapy ethtool jq tcpdump
space a b
cable "$ns_a" wan "$ns_b" wan
address "$ns_a" wan 192.0.2.1/24 2001:db8::1/64
mac=$(in_ns "$ns_b" cat /sys/class/net/wan/address)
mac_a=$(in_ns "$ns_a" cat /sys/class/net/wan/address)
ip -n "$ns_a" neigh add 192.0.2.2 lladdr "$mac" dev wan nud permanent
ip -n "$ns_a" neigh add 2001:db8::2 lladdr "$mac" dev wan nud permanent
in_ns "$ns_b" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/wan/disable_ipv6'

one_sa() { # NAME DIRECTION SPI SRC DST SEED
	printf 'sa %s {\n\tdirection = %s\n\tproto = %s\n\tmode = %s\n\tspi = %s\n\tsrc = "%s"\n\tdst = "%s"\n\tencap = none\n\tesn = %s\n' \
		"$1" "$2" "$proto" "$mode" "$3" "$4" "$5" "$esn"
	case $proto:$integ in
	esp:) printf '\tcipher = "aes128gcm16"\n\tkey = "%s"\n' "$(bytes 20 "$6")" ;;
	esp:*) printf '\tcipher = "aes128"\n\tkey = "%s"\n' "$(bytes 16 "$6")" ;;
	ah:*) printf '\tcipher = "null"\n' ;;
	esac
	[ -z "$integ" ] || printf '\tintegrity = "%s"\n\tinteg_key = "%s"\n' "$integ" "$(bytes "$(integ_bytes "x-$integ")" $(($6 + 100)))"
	printf '}\n'
}

rounds() {
	local i
	for i in sha256 sha1 md5 sha384 sha512 aescmac; do echo "ah transport $i 4 no"; done
	for i in sha256 sha384; do echo "ah transport $i 6 no"; done
	echo "ah tunnel sha256 4 no"
	echo "ah tunnel sha1 6 no"
	echo "ah transport sha512 4 yes"
	echo "ah tunnel sha256 6 yes"
	echo "esp transport - 4 no"
	echo "esp transport sha256 4 no"
	echo "esp transport - 6 no"
	echo "esp tunnel - 4 no"
	echo "esp tunnel sha256 6 no"
}

while read -r proto mode integ outer esn; do
	[ "$integ" != - ] || integ=
	wan_a=192.0.2.1 wan_b=192.0.2.2 len=32 enc_len=20
	[ "$outer" = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2 len=128
	[ -z "$integ" ] || enc_len=16
	{
		printf 'allow_weak = yes\ntun bw0 {\n\taddress = {"%s/%s"}\n\tmtu = 1400\n\troutes = {"%s/%s"}\n}\n' "$wan_a" $len "$wan_b" $len
		one_sa out out 0x1001 "$wan_a" "$wan_b" 0
		one_sa in in 0x1002 "$wan_b" "$wan_a" 32
		printf 'policy all {\n\tlocal = {"%s/%s"}\n\tremote = {"%s/%s"}\n\taction = protect\n\tout = {"out"}\n\tin = {"in"}\n}\n' \
			"$wan_a" $len "$wan_b" $len
	} >"$work/a.conf"
	chmod 600 "$work/a.conf"
	gw_start a || continue
	# what the host gets of headers in front of ESP, over IPv6, where the system takes them off (RFC 4303 3.1.1)
	[ "$proto$mode$outer" != esptransport6 ] || { capture "$ns_a" bw0 "$work/tun.pcap" "ip6 src host $wan_b" && tun=$last; }
	n=$(integ_bytes "x-$integ")
	out=$(in_ns "$ns_b" timeout 60 "$python" "$src/test/interop/scapy-transport/peer.py" --proto "$proto" --mode "$mode" \
		--integ "$integ" --outer "$outer" --esn "$esn" --mac "$mac_a" --mac-self "$mac" --ns-a "$ns_a" \
		--key-ab "$(bytes $enc_len 0)" --key-ba "$(bytes $enc_len 32)" \
		--integ-ab "$(bytes "$n" 100)" --integ-ba "$(bytes "$n" 132)" 2>&1)
	rc=$?
	what="$proto $mode ${integ:-aes128gcm16}, IPv$outer$([ "$esn" = no ] || echo ', ESN')"
	while IFS= read -r line; do
		case $line in
		'ok - '*) pass "$what: ${line#ok - }" ;;
		'not ok - '*) fail "$what: ${line#not ok - }"; gw_drops ;;
		*) note "$line" ;;
		esac
	done <<<"$out"
	[ $rc = 0 ] || fail "$what: the peer script ends well"
	if [ "$proto$mode$outer" = esptransport6 ]; then
		capture_stop "$tun"
		num "$what: hop-by-hop options in front of ESP arrive" "$(frames "$work/tun.pcap" 'ip6[6] = 0')" -ge 2
		num "$what: without the rest there is none" "$(frames "$work/tun.pcap" 'ip6[6] = 58')" -ge 10
	fi
	gw_stop a || fail "$what: bumpwire ends well"
done < <(rounds)
finish
