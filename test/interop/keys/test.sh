#!/usr/bin/env bash
# `bumpwire keys --wireshark`: with the tables it writes, tshark decrypts what two gateways say to each other and finds
# every ICV right.
. "$(dirname "$0")/../../scenario/lib.sh"
need ping tcpdump tshark jq
topology
# cut into single packets before the capture sees them
conf_base='gso = no'
for suite in aes128gcm16 aes192gcm12 aes256gcm8 aes128-sha256 aes256ctr-sha512 3des-sha1 null-sha384; do
	for outer in 4 6; do
		[ $outer = 4 ] || [ $suite = aes128gcm16 ] || continue
		conf_defaults
		cipher=$suite top=$conf_base$'\nallow_weak = yes\nexport_keys = yes'
		[ $outer = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2
		conf_pair
		pair_start || continue
		mkdir -p "$work/profile"
		capture "$ns_a" wan "$work/wire.pcap" "$([ $outer = 4 ] && echo 'udp port 4500' || echo 'ip6 and udp')" && wire=$last
		ping_ok "$ns_host_a" 10.2.0.2 || fail "$suite: ping"
		ping_ok "$ns_host_a" fd02::2 || fail "$suite: ping over IPv6"
		capture_stop "$wire"
		ok "$suite: keys are written" bw a keys --wireshark "$work/profile" -c "$work/a.conf"
		is "$suite: for nobody else to read" "$(stat -c %a "$work/profile/esp_sa")" 600
		WIRESHARK_CONFIG_DIR=$work/profile tshark -r "$work/wire.pcap" -o esp.enable_encryption_decode:TRUE \
			-o esp.enable_authentication_check:TRUE -T fields -E separator=';' -e esp.spi -e esp.icv_good \
			-e icmp.type -e icmpv6.type >"$work/decoded" 2>"$work/decoded.err"
		# a ping may get lost while neighbours are found, but what the capture has must all be decoded
		esp=$(grep -c '^0x' "$work/decoded")
		num "$suite over IPv$outer: the pings are on the wire" "$esp" -ge 8
		is "$suite over IPv$outer: tshark decodes every one" \
			"$(awk -F';' '$1 != "" && ($3 != "" || $4 != "")' "$work/decoded" | wc -l)" "$esp" || note "$(tail -n 3 "$work/decoded.err")"
		is "$suite over IPv$outer: and finds their ICVs right" "$(grep -cE '^[^;]+;(1|True)' "$work/decoded")" "$esp"
		pair_stop || fail "$suite: ends well"
	done
done
conf_defaults
conf_pair
ok "keys stay where they are without export_keys" not "$bin" keys --wireshark "$work/profile" -c "$work/a.conf"
finish
