#!/usr/bin/env bash
# A peer that has the keys and does everything wrong, made with scapy: what may not pass is dropped, counted under the reason it was dropped
# for, and told as the auditable event that it is; what may is accepted in between.
. "$(dirname "$0")/../lib.sh"
need scapy jq ethtool
space a b
cable "$ns_a" wan "$ns_b" wan
address "$ns_a" wan 192.0.2.1/24
mac=$(in_ns "$ns_b" cat /sys/class/net/wan/address)
mac_a=$(in_ns "$ns_a" cat /sys/class/net/wan/address)
ip -n "$ns_a" neigh add 192.0.2.2 lladdr "$mac" dev wan nud permanent
in_ns "$ns_b" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/wan/disable_ipv6'
address "$ns_a" lo 10.1.0.1/32
# the kernel speaks of routers and groups to every device with IPv6, which is no policy's
in_ns "$ns_a" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'

one_sa() { # NAME SPI PROTO SEED MORE...: inbound, with an outbound one beside it
	local dir more spi=$2 seed=$4 src=192.0.2.2 dst=192.0.2.1
	for dir in in out; do
		printf 'sa %s%s {\n\tdirection = %s\n\tproto = %s\n\tspi = %s\n\tsrc = "%s"\n\tdst = "%s"\n\tencap = none\n' \
			"$1" $dir $dir "$3" $spi $src $dst
		if [ "$3" = esp ]; then
			printf '\tcipher = "aes128gcm16"\n\tkey = "%s"\n' "$(bytes 20 $seed)"
		else
			printf '\tcipher = "null"\n\tintegrity = "sha256"\n\tinteg_key = "%s"\n' "$(bytes 32 $seed)"
		fi
		for more in "${@:5}"; do
			[[ $dir = out && $more = replay* ]] || printf '\t%s\n' "$more"
		done
		echo '}'
		spi=$((spi + 0x100)) seed=$((seed + 100)) src=192.0.2.1 dst=192.0.2.2
	done
}
policy() { # NAME REMOTE SA...: the innermost first
	printf 'policy %s {\n\tlocal = "10.1.0.0/16"\n\tremote = "%s"\n\taction = protect\n\tout = {%s}\n\tin = {%s}\n}\n' "$1" "$2" \
		"$(printf '%sout, ' "${@:3}" | sed 's/, $//')" "$(printf '%sin, ' "${@:3}" | sed 's/, $//')"
}
{
	printf 'workers = 1\ntun bw0 {\n\tmtu = 1300\n\troutes = {"10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16", "10.5.0.0/16"}\n}\n'
	one_sa esp 0x1002 esp 10 'replay_window = 64'
	one_sa esn 0x1012 esp 20 'esn = yes' 'replay_window = 64'
	one_sa ah 0x1022 ah 30
	one_sa inner 0x1032 ah 40
	one_sa outer 0x1042 esp 50
	policy esp 10.2.0.0/16 esp
	policy esn 10.3.0.0/16 esn
	policy ah 10.4.0.0/16 ah
	policy bundle 10.5.0.0/16 inner outer
	# a socket for ESP in UDP
	printf 'sa udp {\n\tdirection = in\n\tspi = 0x1052\n\tcipher = "aes128gcm16"\n\tkey = "%s"\n}\n' "$(bytes 20 60)"
	printf 'policy udp {\n\tlocal = "10.6.0.0/16"\n\tremote = "10.6.0.0/16"\n\tdirection = in\n\taction = protect\n\tin = {udp}\n}\n'
} >"$work/a.conf"
chmod 600 "$work/a.conf"

watch() { background "$ns_a" "$work/events" "$bin" monitor --json --run-dir "$work/a.run"; wait_for 5 bw a status; sleep 0.3; }
# event NAME FILTER: one of that name, since the case began, for which the filter holds
event() { tail -n "+$seen" "$work/events" | jq -se --arg n "$1" "any(.[]; .event == \"audit\" and .audit == \$n and ($2))" >/dev/null; }
told() { ok "$what: told as $1" wait_for 5 event "$1" "$2" || tail -n 3 "$work/events" | sed 's/^/# /'; }
in_packets() { status a "$q_in_packets"; }
settled() { [ $(($(in_packets) - in_before)) -ge "$good" ] && [ $(($(all_drops a) - all_before)) -ge "$bad" ]; }
# forge NAME: sends; as many are accepted and dropped as it says
forge() {
	in_before=$(in_packets) all_before=$(all_drops a) seen=$(($(wc -l <"$work/events") + 1))
	bw a status --json | jq -r '.drops[] | "\(.reason) \(.packets)"' >"$work/before"
	read -r good bad < <(in_ns "$ns_b" timeout 60 "$python" "$src/test/scenario/negative/forge.py" "$1" --mac "$mac_a" --mac-self "$mac")
	wait_for 10 settled
	is "$what: accepted" $(($(in_packets) - in_before)) "$good"
	is "$what: dropped" $(($(all_drops a) - all_before)) "$bad"
}
# grown: which counters did, and by how much
grown() {
	bw a status --json | jq -r '.drops[] | "\(.reason) \(.packets)"' |
		awk 'FILENAME != "-" { was[$1] = $2; next } $2 > was[$1] { printf "%s%s=%d", n++ ? " " : "", $1, $2 - was[$1] }' "$work/before" -
}
# negative WHAT NAME COUNTERS
negative() {
	what=$1
	forge "$2"
	is "$what: counted" "$(grown)" "$3"
}

gw_start a || finish
watch
what="as it should be"
forge good
negative "ESP, other addresses inside" selectors-esp "policy_in=4"
told sa_selectors '.protocol == "esp" and .spi == "0x00001002" and .seq == 10 and .inner.src == "10.9.0.9" and .sa == "espin" and (.selectors | length) > 0'
told sa_selectors '.inner.dst == "10.7.0.1"'
negative "AH, other addresses inside" selectors-ah "policy_in=2"
told sa_selectors '.protocol == "ah" and .spi == "0x00001022" and .inner.src == "10.9.0.9" and .sa == "ahin"'
negative "ESP, a fragment of something else" fragment-esp "policy_in=1"
told later_fragment '.inner.src == "10.9.0.9" and .sa == "espin"'
negative "an ICMP error about another SA's packet" icmp "icmp_quote=1"
told icmp_selectors '.inner.src == "172.16.0.1" and .inner.type == 3 and .spi == "0x00001002"'
negative "a bundle in the wrong order" order "policy_in=1"
told sa_bundle '.inner.src == "10.5.0.2"'
negative "half a bundle" one-missing "policy_in=2"
told sa_bundle '.protocol == "ah" and .spi == "0x00001032"'
told sa_bundle '.protocol == "esp" and .spi == "0x00001042"'
negative "one SA too many" one-more "policy_in=1"
told sa_bundle '.inner.src == "10.2.0.2" and .seq == 40'
negative "replay at both edges of the window" window "replay=5"
for seq in 137 136 74 200 0; do told replay ".seq == $seq and .spi == \"0x00001002\""; done
negative "extended sequence numbers before the wrap" esn-near ""
negative "extended sequence numbers across the wrap" esn-wrap "replay=3"
for seq in 4294967297 4294967294 4294967298; do told replay ".seq == $seq and .spi == \"0x00001012\""; done
negative "another upper half than the ICV's" esn-half "auth=3"
told integrity '.spi == "0x00001012" and .seq == 4294967299'
negative "next header, version and padding" format "esp_padding=2 next_header=2"
told malformed '.reason == "next_header" and .spi == "0x00001002" and .seq == 300'
told malformed '.reason == "esp_padding" and .seq == 302'
negative "in UDP, for an SA that is not" encap "wrong_encap=1"
told malformed '.reason == "wrong_encap" and .spi == "0x00001002"'
sleep 1 # events are paced by the second
what="ESP that ends anywhere"
forge truncated-esp
note "$(grown)"
is "$what: nothing but its reasons" "$(grown | tr ' ' '\n' | grep -vE '^(short|esp_format|auth|replay)=' | wc -l)" 0
told malformed '.reason == "short" and .src == "192.0.2.2"'
told integrity '.spi == "0x00001002"'
sleep 1
what="AH that ends anywhere"
forge truncated-ah
note "$(grown)"
is "$what: nothing but its reasons" "$(grown | tr ' ' '\n' | grep -vE '^(short|esp_format|bad_header|auth|unknown_spi)=' | wc -l)" 0
told malformed '.reason == "short"'
told integrity '.protocol == "ah" and .spi == "0x00001022"'
sleep 1
what="inside of ESP, a packet that ends anywhere"
forge truncated-inner
note "$(grown)"
is "$what: nothing but its reasons" "$(grown | tr ' ' '\n' | grep -vE '^(short|not_ip|bad_length|bad_header|next_header)=' | wc -l)" 0
told malformed '(.reason == "short" or .reason == "bad_length") and .spi == "0x00001002"'
# the last number of a window that is not extended: nothing comes behind it
negative "sequence numbers at their end" wrap "replay=3"
told replay '.seq == 0 and .spi == "0x00001002"'
stop "$last" >/dev/null
gw_stop a

# cleartext where the policy protects: seen by a bump in the wire, in place of the host behind it
space host
cable "$ns_host" eth0 "$ns_a" lan
ip -n "$ns_a" addr flush dev wan
address "$ns_host" eth0 192.0.2.1/24
{
	printf 'bridge wire {\n\tprotected = "lan"\n\topen = "wan"\n\tmode = host\n}\n'
	one_sa esp 0x1002 esp 10 'mode = transport'
	printf 'policy host {\n\tlocal = "192.0.2.1"\n\tremote = "192.0.2.2"\n\taction = protect\n\tout = {espout}\n\tin = {espin}\n}\n'
} >"$work/a.conf"
if gw_start a; then
	watch
	mac_a=$(in_ns "$ns_host" cat /sys/class/net/eth0/address)
	before=$(in_ns "$ns_host" cat /proc/net/dev | awk '$1 == "eth0:" { print $3 }')
	negative "cleartext where the policy protects" cleartext "cleartext=2"
	told inbound '.reason == "cleartext" and .src == "192.0.2.2" and .dst == "192.0.2.1" and .inner.protocol == 17 and .inner.dst_port == 7'
	told inbound '.inner.protocol == 1 and .inner.type == 8'
	is "$what: the host got nothing" "$(in_ns "$ns_host" cat /proc/net/dev | awk '$1 == "eth0:" { print $3 }')" "$before"
	stop "$last" >/dev/null
fi
finish
