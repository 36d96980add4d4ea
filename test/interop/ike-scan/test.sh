#!/usr/bin/env bash
# ike-scan, the scanner: it recognizes an IKEv2 responder, or is told why not, and leaves nothing behind: no SA, no
# memory, no log line for each of hundreds of scans; a tunnel beside them does not notice. IKEv1 where connections
# allow it.
. "$(dirname "$0")/../../scenario/lib.sh"
. "$(dirname "$0")/../lib-ike.sh"
need jq ping ike-scan
topology
space s
cable "$ns_s" eth0 "$ns_a" dmz
address "$ns_a" dmz 198.51.100.1/24
address "$ns_s" eth0 198.51.100.7/24
ip -n "$ns_s" route add default via 198.51.100.1

scan() { in_ns "$ns_s" timeout 20 ike-scan --retry=1 --timeout=1500 "$@" 2>&1; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/${gw_pid[a]}/status"; }
handshake='1 returned handshake; 0 returned notify' refused='0 returned handshake; 1 returned notify'

# for the scanner a connection that has what it offers (3DES, AES-128; SHA1, MD5; group 2); for B one with the defaults
short='half_open_timeout = 2s'
ik_top=$short
ike_mirror
ike_conf b
ike_defaults
ik_top=$short$'\n'$(ike_conn site-b)
ik_name=scanned ik_local=198.51.100.1 ik_remote=%any ik_peer_id='*.example' ik_proposals='"aes128-sha1-modp1024"'
ik_extra='allow_weak = yes' ik_remote_ts='"10.9.0.0/16"' ik_routes='"10.2.0.0/16"'
ike_conf a
sed -i 's/id = {"a.example", "\*.example"}/id = {"a.example", "b.example"}/' "$work/a.conf"
gw_start a && gw_start b || finish
ok "a tunnel is up beside it" timeout 20 "$bin" up site-a --run-dir "$work/b.run"
ok "and carries" ping_ok "$ns_host_a" 10.2.0.2

scan --ikev2 198.51.100.1 >"$work/scan"
ok "IKEv2: it is recognized" grep -q "$handshake" "$work/scan" || note "$(cat "$work/scan")"
ok "IKEv2: by what the connection says" grep -q 'IKEv2 SA_INIT Handshake.*Encr=AES_CBC,KeyLength=128 Prf=HMAC_SHA1 Integ=HMAC_SHA1_96 DH_Group=2:modp1024' "$work/scan" || note "$(cat "$work/scan")"
scan --ikev2 --nat-t 198.51.100.1 >"$work/scan"
ok "IKEv2 at port 4500" grep -q "$handshake" "$work/scan" || note "$(cat "$work/scan")"
scan --ikev2 192.0.2.1 >"$work/scan"
ok "IKEv2 where no connection is for it: a refusal" grep -q "$refused" "$work/scan" || note "$(cat "$work/scan")"
note "$(sed -n 2p "$work/scan")"
ok "what was begun is forgotten" wait_for 5 eval '[ "$(status a .ike.half_open)" = 0 ]'

# hundreds of them: after some of one address it is asked for cookies, which it does not know
lines=$(wc -l <"$work/a.log.err") rss_before=$(rss)
for _ in $(seq 10); do
	for _ in $(seq 20); do scan --sport=0 --ikev2 198.51.100.1 >>"$work/many" & done
	wait $(jobs -p | grep -vxF -e "${gw_pid[a]}" -e "${gw_pid[b]}")
done
num "every scan is answered somehow" "$(grep -cE "$handshake|$refused" "$work/many")" -ge 190
num "most are asked for a cookie" "$(grep -c COOKIE "$work/many")" -gt 100
num "few are half-open" "$(status a .ike.half_open)" -le 10
num "the log says little of it" $(($(wc -l <"$work/a.log.err") - lines)) -lt 60
num "memory is steady: less than 2 MiB more" $(($(rss) - rss_before)) -lt 2048
ok "nothing is left" wait_for 10 eval '[ "$(status a .ike.half_open)" = 0 ]'
is "but the tunnel" "$(ike_count a true) $(ike_children a)" "1 1"
ok "which carries" ping_ok "$ns_host_a" 10.2.0.2

# IKEv1: main and aggressive mode, against connections of IKEv2 alone
scan -M 198.51.100.1 >"$work/scan"
ok "IKEv1 where all is IKEv2: nothing to see" grep -q '0 returned handshake' "$work/scan"
ok "IKEv1 where all is IKEv2: the log says why" ike_says a 'IKEv1'
is "IKEv1 where all is IKEv2: no SA" "$(ike_count a true)" 1
ok "the tunnel has not noticed" ping_ok "$ns_host_b" 10.1.0.2
gw_stop a
gw_stop b

ike_defaults
ik_version=1 ik_top=$short ik_remote=%any ik_peer_id=%any ik_psk='' ik_proposals='"aes128-sha1-modp1024", "3des-sha1-modp1024"' ik_extra='allow_weak = yes'
ik_top+=$'\nsecret all {\n\tsecret = "a-secret-for-the-tests-of-IKE"\n}'
ike_conf a
gw_start a || finish
scan -M 192.0.2.1 >"$work/scan"
ok "main mode: it is recognized" grep -q 'Main Mode Handshake returned' "$work/scan" || note "$(cat "$work/scan")"
scan -M -A -n a.example 192.0.2.1 >"$work/scan"
note "aggressive mode: $(sed -n 2p "$work/scan")"
scan --ikev2 192.0.2.1 >"$work/scan"
ok "IKEv2 where all is IKEv1: refused or silent" grep -q '0 returned handshake' "$work/scan"
ok "what was begun is forgotten" wait_for 10 eval '[ "$(ike_count a true) $(status a .ike.half_open)" = "0 0" ]' ||
	note "$(bw a list sas --json)"
finish
