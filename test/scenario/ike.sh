# For scenarios with IKE, after lib.sh: two gateways that share a secret.
#
#   ike_pair                 writes $work/a.conf and $work/b.conf: connection site-b with child net on A, site-a on B
#   ike_up                   brings site-b up from A
#   sas a '.proto == "esp"'  how many entries of `list sas` there are of that kind
#
# ike_conn, ike_child, ike_kids (more children), ike_top hold lines for both sides; ike_conn_a, ike_child_b and so on for one.

ike_defaults() {
	ike_top=$'ike_retransmit_timeout = 500ms\nike_retransmit_tries = 3'
	ike_conn='' ike_child='' ike_kids='' ike_more=''
	ike_conn_a='' ike_conn_b='' ike_child_a='' ike_child_b='' ike_kids_a='' ike_kids_b='' ike_more_a='' ike_more_b='' ike_top_a='' ike_top_b=''
	ike_nets_a='"10.1.0.0/16", "fd01::/16"' ike_nets_b='"10.2.0.0/16", "fd02::/16"'
	ike_wan_a=192.0.2.1 ike_wan_b=192.0.2.2
	ike_secret='"scenario secret"' ike_version=2
}
ike_defaults

# ike_one a|b: prints that gateway's configuration
ike_one() {
	local me=$1 peer=b v
	[ "$me" = a ] || peer=a
	v() { local n=$1; printf '%s\n' "${!n}"; }
	v ike_top
	v "ike_top_$me"
	printf 'tun bw0 {\n\taddress = {"10.255.0.%s/32"}\n\tmtu = 1400\n}\n' "$([ "$me" = a ] && echo 1 || echo 2)"
	printf 'connection site-%s {\n\tversion = %s\n\tlocal_addrs = "%s"\n\tremote_addrs = "%s"\n' \
		"$peer" "$ike_version" "$(v "ike_wan_$me")" "$(v "ike_wan_$peer")"
	v ike_conn
	v "ike_conn_$me"
	printf '\tlocal {\n\t\tauth = psk\n\t\tid = %s.example\n\t}\n\tremote {\n\t\tauth = psk\n\t\tid = %s.example\n\t}\n' "$me" "$peer"
	printf '\tchild net {\n\t\tlocal_ts = {%s}\n\t\tremote_ts = {%s}\n' "$(v "ike_nets_$me")" "$(v "ike_nets_$peer")"
	v ike_child
	v "ike_child_$me"
	printf '\t}\n'
	v ike_kids
	v "ike_kids_$me"
	printf '}\nsecret sites {\n\tid = {a.example, b.example}\n\tsecret = %s\n}\n' "$ike_secret"
	v ike_more
	v "ike_more_$me"
}

ike_pair() {
	ike_one a >"$work/a.conf"
	ike_one b >"$work/b.conf"
	chmod 600 "$work"/*.conf
}

# order a|b up|down|rekey ...: bounded
order() { local g=$1; shift; timeout 20 "$bin" "$@" --run-dir "$work/$g.run"; }
ike_up() { order a up "${1:-site-b}"; }

# sas a|b FILTER: how many entries of `list sas` the jq filter selects
sas() { bw "$1" list sas --json | jq "[.[] | select($2)] | length"; }
# conn a|b EXPRESSION: of the first connection
conn() { bw "$1" status --json | jq -r ".connections[0] | $2"; }
q_ike='.proto == "ike" and .state == "established"' q_esp='.proto == "esp"'

# steady COMMAND...: pings 100 times a second while it runs and a second longer; none may be lost
steady() {
	local lost status
	# not by in_ns, whose shell would take the signal for itself
	ip netns exec "$ns_host_a" ping -n -i 0.01 -w 30 10.2.0.2 >"$work/steady.out" 2>&1 &
	local pinger=$!
	sleep 0.5
	"$@"
	status=$?
	sleep 1
	kill -INT "$pinger"
	wait "$pinger"
	[ $status = 0 ] || { echo "status $status"; return 1; }
	# those that were on their way at the end do not count
	lost=$(sed -n 's/.*icmp_seq=\([0-9]*\) .*/\1/p' "$work/steady.out" | sort -nu | awk '$1 != NR { print NR "-" $1; exit }')
	[ -z "$lost" ] && [ "$(grep -c icmp_seq= "$work/steady.out")" -ge 10 ] ||
		{ echo "lost: $lost"; tail -n 3 "$work/steady.out"; return 1; }
}
