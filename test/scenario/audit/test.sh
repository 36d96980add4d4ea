#!/usr/bin/env bash
# Auditable events: packets forged by scapy, and what `monitor --json` and the log tell of them.
. "$(dirname "$0")/../lib.sh"
need ping jq scapy
topology
conf_defaults
encap=none cipher=aes128-sha256
conf_pair
cat >>"$work/b.conf" <<'END'
connection office {
	local_addrs = "192.0.2.2"
	remote_addrs = "192.0.2.1"
	local {
		auth = psk
		id = b.example
	}
	remote {
		auth = psk
		id = a.example
	}
	child net {
		local_ts = {"10.99.0.0/16"}
		remote_ts = {"10.98.0.0/16"}
	}
}
secret one {
	id = {a.example, b.example}
	secret = "a secret for tests"
}
END
pair_start || finish
watch() { background "$ns_b" "$work/events" "$bin" monitor --json --run-dir "$work/b.run"; wait_for 5 bw b status; sleep 0.3; }
watch
# event NAME FILTER: one of that name for which the filter holds
event() { jq -se --arg n "$1" "any(.[]; .event == \"audit\" and .audit == \$n and ($2))" "$work/events" >/dev/null; }
told() { ok "$1: ${*:2}" wait_for 5 event "$1" "$2" || { tail -n 3 "$work/events" | sed 's/^/# /'; }; }
forge() { in_ns "$ns_a" "$python" "$src/test/scenario/audit/forge.py" "$@" 2>/dev/null; }

ok "ping" ping_ok "$ns_host_a" 10.2.0.2 -c 3
# (the kernel speaks of routers and groups to every device, which is no policy's)
is "nothing else to audit so far" "$(jq -s '[.[] | select(.event == "audit" and .audit != "discard")] | length' "$work/events")" 0

forge esp 192.0.2.1 192.0.2.2 0xdead0001 77
told no_sa '.spi == "0xdead0001" and .seq == 77 and .src == "192.0.2.1" and .dst == "192.0.2.2" and .protocol == "esp"'
told no_sa '(.date | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$")) and (.rfc | contains("4303 3.4.2")) and .suppressed == 0'
is "an IPv4 packet has no flow label" "$(jq -s '[.[] | select(.audit == "no_sa") | .flow // empty] | length' "$work/events")" 0

forge esp 192.0.2.1 192.0.2.2 0x1001 100
told integrity '.spi == "0x00001001" and .seq == 100 and .src == "192.0.2.1" and .sa == "in" and .severity == "warn"'

forge esp 192.0.2.1 192.0.2.2 0x1001 1
told replay '.spi == "0x00001001" and .seq == 1 and .sa == "in"'

forge ike 192.0.2.1 192.0.2.2
told invalid_cookie '.src == "192.0.2.1" and .dst == "192.0.2.2" and .ike_spi_i == "0102030405060708" and .text != null'

# into the tunnel, where no policy matches
ip -n "$ns_b" route add 10.77.0.0/16 dev bw0
in_ns "$ns_host_b" ping -c 1 -W 1 10.77.0.9 >/dev/null 2>&1
told discard '.reason == "no_policy" and .inner.src == "10.2.0.2" and .inner.dst == "10.77.0.9" and .inner.protocol == 1 and .inner.type == 8'

# inside a valid SA, but not what it may carry: A's policy is wider than B's
in_ns "$ns_a" ip addr add 10.88.0.1/32 dev lo
gw_stop a && sed -i 's|local = {"10.1.0.0/16"|local = {"10.88.0.0/16", "10.1.0.0/16"|' "$work/a.conf" && gw_start a
in_ns "$ns_a" ping -c 1 -W 1 -I 10.88.0.1 10.2.0.2 >/dev/null 2>&1
told sa_selectors '.sa == "in" and .spi == "0x00001001" and .inner.src == "10.88.0.1" and .inner.dst == "10.2.0.2" and (.selectors | length) > 0'

# many at once: some are told, the rest are counted, the last of them a while later
forge esp 192.0.2.1 192.0.2.2 0xdead0001 1 200
told_or_not() { jq -s '[.[] | select(.audit == "no_sa")] | (map(select(.spi)) | length) + (map(.suppressed) | add)' "$work/events"; }
adds_up() { [ "$(told_or_not)" = "$(drops b unknown_spi)" ]; }
wait_for 5 eval '[ "$(drops b unknown_spi)" -ge 201 ]'
is "200 more arrive" "$(drops b unknown_spi)" 201
wait_for 30 adds_up
is "told and suppressed add up" "$(told_or_not)" "$(drops b unknown_spi)"
ok "and some were suppressed" event no_sa '.suppressed > 0'
num "and few were told" "$(jq -s '[.[] | select(.audit == "no_sa" and .spi)] | length' "$work/events")" -le 40
ok "the log has it" grep -q 'info audit: no_sa (no SA has this SPI): protocol=esp spi=0xdead0001 seq=77 src=192.0.2.1' "$work/b.log.err"

# switched off, but for AH
stop "$last" >/dev/null
sed -i '1i audit = {ah}' "$work/b.conf"
ok "reload" bw b reload
watch
forge esp 192.0.2.1 192.0.2.2 0xdead0003 1
wait_for 5 eval '[ "$(drops b unknown_spi)" -ge 202 ]'
sleep 0.5
is "audit = {ah}: ESP is not told" "$(grep -c '"audit"' "$work/events")" 0
stop "$last" >/dev/null

# over IPv6 with its flow label
pair_stop
wan_a=2001:db8::1 wan_b=2001:db8::2
conf_pair
pair_start || finish
watch
forge esp 2001:db8::1 2001:db8::2 0xdead0006 6
told no_sa '.spi == "0xdead0006" and .seq == 6 and .src == "2001:db8::1" and .dst == "2001:db8::2" and .flow == "0x12345"'
finish
