#!/usr/bin/env bash
# A peer that is named: the name is looked up at every attempt, and a failure says so. Nothing of the daemon waits for
# it. Also what the two commands say of names that are not there.
. "$(dirname "$0")/../lib.sh"
. "$here/ike.sh"
need ping jq
topology
hosts=/etc/netns/$ns_a/hosts # `ip netns exec` puts it in place of /etc/hosts
mkdir -p "${hosts%/*}" || tap_skip_all "cannot write /etc/netns"
trap 'rm -rf "${hosts%/*}"; cleanup' EXIT
echo '127.0.0.1 localhost' >"$hosts"
echo 'hosts: files' >"${hosts%/*}/nsswitch.conf"
ike_wan_a=192.0.2.1 ike_wan_b=gateway-b.example
ike_one a >"$work/a.conf"
ike_wan_b=192.0.2.2
ike_one b >"$work/b.conf"
chmod 600 "$work"/*.conf
pair_start || finish
ok "a name without an address fails" not ike_up
ok "and is told" eval 'conn a .last_failure.what | grep -q "gateway-b.example"'
note "$(conn a .last_failure.what)"
echo '192.0.2.2 gateway-b.example' >>"$hosts"
ok "it is looked up again" ike_up
ok "and traffic goes" ping_ok "$ns_host_a" 10.2.0.2
ok "list conns shows the name" eval 'bw a list conns | grep -q gateway-b.example'
for cmd in up down rekey; do
	ok "$cmd of nobody fails" not order a $cmd nobody
	ok "$cmd: with a sentence" eval 'order a $cmd nobody 2>&1 | grep -q "nobody"'
done
"$bin" up --run-dir "$work/a.run" 2>/dev/null
is "up without a name is wrong usage" $? 2
"$bin" up x --reauth --run-dir "$work/a.run" 2>/dev/null
is "up with --reauth, too" $? 2

# the same by a name server, through the system-call filter
order a down site-b >/dev/null
gw_stop a
grep -v gateway-b "$hosts" >"$work/hosts" && cp "$work/hosts" "$hosts"
echo 'hosts: files dns' >"${hosts%/*}/nsswitch.conf"
printf 'nameserver 192.0.2.2\noptions timeout:1 attempts:1\n' >"${hosts%/*}/resolv.conf"
gw_start a || finish
ok "without a name server the name is not found" not ike_up
background "$ns_b" "$work/dns" "$python" "$here/ike-names/dns.py" 192.0.2.2 gateway-b.example 192.0.2.2
wait_for 5 grep -q ready "$work/dns"
ok "with one it is" ike_up
ok "and traffic goes again" ping_ok "$ns_host_a" 10.2.0.2
note "system-call filter: $(bw a status --json | jq .seccomp)"
gw_stop a
wait_for 3 eval '[ "$(sas b true)" = 0 ]'
is "a gateway that stops tells its peer" "$(sas b true)" 0
finish
