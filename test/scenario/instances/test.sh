#!/usr/bin/env bash
# Two instances in one namespace, each with its own run directory, device and port.
. "$(dirname "$0")/../lib.sh"
need ping jq
topology
conf_defaults
conf_pair
# the second pair: other networks, port 4501
for g in a b; do
	sed -e 's/bw0/bw1/; s/10\.255\.0\./10.255.1./; s/fdff::/fdfe::/' -e 's/"10\.1\.0\.0\/16", "fd01::\/16"/"10.11.0.0\/16"/; s/"10\.2\.0\.0\/16", "fd02::\/16"/"10.12.0.0\/16"/' \
		-e $'s/^\tencap = udp/\tencap = udp\\\n\tsrc_port = 4501\\\n\tdst_port = 4501/' "$work/$g.conf" |
		{ echo 'port_nat_t = 4501'; cat; } >"$work/${g}2.conf"
done
address "$ns_a" lo 10.11.0.1/32
address "$ns_b" lo 10.12.0.1/32
pair_start || finish
gw_start a2 "$work/a2.conf" "$ns_a"
gw_start b2 "$work/b2.conf" "$ns_b"
ok "the first pair" ping_ok "$ns_host_a" 10.2.0.2
ok "the second pair" ping_ok "$ns_a" 10.12.0.1 -I 10.11.0.1
is "the second counts its own" "$(($(status a2 "$q_out_packets") >= 3))" 1
gw_stop a2
ok "the first lives on without the second" ping_ok "$ns_host_a" 10.2.0.2
finish
