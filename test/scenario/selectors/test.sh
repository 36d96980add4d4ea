#!/usr/bin/env bash
# What a policy may ask of a packet beyond addresses and ports: DSCP (RFC 4301 4.1), sensitivity labels (RFC 2401 8); and what
# IKE may make of its packets: selectors populated from them (4.4.1.2), opaque ports and fragments (7), names (4.4.1.1).
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq tcpdump scapy
topology
dir=$(dirname "$0")
random_file "$work/big" 3000
of_spi() { frames "$work/wire.pcap" "udp port 4500 and udp[8:4] = $1"; }
packets() { sa_value "$1" "$2" .packets; }
# more HERE THERE OUT_SPI IN_SPI OUT_SEED IN_SEED OUT_EXTRA IN_EXTRA: a pair of SAs beside the others
more() {
	sa_extra=$7
	conf_sa more-out out "$3" "$1" "$2" "$5"
	sa_extra=$8
	conf_sa more-in in "$4" "$2" "$1" "$6"
	sa_extra=''
}
# both OUT_EXTRA IN_EXTRA: the pair, at both ends
both() {
	policy_extra=$'\tparallel = {"more-out", "more-in"}'
	policies_before=$(more 192.0.2.1 192.0.2.2 0x2001 0x2002 64 96 "$1" "$2")
	conf_one a >"$work/a.conf"
	policies_before=$(more 192.0.2.2 192.0.2.1 0x2002 0x2001 96 64 "$1" "$2")
	conf_one b >"$work/b.conf"
	chmod 600 "$work"/*.conf
}

# ---- DSCP
conf_defaults
both 'match_dscp = {ef, 40-44}' ''
ok "check says nothing but what bumpwire(8) has of a machine that forwards" \
	eval '[ -z "$("$bin" check -c "$work/a.conf" 2>&1 | grep -v "hint: this machine forwards")" ]'
pair_start && {
	capture "$ns_a" wan "$work/wire.pcap" && wire=$last
	ok "ping by the one SA" ping_ok "$ns_host_a" 10.2.0.2 -c 4
	ok "ping with DSCP EF by the other" ping_ok "$ns_host_a" 10.2.0.2 -c 5 -Q 0xb8
	ok "over IPv6 as well" ping_ok "$ns_host_a" fd02::2 -c 6 -Q 0xa0
	capture_stop "$wire"
	num "the wire has EF by the SPI of that SA" "$(of_spi 0x2001)" -ge 11
	num "and the rest by the other" "$(of_spi 0x1001)" -ge 4
	is "each class is counted by its own SA" "$(($(of_spi 0x2001) == $(packets a more-out))) $(($(of_spi 0x1001) == $(packets a out)))" "1 1"
	num "answers come by either" "$(packets a more-in)" -ge 11
	is "nothing was dropped for policy" "$(drops a policy_in) $(drops b policy_in) $(drops a no_sa)" "0 0 0"
	ok "list policies names them" eval 'bw a list policies | grep -q "in parallel: more-out, more-in"'
	pair_stop || fail "ends well"
}

# ---- labels
conf_defaults
tun_extra=$'\tlabel = "doi 1 level 1 to level 5 categories 0-7"\n\tunlabelled = "doi 1 level 1"'
sa_out_extra='label = "doi 1 level 1 to level 2"' sa_in_extra='label = "doi 1 level 1"'
both 'label = "doi 1 level 3 categories 1"' 'label = "doi 1 level 3 categories 1"'
label() { in_ns "$ns_a" "$python" "$dir/label.py" bw0 10.1.0.2 10.2.0.2 "$@" 2>/dev/null; }
dropped() { [ "$(drops "$1" "$2")" -ge "$3" ]; }
pair_start && {
	background "$ns_b" "$work/events" "$bin" monitor --json --run-dir "$work/b.run"
	events=$last
	sleep 0.3
	ok "what has no label goes as its network" ping_ok "$ns_host_a" 10.2.0.2
	capture "$ns_a" wan "$work/wire.pcap" udp port 4500 && wire=$last
	capture "$ns_b" bw0 "$work/b.pcap" udp port 7000 && inner=$last
	label 3 40
	label 1 ''
	label 2 ''  # B takes no 2 by that SA
	label 4 ''  # no SA is for it
	label 6 ''  # the device is not for it
	label 3 c0  # one category too many
	label 3 40 bad
	ok "labels that fit nothing are dropped" wait_for 3 dropped a label 3
	ok "a malformed one, too" wait_for 3 dropped a label_format 1
	ok "what its SA is not for, the receiver drops" wait_for 3 dropped b label 1
	capture_stop "$wire"
	capture_stop "$inner"
	is "level 3 goes by the SA of level 3" "$(of_spi 0x2001)" 1
	is "level 1 and 2 by the other" "$(of_spi 0x1001)" 2
	is "two of them arrive" "$(frames "$work/b.pcap")" 2
	is "with their labels" "$(frames "$work/b.pcap" 'ip[0] & 15 > 5 and ip[20] = 134 and (ip[29] = 3 or ip[29] = 1)')" 2
	ok "it is audited" wait_for 3 eval 'jq -se "any(.[]; .audit == \"sa_label\" and .reason == \"label\" and .sa == \"in\" and .inner.dst_port == 7000)" "$work/events" >/dev/null' ||
		note "$(tail -n 3 "$work/events")"
	ok "list sas tells the label" eval 'bw a list sas | grep -q "label doi 1 level 3 categories 1"'
	stop "$events"
	pair_stop || fail "ends well"
}

# ---- populated from packets
conf_defaults
ike_defaults
address "$ns_host_b" eth0 10.2.0.3/16
ike_child_a=$'start_action = trap\n\tpfp = {remote}'
ike_pair
ts() { bw a status --json | jq -r '[.connections[0].sas[].children[].remote_ts[]] | sort | join(" ")'; }
pair_start && {
	ok "pfp: the first host's packets" ping_ok "$ns_host_a" 10.2.0.2 -W 5
	ok "pfp: the other's" ping_ok "$ns_host_a" 10.2.0.3 -W 5
	is "pfp: an SA pair for each" "$(ts)" "10.2.0.2/32 10.2.0.3/32"
	is "pfp: in one IKE SA" "$(sas a "$q_ike") $(sas a "$q_esp")" "1 4"
	ok "pfp: they come, too" ping_ok "$ns_host_b" 10.1.0.2
	ok "pfp: nothing is narrowed" not eval 'grep -q narrowed "$work"/a.log*'
	ok "pfp: new keys under pings" steady order a rekey site-b/net
	wait_for 5 eval '[ "$(sas a "$q_esp")" = 4 ]'
	is "pfp: they stay what they are" "$(ts)" "10.2.0.2/32 10.2.0.3/32"
	ok "pfp: by order there is nothing to start" not order a up site-b/net
	pair_stop || fail "ends well"
}

# ---- opaque ports, and fragments that follow
udp() { # udp PORT FILE: one datagram from host A to host B; succeeds when it arrives whole
	rm -f "$work/got.err"
	background "$ns_host_b" "$work/got" timeout 5 "$python" -c "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.2.0.2', $1)); s.settimeout(3)
print('bound', file=sys.stderr, flush=True)
sys.stdout.buffer.write(s.recv(65535))"
	wait_for 3 grep -q bound "$work/got.err"
	host_a "$python" -c "
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(open('$2', 'rb').read(), ('10.2.0.2', $1))"
	wait "$last"
	cmp -s "$work/got" "$2"
}
for how in no yes opaque; do
	ike_defaults
	ike_nets_a='"10.1.0.0/16[udp]"' ike_nets_b='"10.2.0.0/16[udp/7001]"'
	case $how in
	yes) ike_child='fragments_also = yes' ;;
	opaque)
		ike_child_a=$'}\n\tchild later {\n\t\tlocal_ts = "10.1.0.0/16[udp/opaque]"\n\t\tremote_ts = "10.2.0.0/16[udp/opaque]"'
		ike_child_b=$'}\n\tchild later {\n\t\tlocal_ts = "10.2.0.0/16[udp/opaque]"\n\t\tremote_ts = "10.1.0.0/16[udp/opaque]"'
		;;
	esac
	ike_pair
	pair_start || continue
	ok "fragments, $how: up" ike_up
	head -c 300 "$work/big" >"$work/small"
	ok "fragments, $how: a whole datagram arrives" udp 7001 "$work/small"
	if [ $how = no ]; then
		ok "fragments, no: one in fragments does not" not udp 7001 "$work/big"
	else
		ok "fragments, $how: one in fragments arrives" udp 7001 "$work/big"
	fi
	if [ $how = opaque ]; then
		num "by an SA of their own" "$(bw a list sas --json | jq '[.[] | select(.dir == "out" and (.name | startswith("site-b/later"))) | .packets] | add')" -ge 2
	fi
	pair_stop || fail "ends well"
done

# ---- names: a peer anywhere, who has the policies of its name
ike_defaults
ike_pair
sed -i 's/id = a.example/id = "alice@example.org"/; s/{a.example, b.example}/{"alice@example.org", b.example}/' "$work/a.conf"
{
	printf 'tun bw0 {\n\taddress = {"10.255.0.2/32"}\n\tmtu = 1400\n}\n'
	for u in alice:10.2.0.0/24 bob:10.2.99.0/24; do
		printf 'connection %s {\n\tversion = 2\n\tlocal_addrs = 192.0.2.2\n\tlocal {\n\t\tauth = psk\n\t\tid = b.example\n\t}\n' "${u%%:*}"
		printf '\tremote {\n\t\tauth = psk\n\t\tid = "%s@example.org"\n\t}\n' "${u%%:*}"
		printf '\tchild desk {\n\t\tlocal_ts = "%s"\n\t\tremote_ts = "10.1.0.0/16"\n\t}\n}\n' "${u##*:}"
	done
	printf 'secret a {\n\tid = {"alice@example.org", b.example}\n\tsecret = %s\n}\n' "$ike_secret"
	printf 'secret b {\n\tid = {"bob@example.org", b.example}\n\tsecret = "another"\n}\n'
} >"$work/b.conf"
pair_start && {
	is "names: no policy before" "$(bw b list policies --json | jq length)" 0
	ok "names: up" ike_up
	is "names: then those of the name, and no others" "$(bw b list policies --json | jq -c '[.[] | [.name, .selectors[]]]')" \
		'[["alice/desk","10.2.0.0/24 === 10.1.0.0/16"]]'
	ok "names: traffic" ping_ok "$ns_host_a" 10.2.0.2
	ok "names: down" order a down site-b
	ok "names: and gone" wait_for 5 eval '[ "$(bw b list policies --json | jq length)" = 0 ]'
	pair_stop || fail "ends well"
}
finish
