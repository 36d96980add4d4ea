#!/usr/bin/env bash
# AH and bundles that arrive in fragments, the last one first: the system puts them together, and what AH covers is as it was when it
# was sent (RFC 4302 3.4.1). IPv4 and IPv6, transport and tunnel mode, AH alone, over ESP, and inside of it.
. "$(dirname "$0")/../lib.sh"
need ping nc tcpdump jq
space a b wire
cable "$ns_a" wan "$ns_wire" pa
cable "$ns_b" wan "$ns_wire" pb
address "$ns_a" wan 192.0.2.1/24 2001:db8::1/64
address "$ns_b" wan 192.0.2.2/24 2001:db8::2/64
hosts
for n in wire a b; do
	for dev in pa pb wan; do in_ns "bw-$$-$n" ethtool -K $dev tx off gso off gro off tso off; done
done >/dev/null 2>&1
random_file "$work/file" 300001
background "$ns_wire" "$work/cut" "$python" "$(dirname "$0")/cut.py" pa pb 600
wait_for 5 grep -q ready "$work/cut" || tap_skip_all "no packet sockets here"

# sas SIDE: of $list, innermost first; both names in $out and $in
sas() {
	local side=$1 n=0 item d s dir spi
	out='' in=''
	for item in $list; do
		n=$((n + 1))
		for dir in out in; do
			spi=$((0x1000 + n))
			[ "$side$dir" = aout ] || [ "$side$dir" = bin ] || spi=$((0x2000 + n))
			s=$wan_a d=$wan_b
			[ $spi -lt $((0x2000)) ] || { s=$wan_b d=$wan_a; }
			printf 'sa %s%s {\n\tdirection = %s\n\tproto = %s\n\tmode = %s\n\tspi = %s\n\tsrc = "%s"\n\tdst = "%s"\n\tencap = none\n' \
				$dir $n $dir "${item%:*}" "${item#*:}" $spi "$s" "$d"
			if [ "${item%:*}" = ah ]; then
				printf '\tcipher = "null"\n\tintegrity = "sha256"\n\tinteg_key = "%s"\n' "$(bytes 32 $((spi % 256 + spi / 4096 * 40)))"
			else
				printf '\tcipher = "aes128gcm16"\n\tkey = "%s"\n' "$(bytes 20 $((spi % 256 + spi / 4096 * 40)))"
			fi
			printf '\tdf = clear\n\tmtu = 1500\n}\n'
			eval "$dir=\"\$$dir\${$dir:+, }\\\"$dir$n\\\"\""
		done
	done
}

conf() {
	local here=1 there=2 nets_h nets_t
	[ "$1" = a ] || here=2 there=1
	if [ "$between" = hosts ]; then
		local w_h=$wan_a w_t=$wan_b
		[ "$1" = a ] || { w_h=$wan_b w_t=$wan_a; }
		nets_h="\"$w_h\"" nets_t="\"$w_t\""
		printf 'tun bw0 {\n\taddress = {%s}\n\tmtu = 1300\n\troutes = {%s}\n}\n' "$nets_h" "$nets_t"
	else
		nets_h="\"10.$here.0.0/16\", \"fd0$here::/16\"" nets_t="\"10.$there.0.0/16\", \"fd0$there::/16\""
		printf 'tun bw0 {\n\tmtu = 1300\n\troutes = {%s}\n}\n' "$nets_t"
	fi
	sas "$1" >"$work/sas.$1"
	cat "$work/sas.$1"
	printf 'policy net {\n\tlocal = {%s}\n\tremote = {%s}\n\taction = protect\n\tout = {%s}\n\tin = {%s}\n}\n' "$nets_h" "$nets_t" "$out" "$in"
}

run_case() { # run_case WHAT BETWEEN VERSION LIST FRAGMENTS
	local what=$1 from to
	between=$2 list=$4
	wan_a=192.0.2.1 wan_b=192.0.2.2
	[ "$3" = 4 ] || wan_a=2001:db8::1 wan_b=2001:db8::2
	for g in a b; do
		conf $g >"$work/$g.conf"
	done
	chmod 600 "$work"/?.conf
	pair_start || return
	from=$ns_host_a to=10.2.0.2
	[ "$between" = nets ] || { from=$ns_a to=$wan_b; }
	capture "$ns_b" wan "$work/case.pcap" "$5" && wire=$last
	ok "$what: ping" ping_ok "$from" "$to" -s 1100
	ok "$what: a file" send_file "$from" "$([ "$between" = nets ] && echo "$ns_host_b" || echo "$ns_b")" "$to" 7000 "$work/file"
	capture_stop "$wire"
	num "$what: it came in fragments" "$(frames "$work/case.pcap" "$5")" -gt 100
	is "$what: nothing refused" "$(drops b auth)$(drops b transport)$(drops b policy_in)$(drops b bad_header)" 0000
	pair_stop || fail "$what: ends well"
}

f4='ip[6:2] & 0x3fff != 0' f6='ip6[6] = 44'
run_case "AH, transport, IPv4" hosts 4 ah:transport "$f4"
run_case "AH, transport, IPv6" hosts 6 ah:transport "$f6"
run_case "AH, tunnel, IPv4" nets 4 ah:tunnel "$f4"
run_case "AH, tunnel, IPv6" nets 6 ah:tunnel "$f6"
run_case "AH over ESP, transport, IPv4" hosts 4 "esp:transport ah:transport" "$f4"
run_case "AH over ESP, transport, IPv6" hosts 6 "esp:transport ah:transport" "$f6"
run_case "AH over an ESP tunnel, IPv4" nets 4 "esp:tunnel ah:transport" "$f4"
run_case "AH over an ESP tunnel, IPv6" nets 6 "esp:tunnel ah:transport" "$f6"
run_case "AH in an ESP tunnel, IPv4" nets 4 "ah:tunnel esp:tunnel" "$f4"
run_case "AH in an ESP tunnel, IPv6" nets 6 "ah:tunnel esp:tunnel" "$f6"
finish
