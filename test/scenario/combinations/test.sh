#!/usr/bin/env bash
# The four basic combinations of SAs (RFC 2401 4.5), each as the RFC draws it, with every choice of headers it gives, IPv4 and IPv6: real traffic,
# and tshark reads every header on the wire and in the intranet, each layer's addresses and SPI with it, either direction. ESP is without encryption,
# so that tshark sees what is inside.
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump tshark jq
topology
random_file "$work/file" 60001

declare -A link=() # K: "PROTO:MODE A B"

# sa_pair SIDE K PROTO:MODE A B: link K between the ends A and B, as SIDE (a or b) has it; SAs outK and inK. From A to B its SPI is 0x1000 + K,
# from B to A 0x2000 + K.
sa_pair() {
	local d src dst spi seed out=0x1000 in=0x2000
	link[$2]="$3 $4 $5"
	[ "$1" = a ] || { out=0x2000 in=0x1000; }
	for d in out in; do
		spi=$((${!d} + $2)) seed=$(($2 * 11 + ${!d} / 0x1000 * 70))
		[ $((${!d})) = $((0x1000)) ] && src=$4 dst=$5 || src=$5 dst=$4
		printf 'sa %s%s {\n\tdirection = %s\n\tproto = %s\n\tmode = %s\n\tspi = %s\n\tsrc = "%s"\n\tdst = "%s"\n\tencap = none\n\tcipher = "null"\n' \
			$d "$2" $d "${3%:*}" "${3#*:}" $spi "$src" "$dst"
		if [ "${3%:*}" = esp ]; then
			printf '\tintegrity = "sha1"\n\tinteg_key = "%s"\n}\n' "$(bytes 20 $seed)"
		else
			printf '\tintegrity = "sha256"\n\tinteg_key = "%s"\n}\n' "$(bytes 32 $seed)"
		fi
	done
}
# device MTU ROUTES [ADDRESS]
device() { printf 'allow_weak = yes\ntun bw0 {\n\tmtu = %s\n\troutes = {%s}\n%s\n}\n' "$1" "$2" "${3:+	address = {\"$3/$len\"\}}"; }
# protect LOCAL REMOTE K...: through links K, the innermost first
protect() {
	local k names=''
	for k in "${@:3}"; do names="$names${names:+, }out$k"; done
	printf 'policy p%s {\n\tlocal = {%s}\n\tremote = {%s}\n\taction = protect\n\tout = {%s}\n\tin = {%s}\n}\n' "$3" "$1" "$2" "$names" \
		"${names//out/in}"
}
# links SIDE FIRST A B: one pair for each in $list, from number FIRST on; the numbers come to $numbers
links() {
	local item k=$2
	numbers=''
	for item in $list; do
		sa_pair "$1" $k "$item" "$3" "$4"
		numbers="$numbers $k" k=$((k + 1))
	done
}
version() { # 4|6
	outer=$1 wan_a=192.0.2.1 wan_b=192.0.2.2 in_a=10.1.0.2 in_b=10.2.0.2 net_a=10.1.0.0/16 net_b=10.2.0.0/16 len=32 ip=ip
	[ "$1" = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2 in_a=fd01::2 in_b=fd02::2 net_a=fd01::/16 net_b=fd02::/16 len=128 ip=ipv6
}
# stack_of to_b|to_a A B K...: what a frame from A to B, or from B to A, is in the links K, the innermost first: IPv4 or IPv6 throughout, as in
# ip(192.0.2.1>192.0.2.2):ah(0x1002):esp(0x1001)
stack_of() {
	local k proto end_a end_b spi=0x1000 head out
	[ "$1" = to_b ] || spi=0x2000
	head() { [ $spi = 0x1000 ] && echo "$ip($1>$2)" || echo "$ip($2>$1)"; }
	head=$(head "$2" "$3") out=''
	for k in "${@:4}"; do
		read -r proto end_a end_b <<<"${link[$k]}"
		[ "${proto#*:}" = transport ] || { out=":$head$out" head=$(head "$end_a" "$end_b"); }
		out=":${proto%:*}($(printf '0x%08x' $((spi + k))))$out"
	done
	echo "$head$out"
}
# layers PCAP: how many frames of each kind, as stack_of has it with the upper layer behind
layers() {
	timeout 60 tshark -o esp.enable_null_encryption_decode_heuristic:TRUE -r "$1" -T fields -E separator='|' \
		-e frame.protocols -e ip.src -e ip.dst -e ipv6.src -e ipv6.dst -e ah.spi -e esp.spi 2>/dev/null |
		awk -F '|' 'NF {
			n = split($1, name, ":"); out = ""; v4 = v6 = ah = esp = 0
			split($2, s4, ","); split($3, d4, ","); split($4, s6, ","); split($5, d6, ","); split($6, spi_ah, ","); split($7, spi_esp, ",")
			for (i = 3; i <= n; i++) { # behind eth:ethertype
				what = name[i]
				if (what == "ip") { v4++; what = what "(" s4[v4] ">" d4[v4] ")" }
				if (what == "ipv6") { v6++; what = what "(" s6[v6] ">" d6[v6] ")" }
				if (what == "ah") what = what "(" spi_ah[++ah] ")"
				if (what == "esp") what = what "(" spi_esp[++esp] ")"
				out = out (out == "" ? "" : ":") what
				if (what ~ /^(icmp|icmpv6|tcp)$/) break # what it quotes or carries is not ours
			}
			count[out]++
		} END { for (out in count) print count[out], out }' | sort
}
# headers WHAT PCAP A B K...: every frame goes from A to B or back in the links K, with ICMP or TCP in it
headers() {
	local all to to_b to_a
	all=$(layers "$2") to_b=$(stack_of to_b "${@:3}") to_a=$(stack_of to_a "${@:3}")
	is "$1: $to_b and back, nothing else" "$(awk -v b="$to_b" -v a="$to_a" '{
		upper = $2
		if (index(upper, b ":") == 1) upper = substr(upper, length(b) + 2)
		else if (index(upper, a ":") == 1) upper = substr(upper, length(a) + 2)
		if (upper !~ /^(icmp|icmpv6|tcp)$/) print
	}' <<<"$all")" ""
	for to in "$to_b" "$to_a"; do
		num "$1: frames $to" "$(awk -v to="$to:" 'index($2, to) == 1 { n += $1 } END { print n + 0 }' <<<"$all")" -gt 10
	done
	note "$all"
}
# row WHAT FROM TO TO_ADDR FROM_ADDR WIRE-LINKS [INTRANET-LINKS]: traffic both ways through what was started
row() {
	local what=$1 wire lan=
	capture "$ns_a" wan "$work/wire.pcap" "$not_arp" && wire=$last
	[ -z "${7+intranet}" ] || { capture "$ns_b" lan "$work/lan.pcap" "$not_arp" && lan=$last; }
	ok "$what: ping" ping_ok "$2" "$4"
	ok "$what: ping the other way" ping_ok "$3" "$5"
	ok "$what: a file" send_file "$2" "$3" "$4" 7000 "$work/file"
	capture_stop "$wire"
	[ -z "$lan" ] || capture_stop "$lan"
	# shellcheck disable=SC2086
	headers "$what: on the wire" "$work/wire.pcap" "$5" "$4" $6
	# shellcheck disable=SC2086
	[ -z "$lan" ] || headers "$what: in the intranet" "$work/lan.pcap" "$5" "$4" $7
}
begin() { chmod 600 "$work"/*.conf; for g in "$@"; do gw_start $g "$work/$g.conf" "$(ns_of $g)" || return 1; done; }
ns_of() { case $1 in a) echo "$ns_a" ;; b) echo "$ns_b" ;; h1) echo "$ns_host_a" ;; h2) echo "$ns_host_b" ;; esac; }
end() { local g; for g in "$@"; do gw_stop $g || fail "$what: $g ends well"; done; }

choices=("ah:transport" "esp:transport" "esp:transport ah:transport" "ah:tunnel" "esp:tunnel")

# ---- case 1: two hosts ---------------------------------------------------------------------------
for v in 4 6; do
	version $v
	for n in 0 1 2 3 4; do
		list=${choices[n]} what="case 1.$((n + 1)), IPv$v"
		{ device 1300 "\"$wan_b/$len\"" $wan_a && links a 1 $wan_a $wan_b && protect "\"$wan_a\"" "\"$wan_b\"" $numbers; } >"$work/a.conf"
		{ device 1300 "\"$wan_a/$len\"" $wan_b && links b 1 $wan_a $wan_b && protect "\"$wan_b\"" "\"$wan_a\"" $numbers; } >"$work/b.conf"
		begin a b && row "$what" "$ns_a" "$ns_b" $wan_b $wan_a "$numbers"
		end a b
	done
done

# ---- case 2: two gateways ------------------------------------------------------------------------
gateways() { # PROTO
	{ device 1400 "\"$net_b\"" && sa_pair a 9 "$1:tunnel" $wan_a $wan_b && protect "\"$net_a\"" "\"$net_b\"" 9; } >"$work/a.conf"
	{ device 1400 "\"$net_a\"" && sa_pair b 9 "$1:tunnel" $wan_a $wan_b && protect "\"$net_b\"" "\"$net_a\"" 9; } >"$work/b.conf"
}
for v in 4 6; do
	version $v
	for proto in ah esp; do
		what="case 2, $proto, IPv$v"
		gateways $proto
		begin a b && row "$what" "$ns_host_a" "$ns_host_b" $in_b $in_a 9 ""
		end a b
	done
done

# ---- case 3: both: end to end between hosts behind gateways --------------------------------------
for v in 4 6; do
	version $v
	for n in 0 1 2 3 4; do
		proto=$([ $((n % 2)) = 0 ] && echo esp || echo ah)
		list=${choices[n]} what="case 3, hosts ${choices[n]// / and }, gateways $proto, IPv$v"
		gateways $proto
		{ device 1280 "\"$in_b/$len\"" $in_a && links a 1 $in_a $in_b && protect "\"$in_a\"" "\"$in_b\"" $numbers; } >"$work/h1.conf"
		{ device 1280 "\"$in_a/$len\"" $in_b && links b 1 $in_a $in_b && protect "\"$in_b\"" "\"$in_a\"" $numbers; } >"$work/h2.conf"
		begin a b h1 h2 && row "$what" "$ns_host_a" "$ns_host_b" $in_b $in_a "$numbers 9" "$numbers"
		end h1 h2 a b
	done
done

# ---- case 4: a remote host, to its firewall and through it to a server ---------------------------
for v in 4 6; do
	version $v
	for n in 0 1 2 3 4; do
		proto=$([ $((n % 2)) = 1 ] && echo esp || echo ah)
		list=${choices[n]} what="case 4, to the server ${choices[n]// / and }, to the firewall $proto, IPv$v"
		{
			device 1280 "\"$in_b/$len\"" $wan_a
			links a 1 $wan_a $in_b
			sa_pair a 9 "$proto:tunnel" $wan_a $wan_b
			protect "\"$wan_a\"" "\"$in_b\"" $numbers 9 # the transport header before the tunnel header
		} >"$work/a.conf"
		{ device 1400 "\"$wan_a/$len\"" && sa_pair b 9 "$proto:tunnel" $wan_a $wan_b && protect "\"$net_b\"" "\"$wan_a\"" 9; } >"$work/b.conf"
		{ device 1280 "\"$wan_a/$len\"" $in_b && links b 1 $wan_a $in_b && protect "\"$in_b\"" "\"$wan_a\"" $numbers; } >"$work/h2.conf"
		begin a b h2 && row "$what" "$ns_a" "$ns_host_b" $in_b $wan_a "$numbers 9" "$numbers"
		end h2 a b
	done
done

# ---- case 4, and a link behind the firewall that is smaller --------------------------------------
# Its router tells of the packet inside the tunnel, which an SA to the server has made, and the word comes back through the tunnel alone.
behind() {
	ip -n "$ns_b" link set lan mtu 1350
	ip -n "$ns_host_b" link set eth0 mtu 1350
	ok "$what: a file" send_file "$ns_a" "$ns_host_b" $in_b 7000 "$work/file"
	ok "$what: the innermost of those that the router sees has learned it" grep -q "sa out${numbers##* }: .* larger than 1350 bytes" "$work/a.log.err"
	is "$what: nothing refused" "$(drops a icmp_quote)$(drops a policy_in)" 00
	ip -n "$ns_host_b" link set eth0 mtu 1500
	ip -n "$ns_b" link set lan mtu 1500
}
for v in 4 6; do
	version $v
	for proto in ah esp; do
		for list in esp:transport "esp:transport ah:transport" esp:tunnel; do
			what="case 4, a smaller link behind the firewall, to the server ${list// / and }, to the firewall $proto, IPv$v"
			{
				device 1400 "\"$in_b/$len\"" $wan_a
				links a 1 $wan_a $in_b
				sa_pair a 9 "$proto:tunnel" $wan_a $wan_b
				protect "\"$wan_a\"" "\"$in_b\"" $numbers 9
			} | sed 's/action = protect/&\n\tmss_clamp = no/' >"$work/a.conf"
			{ device 1400 "\"$wan_a/$len\"" && sa_pair b 9 "$proto:tunnel" $wan_a $wan_b && protect "\"$net_b\"" "\"$wan_a\"" 9; } >"$work/b.conf"
			{ device 1400 "\"$wan_a/$len\"" $in_b && links b 1 $wan_a $in_b && protect "\"$in_b\"" "\"$wan_a\"" $numbers; } >"$work/h2.conf"
			begin a b h2 && behind
			end h2 a b
		done
	done
done
finish
