# bumpwire's side of the scenarios with IKE: its configuration and what it says of itself. Source after
# scenario/lib.sh. Works against strongSwan (lib-strongswan.sh) and against bumpwire.
#
#   ike_defaults                 resets the ik_* variables to: gateway a of topology(), PSK, connection site-b, child net
#   ike_mirror                   turns them round: gateway b, connection site-a
#   ike_conf G                   writes $work/G.conf made of them, mode 0600; certificates lie in $pki (lib-pki.sh)
#   ike_conn [NAME]              prints the connection alone, for files with several
#   ike_up G NAME [SECONDS]      `bumpwire up`, at most so long (15); what it said is in $work/G.up
#   ike_down G NAME
#   ike_count G EXPRESSION       how many IKE SAs of `list sas --json` the jq expression selects
#   ike_children G               how many children are installed
#   ike_ready G [N]              true when N (1) children are installed
#   ike_idle G                   true when there is no SA of any kind
#   ike_mark G                   what G logged so far does not count for ike_says
#   ike_says G TEXT [SECONDS]    TEXT comes up in G's log within so long (5)
#   ike_traffic WHAT             ping both ways and a second of iperf3 between the hosts, as TAP tests
#   ike_swan_start               bumpwire as gateway a, strongSwan as b, with what ik_* and sw_* say; ends the test if not
#   ike_swan_end                 stops both, resets ik_* and sw_*
#   ike_child_spi G; ike_sa_spi G  the newest SPI of ours of a child, and the initiator's of an IKE SA
#   ike_settled                  A and strongSwan at B have one IKE SA and one child each, and no other SAs any more
#   ike_through COMMAND...       fails when the command does, or when meanwhile one of 100 pings a second from A's host to
#                                B's is lost, or a byte of a TCP stream beside them
#   ike_wire WHAT FILE           the capture holds IKE and ESP in UDP and nothing else, as TAP tests
#
# Variables and their defaults:
#   ik_top= (lines outside sections)  ik_routes (from ik_remote_ts)  ik_mtu=1400  ik_tun_addr=10.255.0.1/32
#   ik_name=site-b ik_version=2 ik_local=192.0.2.1 ik_remote=192.0.2.2 ik_proposals= ik_extra= (lines of the connection)
#   ik_auth=psk ik_id=a.example ik_local_extra=   ik_peer_auth=psk ik_peer_id=b.example ik_peer_extra=
#   ik_child=net ik_local_ts='"10.1.0.0/16"' ik_remote_ts='"10.2.0.0/16"' ik_esp= ik_child_extra=
#   ik_children= (text of more children)   ik_psk=a-secret-for-the-tests-of-IKE (empty: no secret section)

ike_defaults() {
	ik_top='' ik_routes='' ik_mtu=1400 ik_tun_addr=10.255.0.1/32
	ik_name=site-b ik_version=2 ik_local=192.0.2.1 ik_remote=192.0.2.2 ik_proposals='' ik_extra=''
	ik_auth=psk ik_id=a.example ik_local_extra='' ik_peer_auth=psk ik_peer_id=b.example ik_peer_extra=''
	ik_child=net ik_local_ts='"10.1.0.0/16"' ik_remote_ts='"10.2.0.0/16"' ik_esp='' ik_child_extra='' ik_children=''
	ik_psk=a-secret-for-the-tests-of-IKE
}
ike_defaults

ike_mirror() {
	local t
	t=$ik_local ik_local=$ik_remote ik_remote=$t
	t=$ik_id ik_id=$ik_peer_id ik_peer_id=$t
	t=$ik_local_ts ik_local_ts=$ik_remote_ts ik_remote_ts=$t
	ik_name=site-a ik_tun_addr=10.255.0.2/32
}

ike_conn() {
	local q='"' # the shell takes quotes away from inside of ${...}
	cat <<X
connection ${1:-$ik_name} {
	version = $ik_version
	local_addrs = $ik_local
	remote_addrs = $ik_remote
	${ik_proposals:+proposals = {$ik_proposals\}}
	$ik_extra
	local {
		auth = $ik_auth
		${ik_id:+id = $q$ik_id$q}
		$ik_local_extra
	}
	remote {
		auth = $ik_peer_auth
		${ik_peer_id:+id = $q$ik_peer_id$q}
		$ik_peer_extra
	}
	child $ik_child {
		local_ts = {$ik_local_ts}
		remote_ts = {$ik_remote_ts}
		${ik_esp:+esp_proposals = {$ik_esp\}}
		$ik_child_extra
	}
	$ik_children
}
X
}

ike_conf() {
	(
		umask 077
		{
			printf '%s\n' "$ik_top"
			printf 'tun bw0 {\n\taddress = {"%s"}\n\tmtu = %s\n\troutes = {%s}\n}\n' \
				"$ik_tun_addr" "$ik_mtu" "${ik_routes:-$ik_remote_ts}"
			ike_conn
			[ -z "$ik_psk" ] ||
				printf 'secret test {\n\tid = {"%s", "%s"}\n\tsecret = "%s"\n}\n' "$ik_id" "$ik_peer_id" "$ik_psk"
		} >"$work/$1.conf"
	)
}

ike_up() {
	timeout "${3:-15}" "$bin" up "$2" --run-dir "$work/$1.run" >"$work/$1.up" 2>&1
	local status=$?
	cat "$work/$1.up"
	return $status
}
ike_down() { timeout 15 "$bin" down "$2" --run-dir "$work/$1.run"; }

ike_count() { bw "$1" list sas --json 2>/dev/null | jq "[.[] | select(.proto == \"ike\") | select($2)] | length"; }
ike_children() { bw "$1" list sas --json 2>/dev/null | jq '[.[] | select(.proto == "ike") | .children[] | select(.state == "installed")] | length'; }
ike_ready() { [ "$(ike_children "$1")" -ge "${2:-1}" ] 2>/dev/null; }
ike_idle() { [ "$(bw "$1" list sas --json 2>/dev/null | jq length)" = 0 ]; }

declare -A ike_seen=()
ike_mark() { ike_seen[$1]=$(wc -l <"$work/$1.log.err"); }
ike_new() { tail -n "+$((${ike_seen[$1]:-0} + 1))" "$work/$1.log.err"; }
ike_said() { ike_new "$1" | grep -qF -- "$2"; }
ike_says() { wait_for "${3:-5}" ike_said "$1" "$2" || { ike_new "$1" | tail -n 20; return 1; }; }

ike_traffic() {
	# strongSwan's side may drop a reply while it sets up its routes
	wait_for 3 ping_ok "$ns_host_a" 10.2.0.2
	ok "$1: ping from A's host to B's" ping_ok "$ns_host_a" 10.2.0.2
	ok "$1: ping from B's host to A's" ping_ok "$ns_host_b" 10.1.0.2
	serve "$ns_host_b" 5201
	ok "$1: iperf3" in_ns "$ns_host_a" timeout 20 iperf3 -c 10.2.0.2 -t 1
}

ike_swan_start() {
	ike_conf a
	swan_config b "$(swan_conn)"
	swan_start b "$ns_b" && gw_start a || finish
}
ike_swan_end() {
	gw_stop a
	swan_stop b
	rm -f "$work/b.swan/charon.log"
	ike_defaults
	swan_defaults
}

ike_child_spi() { bw "$1" list sas --json | jq -r '[.[] | select(.proto == "ike") | .children[] | select(.state == "installed") | .spi_in] | last'; }
ike_sa_spi() { bw "$1" list sas --json | jq -r '[.[] | select(.proto == "ike" and .state == "established") | .spi_i] | last'; }
ike_settled() {
	[ "$(ike_count a true)" = 1 ] && [ "$(bw a list sas --json | jq '[.[] | select(.proto == "esp")] | length')" = 2 ] &&
		[ "$(swan_sas b | grep -oE '[ {]state=[A-Z]+' | sort | tr -d ' \n')" = state=ESTABLISHEDstate=INSTALLED ]
}

# Datagrams lost at the peer because its socket's buffer was full: a machine with much else to do
ike_overruns() { in_ns "$ns_b" nstat -asz 2>/dev/null | awk '$1 == "UdpRcvbufErrors" { n = $2 } END { print n + 0 }'; }

# ike_may_lose: pings that may be lost where the peer cannot but lose them
ike_may_lose=0
# ike_through: the stream is slow enough to leave the processor to the others, and never pauses for long
ike_stream_rate=1000000
ike_through() {
	local got sent pinger stream server status said full
	full=$(ike_overruns)
	background "$ns_host_b" "$work/stream.got" "$python" "$src/test/interop/stream.py" recv 5300
	server=$last
	wait_for 5 listens "$ns_host_b" 5300 || return 1
	background "$ns_host_a" "$work/stream.sent" "$python" "$src/test/interop/stream.py" send "${ike_stream_to:-10.2.0.2}" 5300 "$ike_stream_rate"
	stream=$last
	background "$ns_host_a" "$work/through" ping -n -i 0.01 -w 90 "${ike_stream_to:-10.2.0.2}"
	pinger=$last
	sleep 0.3
	"$@"
	status=$?
	sleep 0.7
	stop "$pinger" INT
	stop "$stream"
	wait_for 10 ended "$server"
	got=$(cat "$work/stream.got") sent=$(cat "$work/stream.sent")
	[ $status = 0 ] || { echo "status $status"; return 1; }
	# those that were on their way at the end do not count, nor those that strongSwan's socket had no room for
	full=$(($(ike_overruns) - full + ${ike_may_lose:-0}))
	said=$(sed -n 's/.* bytes from .*icmp_seq=\([0-9]*\) .*/\1/p' "$work/through" | sort -nu |
		awk -v full="$full" '{ n++; last = $1 } END { if (last - n > full) print last - n " of " last " pings, overruns " full }')
	[ -z "$said" ] && [ "$(grep -c 'bytes from .*icmp_seq=' "$work/through")" -ge 10 ] ||
		{ echo "lost: $said"; tail -n 3 "$work/through"; cat "$work/through.err"; return 1; }
	[ -n "$got" ] && [ "$got" = "${sent% *}" ] || { echo "sent $sent, got $got"; cat "$work"/stream.*.err; return 1; }
}

ike_udp='(udp port 500 or (udp port 4500 and ((ip and udp[8:4] = 0) or (ip6 and ip6[48:4] = 0))))'
ike_keepalive='(udp port 4500 and ((ip and udp[4:2] = 9) or (ip6 and ip6[44:2] = 9)))'
ike_wire() {
	num "$1: IKE on the wire" "$(frames "$2" "$ike_udp")" -ge 4
	num "$1: ESP on the wire" "$(frames "$2" "$esp_udp or $esp_raw")" -ge 10
	is "$1: nothing else on the wire" "$(strangers "$2" "($ike_udp or $esp_udp or $esp_raw or $ike_keepalive)")" 0 ||
		note "$(tcpdump -nr "$2" -c 5 "$not_arp and not ($ike_udp or $esp_udp or $esp_raw or $ike_keepalive)" 2>/dev/null)"
}
