#!/usr/bin/env bash
# A peer that has the keys and does everything wrong, made with scapy: what may not pass is dropped, counted under the reason it was dropped
# for, and told as the auditable event that it is; what may is accepted in between.
. "$(dirname "$0")/../lib.sh"
need scapy jq ethtool
space a b
cable "$ns_a" wan "$ns_b" wan
address "$ns_a" wan 192.0.2.1/24 2001:db8::1/64
mac=$(in_ns "$ns_b" cat /sys/class/net/wan/address)
mac_a=$(in_ns "$ns_a" cat /sys/class/net/wan/address)
for peer in 192.0.2.2 2001:db8::2; do ip -n "$ns_a" neigh add $peer lladdr "$mac" dev wan nud permanent; done
in_ns "$ns_b" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/wan/disable_ipv6'
address "$ns_a" lo 10.1.0.1/32 fd01::1/128
# the kernel speaks of routers and groups to every device with IPv6, which is no policy's
in_ns "$ns_a" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'

is_6() { [ "$outer" = 6 ]; }
net() { if is_6; then printf 'fd0%s::/16' "$1"; else printf '10.%s.0.0/16' "$1"; fi; }
host() { if is_6; then printf 'fd0%s::%s' "$1" "$2"; else printf '10.%s.0.%s' "$1" "$2"; fi; }
one_sa() { # NAME SPI PROTO SEED MORE...: inbound, with an outbound one beside it
	local dir more spi=$2 seed=$4 src=$wan_b dst=$wan_a
	for dir in in out; do
		printf 'sa %s%s {\n\tdirection = %s\n\tproto = %s\n\tspi = %s\n\tsrc = "%s"\n\tdst = "%s"\n\tencap = none\n' \
			"$1" $dir $dir "$3" $spi "$src" "$dst"
		if [ "$3" = esp ]; then
			printf '\tcipher = "aes128gcm16"\n\tkey = "%s"\n' "$(bytes 20 $seed)"
		else
			printf '\tcipher = "null"\n\tintegrity = "sha256"\n\tinteg_key = "%s"\n' "$(bytes 32 $seed)"
		fi
		for more in "${@:5}"; do
			[[ $dir = out && $more = replay* ]] || printf '\t%s\n' "$more"
		done
		echo '}'
		spi=$((spi + 0x100)) seed=$((seed + 100)) src=$wan_a dst=$wan_b
	done
}
policy() { # NAME REMOTE SA...: the innermost first
	printf 'policy %s {\n\tlocal = "%s"\n\tremote = "%s"\n\taction = protect\n\tout = {%s}\n\tin = {%s}\n}\n' "$1" "$(net 1)" "$2" \
		"$(printf '%sout, ' "${@:3}" | sed 's/, $//')" "$(printf '%sin, ' "${@:3}" | sed 's/, $//')"
}
conf_negative() {
	printf 'workers = 1\ntun bw0 {\n\tmtu = 1300\n}\n'
	one_sa esp 0x1002 esp 10 'replay_window = 64'
	one_sa esn 0x1012 esp 20 'esn = yes' 'replay_window = 64'
	one_sa ah 0x1022 ah 30 'replay_window = 64'
	one_sa inner 0x1032 ah 40
	one_sa outer 0x1042 esp 50
	one_sa ahesn 0x1062 ah 70 'esn = yes' 'replay_window = 64'
	policy esp "$(net 2)" esp
	policy esn "$(net 3)" esn
	policy ah "$(net 4)" ah
	policy bundle "$(net 5)" inner outer
	policy ahesn "$(net 8)" ahesn
	# a socket for ESP in UDP
	printf 'sa udp {\n\tdirection = in\n\tspi = 0x1052\n\tcipher = "aes128gcm16"\n\tkey = "%s"\n}\n' "$(bytes 20 60)"
	printf 'policy udp {\n\tlocal = "%s"\n\tremote = "%s"\n\tdirection = in\n\taction = protect\n\tin = {udp}\n}\n' "$(net 6)" "$(net 6)"
}

watch() { background "$ns_a" "$work/events" "$bin" monitor --json --run-dir "$work/a.run"; watcher=$last; wait_for 5 bw a status; sleep 0.3; }
# event NAME FILTER: one of that name, since the case began, for which the filter holds
event() { tail -n "+$seen" "$work/events" | jq -se --arg n "$1" "any(.[]; .event == \"audit\" and .audit == \$n and ($2))" >/dev/null; }
told() { ok "$what: told as $1" wait_for 5 event "$1" "$2" || tail -n 3 "$work/events" | sed 's/^/# /'; }
# look FILE: what is accepted and dropped by now, a line each
look() { bw a status --json | jq -r '"accepted \(.traffic.in.packets)", (.drops[] | "\(.reason) \(.packets)")' >"$1"; }
# grown: what did since the case began, and by how much
grown() { awk 'NR == FNR { was[$1] = $2; next } $2 > was[$1] { print $1 "=" $2 - was[$1] }' "$work/before" "$work/now"; }
accepted() { grown | sed -n 's/^accepted=//p'; }
dropped() { grown | awk -F= '$1 != "accepted" { n += $2 } END { print n + 0 }'; }
counted() { grown | grep -v '^accepted=' | paste -sd ' '; }
settled() { look "$work/now"; n=$(accepted); [ "${n:-0}" -ge "$good" ] && [ "$(dropped)" -ge "$bad" ]; }
# the peer, who is told what to do by name, and says how many packets that were: loading scapy takes long
forger_start() {
	coproc forger { exec ip netns exec "$ns_b" "$python" "$src/test/scenario/negative/forge.py" --outer "$outer" \
		--mac "$mac_a" --mac-self "$mac" 2>"$work/forge.err"; }
	forger_pid=$!
	pids+=("$forger_pid")
}
forger_end() { eval "exec ${forger[1]}>&-"; wait "$forger_pid" || { fail "$what: the peer's script ends well"; sed 's/^/# /' "$work/forge.err"; }; }
# forge NAME: sends; as many are accepted and dropped as it says
forge() {
	seen=$(($(wc -l <"$work/events") + 1))
	look "$work/before"
	echo "$1" >&"${forger[1]}"
	read -r -t 60 good bad <&"${forger[0]}"
	wait_for 10 settled
	n=$(accepted)
	is "$what: accepted" "${n:-0}" "$good"
	is "$what: dropped" "$(dropped)" "$bad"
}
# negative WHAT NAME COUNTERS
negative() {
	what="IPv$outer, $1"
	forge "$2"
	is "$what: counted" "$(counted)" "$3"
}

for outer in 4 6; do
	wan_a=192.0.2.1 wan_b=192.0.2.2 far=172.16.0.1 unreachable=3
	! is_6 || wan_a=2001:db8::1 wan_b=2001:db8::2 far=fd99::1 unreachable=1
	conf_negative >"$work/a.conf"
	chmod 600 "$work/a.conf"
	gw_start a || continue
	watch
	forger_start
	what="IPv$outer, as it should be"
	forge good
	negative "ESP, other addresses inside" selectors-esp "policy_in=4"
	told sa_selectors '.protocol == "esp" and .spi == "0x00001002" and .seq == 10 and .inner.src == "'"$(host 9 2)"'" and .sa == "espin" and (.selectors | length) > 0'
	told sa_selectors '.inner.dst == "'"$(host 7 1)"'"'
	negative "AH, other addresses inside" selectors-ah "policy_in=2"
	told sa_selectors '.protocol == "ah" and .spi == "0x00001022" and .inner.src == "'"$(host 9 2)"'" and .sa == "ahin"'
	negative "ESP, a fragment of something else" fragment-esp "policy_in=1"
	told later_fragment '.inner.src == "'"$(host 9 2)"'" and .sa == "espin"'
	negative "an ICMP error about another SA's packet" icmp "icmp_quote=1"
	told icmp_selectors '.inner.src == "'"$far"'" and .inner.type == '$unreachable' and .spi == "0x00001002"'
	negative "a bundle in the wrong order" order "policy_in=1"
	told sa_bundle '.inner.src == "'"$(host 5 2)"'"'
	negative "half a bundle" one-missing "policy_in=2"
	told sa_bundle '.protocol == "ah" and .spi == "0x00001032"'
	told sa_bundle '.protocol == "esp" and .spi == "0x00001042"'
	negative "one SA too many" one-more "policy_in=1"
	told sa_bundle '.inner.src == "'"$(host 2 2)"'" and .seq == 40'
	negative "replay at both edges of the window" window "replay=5"
	for seq in 137 136 74 200 0; do told replay ".seq == $seq and .spi == \"0x00001002\""; done
	negative "AH, replay at both edges of the window" window-ah "replay=5"
	for seq in 137 136 74 200 0; do told replay ".seq == $seq and .protocol == \"ah\" and .spi == \"0x00001022\""; done
	sleep 1 # events are paced by the second
	negative "extended sequence numbers before the wrap" esn-near ""
	negative "extended sequence numbers across the wrap" esn-wrap "replay=3"
	for seq in 4294967297 4294967294 4294967298; do told replay ".seq == $seq and .spi == \"0x00001012\""; done
	negative "another upper half than the ICV's" esn-half "auth=3"
	told integrity '.spi == "0x00001012" and .seq == 4294967299'
	negative "AH, extended sequence numbers before the wrap" esn-near-ah ""
	negative "AH, extended sequence numbers across the wrap" esn-wrap-ah "replay=3"
	for seq in 4294967297 4294967294 4294967298; do told replay ".seq == $seq and .spi == \"0x00001062\""; done
	negative "AH, another upper half than the ICV's" esn-half-ah "auth=3"
	told integrity '.protocol == "ah" and .spi == "0x00001062" and .seq == 4294967299'
	negative "next header, version and padding" format "esp_padding=2 next_header=2"
	told malformed '.reason == "next_header" and .spi == "0x00001002" and .seq == 300'
	told malformed '.reason == "esp_padding" and .seq == 302'
	negative "in UDP, for an SA that is not" encap "wrong_encap=1"
	told malformed '.reason == "wrong_encap" and .spi == "0x00001002"'
	sleep 1 # events are paced by the second
	what="IPv$outer, ESP that ends anywhere"
	forge truncated-esp
	note "$(counted)"
	is "$what: nothing but its reasons" "$(grown | grep -vE '^(accepted|short|esp_format|auth|replay)=' | wc -l)" 0
	told malformed '.reason == "short" and .src == "'"$wan_b"'"'
	told integrity '.spi == "0x00001002"'
	sleep 1
	what="IPv$outer, AH that ends anywhere"
	forge truncated-ah
	note "$(counted)"
	is "$what: nothing but its reasons" "$(grown | grep -vE '^(accepted|short|esp_format|bad_header|auth|unknown_spi)=' | wc -l)" 0
	told malformed '.reason == "short"'
	told integrity '.protocol == "ah" and .spi == "0x00001022"'
	sleep 1
	what="IPv$outer, inside of ESP, a packet that ends anywhere"
	forge truncated-inner
	note "$(counted)"
	is "$what: nothing but its reasons" "$(grown | grep -vE '^(accepted|short|not_ip|bad_length|bad_header|next_header)=' | wc -l)" 0
	told malformed '(.reason == "short" or .reason == "bad_length") and .spi == "0x00001002"'
	# the last number of a window that is not extended: nothing comes behind it
	negative "sequence numbers at their end" wrap "replay=3"
	told replay '.seq == 0 and .spi == "0x00001002"'
	negative "AH, sequence numbers at their end" wrap-ah "replay=3"
	told replay '.seq == 0 and .spi == "0x00001022"'
	forger_end
	stop "$watcher" >/dev/null
	gw_stop a
done

# cleartext where the policy protects: seen by a bump in the wire, in place of the host behind it
space host
cable "$ns_host" eth0 "$ns_a" lan
ip -n "$ns_a" addr flush dev wan
address "$ns_host" eth0 192.0.2.1/24 2001:db8::1/64
{
	printf 'bridge wire {\n\tprotected = "lan"\n\topen = "wan"\n\tmode = host\n}\n'
	for outer in 4 6; do
		wan_a=192.0.2.1 wan_b=192.0.2.2
		! is_6 || wan_a=2001:db8::1 wan_b=2001:db8::2
		one_sa esp$outer 0x10${outer}2 esp $outer 'mode = transport'
		printf 'policy host%s {\n\tlocal = "%s"\n\tremote = "%s"\n\taction = protect\n\tout = {esp%sout}\n\tin = {esp%sin}\n}\n' \
			$outer $wan_a $wan_b $outer $outer
	done
} >"$work/a.conf"
if gw_start a; then
	watch
	mac_a=$(in_ns "$ns_host" cat /sys/class/net/eth0/address)
	sleep 2 # the host has said what it says when a link comes up
	before=$(in_ns "$ns_host" cat /proc/net/dev | awk '$1 == "eth0:" { print $3 }')
	for outer in 4 6; do
		wan_a=192.0.2.1 wan_b=192.0.2.2 icmp=1 echo=8
		! is_6 || wan_a=2001:db8::1 wan_b=2001:db8::2 icmp=58 echo=128
		forger_start
		negative "cleartext where the policy protects" cleartext "cleartext=2"
		told inbound '.reason == "cleartext" and .src == "'$wan_b'" and .dst == "'$wan_a'" and .inner.protocol == 17 and .inner.dst_port == 7'
		told inbound ".inner.protocol == $icmp and .inner.type == $echo"
		forger_end
	done
	is "$what: the host got nothing" "$(in_ns "$ns_host" cat /proc/net/dev | awk '$1 == "eth0:" { print $3 }')" "$before"
	stop "$watcher" >/dev/null
fi
finish
