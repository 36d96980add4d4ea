#!/usr/bin/env bash
# Gateway A is behind a NAT that changes addresses and ports; B learns where A is from authenticated packets,
# keepalives hold the mapping, and B follows when the mapping changes.
#   ns_a 172.16.0.2 - 172.16.0.1 ns_nat 192.0.2.9 - 192.0.2.2 ns_b
. "$(dirname "$0")/../lib.sh"
need ping nft tcpdump jq
space a b nat
cable "$ns_a" wan "$ns_nat" in
cable "$ns_nat" out "$ns_b" wan
address "$ns_a" wan 172.16.0.2/24
address "$ns_nat" in 172.16.0.1/24
address "$ns_nat" out 192.0.2.9/24
address "$ns_b" wan 192.0.2.2/24
ip -n "$ns_a" route add default via 172.16.0.1
hosts
masquerade() {
	in_ns "$ns_nat" nft -f - <<-X
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat;
				oifname "out" udp sport 4500 masquerade to :$1
			}
		}
	X
}
masquerade 20000-20010 || tap_skip_all "nftables cannot masquerade here"

conf_defaults
top='keepalive = 1s' wan_a=%any wan_b=192.0.2.2
conf_pair
pair_start || finish
capture "$ns_b" wan "$work/outside.pcap" && outside=$last
capture "$ns_nat" in "$work/inside.pcap" && inside=$last
ok "A reaches B through the NAT" wait_for 5 ping_ok "$ns_host_a" 10.2.0.2
# B knows no address for A before A has sent something: the first answer has nowhere to go
ok "B reaches A by the address it learned" ping_ok "$ns_host_b" 10.1.0.2
sleep 3
capture_stop "$inside"
num "a keepalive a second from behind the NAT" \
	"$(frames "$work/inside.pcap" 'src host 172.16.0.2 and udp dst port 4500 and udp[4:2] = 9 and udp[8] = 255')" -ge 2
num "B consumed them" "$(drops b keepalive)" -ge 2
ok "the mapping is still good from outside" ping_ok "$ns_host_b" 10.1.0.2

# an address that goes takes its mappings with it
ip -n "$ns_nat" addr del 192.0.2.9/24 dev out
in_ns "$ns_nat" nft flush ruleset
masquerade 30000-30010
ip -n "$ns_nat" addr add 192.0.2.10/24 dev out
# the answer to the first packet may still go to the old place
ok "A goes on through another mapping" wait_for 5 ping_ok "$ns_host_a" 10.2.0.2
ok "B follows it" ping_ok "$ns_host_b" 10.1.0.2
capture_stop "$outside"
num "the first mapping had another port" \
	"$(frames "$work/outside.pcap" 'src host 192.0.2.9 and udp src portrange 20000-20010 and udp dst port 4500')" -gt 5
num "B answered there" \
	"$(frames "$work/outside.pcap" 'dst host 192.0.2.9 and udp dst portrange 20000-20010')" -gt 5
num "and then to the second" \
	"$(frames "$work/outside.pcap" 'dst host 192.0.2.10 and udp dst portrange 30000-30010')" -gt 2

# what is not authenticated moves nothing
spi=00001001
in_ns "$ns_nat" "$python" "$here/wire.py" udp 192.0.2.2 4500 "${spi}0000ffff$(bytes 64 7)" >/dev/null
ok "a forged packet from elsewhere does not move B" ping_ok "$ns_host_b" 10.1.0.2
num "it was counted" "$(drops b auth)" -ge 1
finish
