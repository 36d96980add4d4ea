#!/usr/bin/env bash
# scapy as the other end: an ESP that we did not write. Everything is in peer.py, which speaks TAP.
# scapy sits on the wire of gateway A in place of gateway B; tshark reads the same packets a third way.
. "$(dirname "$0")/../../scenario/lib.sh"
need scapy ethtool jq
space a b
cable "$ns_a" wan "$ns_b" wan
address "$ns_a" wan 192.0.2.1/24 2001:db8::1/64
# the peer has no kernel addresses: nothing answers but scapy, which is why A is told where it is
mac=$(in_ns "$ns_b" cat /sys/class/net/wan/address)
ip -n "$ns_a" neigh add 192.0.2.2 lladdr "$mac" dev wan nud permanent
ip -n "$ns_a" neigh add 2001:db8::2 lladdr "$mac" dev wan nud permanent
# scapy sees frames as the device gets them: let the kernel cut bumpwire's batches into single packets first
in_ns "$ns_a" ethtool -K wan tx-udp-segmentation off gso off >/dev/null || top_extra='gso = no'
address "$ns_a" lo 10.1.0.1/32 fd01::1/128
in_ns "$ns_b" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/wan/disable_ipv6'

# one round: SUITE ENCAP OUTER ESN
export NS_A=$ns_a NS_B=$ns_b BW=$bin WORK=$work
mac_a=$(in_ns "$ns_a" cat /sys/class/net/wan/address)
rounds() {
	local suite
	for suite in aes128gcm16 aes256gcm16 aes192gcm16 aes128ccm16 aes256ccm16 chacha20poly1305; do
		echo "$suite udp 4 no"
	done
	for suite in aes128-sha1 aes192-sha256 aes256-sha512 aes128-sha384 aes128-md5 aes128-aescmac \
		aes128ctr-sha1 aes256ctr-sha256 3des-sha1 null-sha1 null-sha256 null-sha384 null-sha512 null-md5 null-aescmac; do
		echo "$suite udp 4 no"
	done
	for suite in aes128gcm16 aes256-sha256; do
		echo "$suite none 4 no"
		echo "$suite udp 6 no"
		echo "$suite none 6 no"
	done
	for suite in aes128gcm16 aes256-sha256 chacha20poly1305; do
		echo "$suite udp 4 yes"
	done
}
while read -r suite enc outer esn; do
	conf_defaults
	cipher=$suite encap=$enc top="allow_weak = yes"$'\n'"${top_extra:-}"
	[ "$outer" = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2
	[ "$esn" = no ] || sa_extra=$'\tesn = yes'
	conf_one a >"$work/a.conf"
	gw_start a || continue
	integ=$(integ_bytes "$suite")
	out=$(in_ns "$ns_b" timeout 60 "$python" "$src/test/interop/scapy/peer.py" \
		--suite "$suite" --encap "$enc" --outer "$outer" --esn "$esn" --mac "$mac_a" --mac-self "$mac" \
		--key-ab "$(bytes "$(key_bytes "$suite")" 0)" --key-ba "$(bytes "$(key_bytes "$suite")" 32)" \
		--integ-ab "$(bytes "$integ" 100)" --integ-ba "$(bytes "$integ" 132)" \
		--ns-a "$ns_a" --status "$bin status --json --run-dir $work/a.run" --work "$work" 2>&1)
	rc=$?
	what="$suite, $([ "$enc" = udp ] && echo UDP || echo raw) over IPv$outer$([ "$esn" = no ] || echo ', ESN')"
	while IFS= read -r line; do
		case $line in
		'ok - '*) pass "$what: ${line#ok - }" ;;
		'not ok - '*) fail "$what: ${line#not ok - }" ;;
		'skip - '*) skip "$what: ${line#skip - }" "${line##*: }" ;;
		*) note "$line" ;;
		esac
	done <<<"$out"
	[ $rc = 0 ] || fail "$what: the peer script ends well"
	gw_stop a || fail "$what: bumpwire ends well"
done < <(rounds)
for s in "AES-GCM and AES-CCM with 8 and 12 bytes of ICV" "AES-GMAC" "AES-XCBC"; do
	skip "$s" "scapy does not have it; the unit tests' vectors and the ciphers scenario do"
done
finish
