#!/usr/bin/env bash
# The four basic combinations of SAs (RFC 2401 4.5), each as the RFC draws it, with every choice of headers it gives, IPv4 and IPv6: real traffic,
# and tshark reads every header on the wire and in the intranet. ESP is without encryption, so that tshark sees what is inside.
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump tshark jq
topology
random_file "$work/file" 60001

# sa_pair SIDE K PROTO:MODE A B: link K between the ends A and B, as SIDE (a or b) has it; SAs outK and inK
sa_pair() {
	local d src dst spi seed out=0x1000 in=0x2000
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
# What tshark shows of a list of SAs, the innermost first, in front of the upper layer: IPv4 or IPv6 throughout
stack_of() {
	local item out=$ip
	for item in "$@"; do
		case $item in
		*:transport) out="$ip:${item%:*}${out#"$ip"}" ;;
		*:tunnel) out="$ip:${item%:*}:$out" ;;
		esac
	done
	echo "$out"
}
layers() {
	timeout 60 tshark -o esp.enable_null_encryption_decode_heuristic:TRUE -r "$1" -T fields -e frame.protocols 2>/dev/null |
		grep -v '^$' | sed 's/^eth:ethertype://; s/:data$//; s/:nc$//' | sort | uniq -c | sed 's/^ *//'
}
# headers WHAT PCAP STACK: every frame is the stack, then ICMP or TCP
headers() {
	local all upper="icmp|icmpv6|tcp"
	all=$(layers "$2")
	is "$1" "$(sed 's/^[0-9]* //' <<<"$all" | grep -vE "^$3:($upper)(:|\$)")" ""
	num "$1: frames" "$(awk '{ n += $1 } END { print n + 0 }' <<<"$all")" -gt 20
	note "$all"
}
# row WHAT FROM TO TO_ADDR FROM_ADDR WIRE-STACK [INTRANET-STACK]: traffic both ways through what was started
row() {
	local what=$1 wire lan=
	capture "$ns_a" wan "$work/wire.pcap" "$not_arp" && wire=$last
	[ -z "${7:-}" ] || { capture "$ns_b" lan "$work/lan.pcap" "$not_arp" && lan=$last; }
	ok "$what: ping" ping_ok "$2" "$4"
	ok "$what: ping the other way" ping_ok "$3" "$5"
	ok "$what: a file" send_file "$2" "$3" "$4" 7000 "$work/file"
	capture_stop "$wire"
	[ -z "$lan" ] || capture_stop "$lan"
	headers "$what: on the wire $6" "$work/wire.pcap" "$6"
	[ -z "$lan" ] || headers "$what: in the intranet $7" "$work/lan.pcap" "$7"
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
		begin a b && row "$what" "$ns_a" "$ns_b" $wan_b $wan_a "$(stack_of $list)"
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
		begin a b && row "$what" "$ns_host_a" "$ns_host_b" $in_b $in_a "$(stack_of $proto:tunnel)" $ip
		end a b
	done
done

# ---- case 3: both: end to end between hosts behind gateways --------------------------------------
for v in 4 6; do
	version $v
	for n in 0 1 2 3 4; do
		[ $v = 4 ] || [ $n = 2 ] || [ $n = 4 ] || continue
		proto=$([ $((n % 2)) = 0 ] && echo esp || echo ah)
		list=${choices[n]} what="case 3, hosts ${choices[n]// / and }, gateways $proto, IPv$v"
		gateways $proto
		{ device 1280 "\"$in_b/$len\"" $in_a && links a 1 $in_a $in_b && protect "\"$in_a\"" "\"$in_b\"" $numbers; } >"$work/h1.conf"
		{ device 1280 "\"$in_a/$len\"" $in_b && links b 1 $in_a $in_b && protect "\"$in_b\"" "\"$in_a\"" $numbers; } >"$work/h2.conf"
		begin a b h1 h2 && row "$what" "$ns_host_a" "$ns_host_b" $in_b $in_a "$(stack_of $list $proto:tunnel)" "$(stack_of $list)"
		end h1 h2 a b
	done
done

# ---- case 4: a remote host, to its firewall and through it to a server ---------------------------
for v in 4 6; do
	version $v
	for n in 0 1 2 3 4; do
		[ $v = 4 ] || [ $n = 1 ] || [ $n = 3 ] || continue
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
		begin a b h2 && row "$what" "$ns_a" "$ns_host_b" $in_b $wan_a "$(stack_of $list $proto:tunnel)" "$(stack_of $list)"
		end h2 a b
	done
done
finish
