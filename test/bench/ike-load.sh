#!/usr/bin/env bash
# How many IKE SAs a second a responder sets up: ike_load's initiators against bumpwire, then against
# strongSwan, in turns, in one run. What leaves: a table on standard output and, when IKE_OUT names a
# folder, ike.jsonl in it.
#
#   IKE_SAS=500       SAs of each run          IKE_ROUNDS=3     rounds
#   IKE_PARALLEL=24   under way at a time      IKE_BIG=0        and one run with so many (10000), for the
#   IKE_KINDS="psk psk-child ecdsa rsa"        cost of a new one among many and the memory of each
#
# Initiators and responder share the machine, so next to SAs a second stands what the responder's process
# used of a CPU for each: that is the figure to compare.
src=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BW_SRC=$src
# shellcheck source=test/scenario/lib.sh
. "$src/test/scenario/lib.sh"
# shellcheck source=test/interop/lib-strongswan.sh
. "$src/test/interop/lib-strongswan.sh"
need jq
swan_need
load=${BENCH_BIN:-$src/build/test/bench}/ike_load
sas=${IKE_SAS:-500} rounds=${IKE_ROUNDS:-3} parallel=${IKE_PARALLEL:-24} big=${IKE_BIG:-0}
kinds=${IKE_KINDS:-psk psk-child ecdsa rsa}
out=${IKE_OUT:-$work}
mkdir -p "$out"

space load
for r in bw sw; do
	space $r
	ns=ns_$r
	cable "$ns_load" to_$r "${!ns}" wan
done
address "$ns_load" to_bw 192.0.2.1/30
address "$ns_bw" wan 192.0.2.2/30
address "$ns_load" to_sw 192.0.2.5/30
address "$ns_sw" wan 192.0.2.6/30
# strongSwan routes to each child from an address of its own in local_ts
ip -n "$ns_sw" addr add 10.255.0.1/16 dev lo
ip -n "$ns_bw" route add default via 192.0.2.1
ip -n "$ns_sw" route add default via 192.0.2.5

# The credentials of all initiators are one: it is the responder's work that counts.
pki_ca ca /CN=load-ca
for k in ecdsa:p256 rsa:rsa; do
	pki_cert "${k%:*}-r" /CN=responder.example ca "key=${k#*:}" san=DNS:responder.example
	pki_cert "${k%:*}-i" /CN=load.example ca "key=${k#*:}" san=DNS:load.example
done

# cpu PID: seconds of CPU time so far; rss PID: KiB
cpu() { sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%.3f", ($12 + $13) / hz }'; }
rss() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"; }

conf_bw() { # KIND
	local cred='local { auth = psk id = responder.example }
		remote { auth = psk }'
	case $1 in
	ecdsa* | rsa*) cred="local { auth = pubkey certs = {\"$pki/${1%%-*}-r.pem\"} key = \"$pki/${1%%-*}-r.key\" }
		remote { auth = pubkey cacerts = {\"$pki/ca.pem\"} }" ;;
	esac
	cat >"$work/bw.conf" <<-X
		cookie_threshold = 0
		block_threshold = 0
		log { level = warn }
		tun bw0 { address = {"10.255.0.1/16"} }
		connection all {
			version = 2
			local_addrs = 192.0.2.2
			proposals = {"aes128gcm16-prfsha256-curve25519"}
			unique = never
			childless = yes
			rekey_time = 24h
			$cred
			child net { local_ts = {"10.255.0.0/16"} remote_ts = {"10.64.0.0/10"} rekey_time = 24h }
		}
		secret all { secret = "$swan_psk" }
	X
	chmod 600 "$work/bw.conf"
}

conf_sw() { # KIND
	swan_defaults
	sw_local=192.0.2.6 sw_remote=%any sw_proposals=aes128gcm16-prfsha256-curve25519 sw_id=responder.example
	sw_peer_id=%any sw_local_ts=10.255.0.0/16 sw_remote_ts=10.64.0.0/10
	sw_extra=$'unique = never\nchildless = allow\nrekey_time = 24h'
	sw_charon=$'cookie_threshold = 0\nblock_threshold = 0\ndos_protection = no\nikesa_table_size = 4096\nikesa_table_segments = 16'
	case $1 in
	ecdsa* | rsa*)
		sw_auth=pubkey sw_peer_auth=pubkey sw_local_extra="certs = ${1%%-*}-r.pem"
		swan_cred sw "${1%%-*}-r" ca
		;;
	esac
	swan_config sw "$(swan_conn all)"$'\n}\n'"secrets { ike-all { secret = \"$swan_psk\" } "
}

start() { # WHO KIND: sets pid
	if [ "$1" = bw ]; then
		conf_bw "$2"
		gw_start bw || exit 1
		pid=${gw_pid[bw]}
	else
		conf_sw "$2"
		swan_start sw "$ns_sw" || exit 1
		pid=${swan_pid[sw]}
	fi
}

ended_of() { if [ "$1" = bw ]; then gw_stop bw; else swan_stop sw; fi; }

# one WHO KIND N: a line of JSON
one() {
	local who=$1 kind=$2 n=$3 ends cred before after was args=() said
	start "$who" "$kind"
	case $who in bw) ends=(--local 192.0.2.1 --peer 192.0.2.2) ;; *) ends=(--local 192.0.2.5 --peer 192.0.2.6) ;; esac
	case $kind in
	ecdsa* | rsa*) args=(--cert "$pki/${kind%%-*}-i.pem" --key "$pki/${kind%%-*}-i.key" --ca "$pki/ca.pem") ;;
	*) args=(--psk "$swan_psk") ;;
	esac
	[[ $kind == *-child ]] || args+=(--childless)
	before=$(cpu "$pid") was=$(rss "$pid")
	said=$(in_ns "$ns_load" timeout 300 "$load" "${ends[@]}" "${args[@]}" --sas "$n" --parallel "$parallel" \
		--timeout 240 2>"$work/load.err")
	after=$(cpu "$pid")
	jq -c --arg who "$who" --arg kind "$kind" --arg b "$before" --arg a "$after" --arg was "$was" --arg is "$(rss "$pid")" \
		'. + {who: $who, kind: $kind, cpu_ms_per_sa: ((($a|tonumber) - ($b|tonumber)) * 1000 / ([.up, 1] | max)),
		 rss_bytes_per_sa: ((($is|tonumber) - ($was|tonumber)) * 1024 / ([.up, 1] | max))}' <<<"$said" ||
		{ cat "$work/load.err" >&2; return 1; }
	ended_of "$who"
}

: >"$out/ike.jsonl"
for ((r = 0; r < rounds; r++)); do
	for kind in $kinds; do
		for who in bw sw; do one $who "$kind" "$sas" >>"$out/ike.jsonl"; done
	done
done
if [ "$big" != 0 ]; then
	for kind in psk psk-child; do one bw $kind "$big" | jq -c '. + {big: true}' >>"$out/ike.jsonl"; done
fi
jq -rs '
	def median: sort | .[(length - 1) / 2 | floor];
	"| responder | what | up of asked | SAs a second | CPU ms of the responder for each | its memory for each, bytes |",
	"|---|---|---|---|---|---|",
	(group_by([.kind, .who, .big])[] | "| \(.[0].who | {bw: "bumpwire", sw: "strongSwan"}[.]) | \(.[0].kind)\(if .[0].big then ", many" else "" end) | \(map(.up) | add) of \(map(.of) | add) | \(map(.per_second) | median) | \(map(.cpu_ms_per_sa) | median * 1000 | round / 1000) | \(map(.rss_bytes_per_sa) | median | round) |"),
	(.[] | select(.big) | "", "Time of each new one, in tenths of \(.of) (\(.kind)), us: \(.block_us | map(tostring) | join(", "))"),
	(map(select(.first_error != "")) | .[0:3][] | "", "\(.who) \(.kind): \(.first_error)")' "$out/ike.jsonl"
