# Common to the scenarios of bridges:
#
#   host_a eth0 - in [bump_a] out - to_a [sw] to_b - out [bump_b] in - eth0 host_b
#                                        to_c
#                                   eth0 clear: not behind a bump; it also serves DHCP and router advertisements
#
# bumps MODE      the namespaces; hosts have no address yet
# bump_conf a|b   $work/a.conf, $work/b.conf: section, then what is in $rules, $sas and $policies

bumps() {
	space host_a a sw b host_b clear
	local n
	cable "$ns_host_a" eth0 "$ns_a" in
	cable "$ns_a" out "$ns_sw" to_a
	cable "$ns_b" out "$ns_sw" to_b
	cable "$ns_host_b" eth0 "$ns_b" in
	cable "$ns_clear" eth0 "$ns_sw" to_c
	ip -n "$ns_sw" link add br0 type bridge
	for n in to_a to_b to_c; do ip -n "$ns_sw" link set "$n" master br0; done
	in_ns "$ns_sw" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/br0/disable_ipv6'
	ip -n "$ns_sw" link set br0 up
	# hosts, not routers: they take router advertisements
	for n in "$ns_host_a" "$ns_host_b"; do
		in_ns "$n" sh -c 'for f in all default eth0; do
			echo 0 >/proc/sys/net/ipv6/conf/$f/forwarding; echo 1 >/proc/sys/net/ipv6/conf/$f/router_solicitations
		done'
	done
}

bridge_conf() { # MODE
	printf 'bridge wire {\n\tprotected = "in"\n\topen = "out"\n\tmode = %s\n%s\n}\n' "$1" "${rules:-}"
}

# sas_between A B SPI: transport SAs of host A towards host B; reads conf_sa's variables. Names: to-B, from-B with b = last argument
sa_pair() { # NAME_OUT NAME_IN SPI_OUT SPI_IN HERE THERE SEED_OUT SEED_IN
	conf_sa "$1" out "$3" "$5" "$6" "$7"
	conf_sa "$2" in "$4" "$6" "$5" "$8"
}

mac_of() { ip -n "$1" -j link show dev "$2" | jq -r '.[0].address'; }
