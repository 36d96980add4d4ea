#!/usr/bin/env bash
# Bumps in the wire that key themselves: each speaks IKE with the address of the host behind it, which knows nothing of it and is not
# disturbed. Versions 1 and 2, IPv4 and IPv6; the first packet starts it (trap), or `up`; rekeying under traffic; a restart; what the host's own
# IKE with others is stays the host's; and without the process nothing passes.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../bridge/wire.sh"
need ping nc tcpdump jq iperf3
bumps
address "$ns_host_a" eth0 192.0.2.1/24 2001:db8::1/64
address "$ns_host_b" eth0 192.0.2.2/24 2001:db8::2/64
address "$ns_clear" eth0 192.0.2.9/24 2001:db8::9/64
random_file "$work/file" 1000001

version=2 start=trap child="" conn=""
conf_ike() { # a|b
	local me=1 peer=2 v
	[ "$1" = a ] || { me=2 peer=1; }
	{
		printf 'ike_retransmit_timeout = 300ms\nike_retransmit_tries = 4\n'
		bridge_conf host
		for v in "v4 192.0.2." "v6 2001:db8::"; do
			set -- $v
			printf 'connection %s {\n\tversion = %s\n\tlocal_addrs = "%s"\n\tremote_addrs = "%s"\n' "$1" "$version" "$2$me" "$2$peer"
			printf '%s\n' "$conn"
			printf '\tlocal {\n\t\tauth = psk\n\t\tid = host%s.example\n\t}\n\tremote {\n\t\tauth = psk\n\t\tid = host%s.example\n\t}\n' $me $peer
			printf '\tchild all {\n\t\tmode = transport\n\t\tstart_action = %s\n%s\n\t}\n}\n' "$start" "$child"
		done
		printf 'secret hosts {\n\tid = {host1.example, host2.example}\n\tsecret = "scenario secret"\n}\n'
		printf 'policy clear { remote = {"192.0.2.9", "2001:db8::9"} action = bypass }\n'
	} >"$work/$([ $me = 1 ] && echo a || echo b).conf"
	chmod 600 "$work"/*.conf
}
both() { conf_ike a; conf_ike b; }
order() { local g=$1; shift; timeout 20 "$bin" "$@" --run-dir "$work/$g.run"; }
sas() { bw "$1" list sas --json | jq "[.[] | select($2)] | length"; }
hosts_pair='((host 192.0.2.1 and host 192.0.2.2) or (host 2001:db8::1 and host 2001:db8::2))'
in_clear() { # between the hosts, what is neither ESP nor IKE nor address resolution
	frames "$1" "$hosts_pair and $not_arp and not $esp_raw and not (udp port 500) and not (ip proto 17 and ip[6:2] & 0x1fff != 0 and greater 60) and not (ip6[6] = 44 and (ip6[40] = 17 or ip6[40] = 50))"
}

for version in 2 1; do
	start=trap conn=""
	both
	pair_start || finish
	capture "$ns_sw" br0 "$work/wire.pcap" && wire=$last
	capture "$ns_host_a" eth0 "$work/host-a.pcap" 'udp port 500 or udp port 4500' && p_a=$last
	capture "$ns_host_b" eth0 "$work/host-b.pcap" 'udp port 500 or udp port 4500' && p_b=$last
	ok "v$version: the first packet starts it and is kept until it is up" ping_ok "$ns_host_a" 192.0.2.2
	ok "v$version: IPv6, from the other side" ping_ok "$ns_host_b" 2001:db8::1
	ok "v$version: a file" send_file "$ns_host_a" "$ns_host_b" 192.0.2.2 7000 "$work/file"
	ok "v$version: a file, IPv6" send_file "$ns_host_b" "$ns_host_a" 2001:db8::1 7000 "$work/file"
	is "v$version: IKE SAs" "$(sas a '.proto == "ike" and .state == "established"')" 2
	for g in v4 v6; do
		ok "v$version: new keys for the child, $g" order a rekey $g/all
		[ $version = 1 ] || ok "v$version: new keys for IKE, $g" order b rekey $g
	done
	ok "v$version: ping afterwards" ping_ok "$ns_host_b" 192.0.2.1
	ok "v$version: bypass as ever" ping_ok "$ns_host_a" 192.0.2.9
	ok "v$version: fragments" ping_ok "$ns_host_a" 192.0.2.2 -s 3000 -M dont
	ok "v$version: fragments, IPv6" ping_ok "$ns_host_b" 2001:db8::1 -s 3000 -M dont
	capture_stop "$wire"
	capture_stop "$p_a"
	capture_stop "$p_b"
	num "v$version: ESP between the hosts" "$(frames "$work/wire.pcap" "$esp_raw and $hosts_pair")" -gt 100
	num "v$version: IKE between the hosts" "$(frames "$work/wire.pcap" "udp port 500 and $hosts_pair")" -ge 8
	is "v$version: nothing else between them" "$(in_clear "$work/wire.pcap")" 0
	is "v$version: the hosts see nothing of IKE" "$(frames "$work/host-a.pcap") $(frames "$work/host-b.pcap")" "0 0"
	for h in a b; do
		ns_var=ns_$h
		for dev in in out; do
			is "v$version: bump $h, $dev: no frame of its own" \
				"$(frames "$work/wire.pcap" ether host "$(mac_of "${!ns_var}" $dev)")" 0
		done
	done
	pair_stop
done

# ---- by hand, before either host has said anything ------------------------------------------------

version=2 start=none conn=""
both
pair_start || finish
for h in "$ns_host_a" "$ns_host_b"; do ip -n "$h" neigh flush dev eth0; done
ok "nothing passes before it is up" not ping_ok "$ns_host_a" 192.0.2.2 -c 1 -W 0.3
ok "up: the peer is found by asking" order a up v4
ok "up: ping" ping_ok "$ns_host_a" 192.0.2.2
ok "up, IPv6" eval 'in_ns "$ns_host_a" ping -n -c 1 -W 0.3 2001:db8::9 >/dev/null; order a up v6'
ok "up: ping, IPv6" ping_ok "$ns_host_a" 2001:db8::2
ok "down" order a down v4
ok "down: nothing passes" not ping_ok "$ns_host_a" 192.0.2.2 -c 1 -W 0.3

# the host's own IKE with somebody whom a policy lets pass: from port 500, to port 500
echo request >"$work/request"
own_ike() {
	background "$ns_host_a" "$work/own" timeout 5 nc -u -l -p 500
	sleep 0.3
	printf '%s' "0123456789abcdef0123456789abcdef" | in_ns "$ns_clear" timeout 2 nc -u -w 1 -p 500 192.0.2.1 500
	wait_for 3 grep -q 0123456789abcdef "$work/own"
}
ok "IKE of the host's own reaches the host" own_ike
pair_stop

# ---- a bump that goes and comes back --------------------------------------------------------------

start=trap
child=$'\t\tdpd_action = restart\n'
both
sed -i 's/^connection v.*/&\n\tdpd_delay = 1s/' "$work"/?.conf
pair_start || finish
ok "trap: ping" ping_ok "$ns_host_a" 192.0.2.2
capture "$ns_sw" to_a "$work/killed.pcap" && wire=$last
background "$ns_host_a" "$work/flood" ping -n -i 0.02 -c 200 192.0.2.2
sleep 0.5
kill -9 "${gw_pid[a]}"
wait "${gw_pid[a]}" 2>/dev/null
killed=$(date +%s.%N)
unset "gw_pid[a]"
sleep 1
is "killed: nothing of the host's leaves" "$(tcpdump -ttnr "$work/killed.pcap" ether src \
	"$(mac_of "$ns_host_a" eth0)" 2>/dev/null | awk -v t="$killed" '$1 > t' | wc -l)" 0
gw_start a
ok "started again: the next packet makes new SAs" wait_for 15 ping_ok "$ns_host_a" 192.0.2.2
capture_stop "$wire"
is "never anything in the clear" "$(frames "$work/killed.pcap" 'icmp and host 192.0.2.2')" 0
finish
