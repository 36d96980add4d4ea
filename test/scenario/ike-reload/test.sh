#!/usr/bin/env bash
# A reload leaves connections and children alone that mean the same as before, under a flood of pings; starts what is
# new, closes what is gone, and does nothing with a file that is wrong.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq
topology
address "$ns_host_a" eth0 10.3.0.2/16
address "$ns_a" lan 10.3.0.1/16
address "$ns_host_b" eth0 10.4.0.2/16
address "$ns_b" lan 10.4.0.1/16
second() { # second PEER HERE THERE ACTION
	printf 'connection second {\n\tversion = 2\n\tlocal_addrs = "%s"\n\tremote_addrs = "%s"\n' "$5" "$6"
	printf '\tlocal {\n\t\tauth = psk\n\t\tid = %s2.example\n\t}\n\tremote {\n\t\tauth = psk\n\t\tid = %s2.example\n\t}\n' \
		"$([ "$1" = b ] && echo a || echo b)" "$1"
	printf '\tchild two {\n\t\tlocal_ts = "%s"\n\t\tremote_ts = "%s"\n\t\tstart_action = %s\n\t}\n}\n' "$2" "$3" "$4"
	printf 'secret second {\n\tid = {a2.example, b2.example}\n\tsecret = "another one"\n}\n'
}
# what was on its way when the flood was stopped does not count
ping_complete() { awk '/packets transmitted/ { found = $1 > 100 && $1 - $4 <= 1 } END { exit !found }' "$work/flood"; }
ike_pair
cp "$work/a.conf" "$work/a.first"
pair_start || finish
ok "the first connection is up" ike_up
spi=$(conn a '.sas[0].children[0].spi_in') id=$(conn a '.sas[0].id')
background "$ns_host_a" "$work/flood" ping -q -n -i 0.002 -w 60 10.2.0.2
flood=$last
sleep 0.5
second b 10.3.0.0/16 10.4.0.0/16 start 192.0.2.1 192.0.2.2 >>"$work/a.conf"
second a 10.4.0.0/16 10.3.0.0/16 none 192.0.2.2 192.0.2.1 >>"$work/b.conf"
ok "B learns a second connection" bw b reload
ok "A learns it and starts it" bw a reload
wait_for 10 ping_ok "$ns_host_a" 10.4.0.2 -I 10.3.0.2 -c 1 -W 1
ok "it carries traffic" ping_ok "$ns_host_a" 10.4.0.2 -I 10.3.0.2
is "two IKE SAs" "$(sas a "$q_ike")" 2
cp "$work/a.conf" "$work/a.good"
sed -i 's/start_action = start/start_action = perhaps/' "$work/a.conf"
ok "a wrong file is refused" not bw a reload
is "and changes nothing" "$(sas a "$q_ike")" 2
cp "$work/a.good" "$work/a.conf"
for i in 1 2 3; do bw a reload || fail "reload again $i"; done
is "the second is still the same" "$(sas a "$q_ike")" 2
cp "$work/a.first" "$work/a.conf"
ok "A forgets the second" bw a reload
wait_for 5 eval '[ "$(sas b "$q_ike")" = 1 ]'
is "it is closed on both sides" "$(sas a "$q_ike") $(sas b "$q_ike")" "1 1"
ok "its route is gone" eval '! gw_a ip route show table all | grep -q "10.4.0.0/16 dev bw0"'
# the same networks as another child of the first connection
ike_kids_a=$'\tchild more {\n\t\tlocal_ts = 10.3.0.0/16\n\t\tremote_ts = 10.4.0.0/16\n\t\tstart_action = start\n\t}'
ike_kids_b=$'\tchild more {\n\t\tlocal_ts = 10.4.0.0/16\n\t\tremote_ts = 10.3.0.0/16\n\t}'
ike_pair
ok "B learns a child of the first connection" bw b reload
ok "A learns it and starts it" bw a reload
wait_for 10 ping_ok "$ns_host_a" 10.4.0.2 -I 10.3.0.2 -c 1 -W 1
ok "it carries traffic" ping_ok "$ns_host_a" 10.4.0.2 -I 10.3.0.2
is "one IKE SA with two children" "$(sas a "$q_ike") $(sas a "$q_esp")" "1 4"
is "list conns knows both" "$(bw a list conns --json | jq -r '[.[0].children[].name] | join(" ")')" "net more"
sed -i '/child more/,/}/s/start_action = start/start_action = trap/' "$work/a.conf"
ok "A changes it, and it alone" bw a reload
wait_for 5 eval '[ "$(sas a "$q_esp") $(sas b "$q_esp")" = "2 2" ]'
is "the other one goes on, with the IKE SA" "$(sas a "$q_ike") $(sas a "$q_esp")" "1 2"
wait_for 10 ping_ok "$ns_host_a" 10.4.0.2 -I 10.3.0.2 -c 1 -W 1
is "its first packet brings it up again" "$(sas a "$q_esp")" 4
cp "$work/a.first" "$work/a.conf"
ok "A forgets it" bw a reload
wait_for 5 eval '[ "$(sas a "$q_esp") $(sas b "$q_esp")" = "2 2" ]'
is "it is closed on both sides" "$(sas a "$q_esp") $(sas b "$q_esp")" "2 2"
ok "its route is gone, too" eval '! gw_a ip route show table all | grep -q "10.4.0.0/16 dev bw0"'
kill -INT "$flood"
wait "$flood"
ok "the flood lost nothing" ping_complete
note "$(tail -n 3 "$work/flood")"
is "the first connection is the same as ever" "$(conn a '.sas[0].children[0].spi_in') $(conn a '.sas[0].id')" "$spi $id"
sed -i '/^connection/,$d' "$work/a.conf"
ok "a file without connections closes them all" bw a reload
wait_for 5 eval '[ "$(sas b "$q_ike")" = 0 ]'
is "on both sides" "$(sas a true) $(sas b true)" "0 0"
finish
