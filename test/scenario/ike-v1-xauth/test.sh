#!/usr/bin/env bash
# Road warriors with XAUTH and Mode Config between bumpwires: two behind one NAT with the identity of a group, whose
# addresses, routes and name servers come and go with the connection; leases that outlive reload, restart and a killed
# gateway; addresses of both IP versions, asked for and pushed; passwords hashed by `bumpwire hash`, and wrong ones.
#   ns_c 172.16.1.2, ns_d 172.16.2.2 - ns_nat 192.0.2.9 - 192.0.2.2 ns_b - 10.2.0.2 ns_host
. "$(dirname "$0")/../lib.sh"
need ping jq nft python3
space c d nat b host
for n in c d; do
	ns=ns_$n
	cable "${!ns}" eth0 "$ns_nat" "in$n"
done
cable "$ns_nat" out "$ns_b" wan
cable "$ns_b" lan "$ns_host" eth0
address "$ns_c" eth0 172.16.1.2/24
address "$ns_nat" inc 172.16.1.1/24
address "$ns_d" eth0 172.16.2.2/24
address "$ns_nat" ind 172.16.2.1/24
address "$ns_nat" out 192.0.2.9/24
address "$ns_b" wan 192.0.2.2/24
address "$ns_b" lan 10.2.0.1/16 fd02::1/16
address "$ns_host" eth0 10.2.0.2/16 fd02::2/16
ip -n "$ns_c" route add default via 172.16.1.1
ip -n "$ns_d" route add default via 172.16.2.1
ip -n "$ns_host" route add default via 10.2.0.1
ip -n "$ns_host" route add default via fd02::1
in_ns "$ns_nat" nft -f - <<-X || tap_skip_all "nftables cannot masquerade here"
	table ip nat {
		chain post {
			type nat hook postrouting priority srcnat;
			oifname "out" meta l4proto udp masquerade to :20000-20100
		}
	}
X

ok "a hash of a password" eval 'printf "open sesame 7\n" | "$bin" hash >"$work/hash"'
ok "is Argon2id's" grep -q '^\$argon2id\$' "$work/hash"
ok "and another one each time" not eval 'printf "open sesame 7\n" | "$bin" hash | cmp -s - "$work/hash"'
ok "from a terminal, without echo" python3 - "$bin" <<'X'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "hash"])
said = b""
for expect in (b"Password: ", b"Once more: "):
    while expect not in said:
        said += os.read(fd, 1000)
    os.write(fd, b"swordfish\n")
try:
    while more := os.read(fd, 1000):
        said += more
except OSError:
    pass
sys.exit(os.waitpid(pid, 0)[1] != 0 or b"swordfish" in said or b"$argon2id$" not in said)
X

common='ike_retransmit_timeout = 500ms
ike_retransmit_tries = 3'
# gateway [LINES OF THE CONNECTION [LINES OF THE POOL]]
gateway() {
	cat >"$work/b.conf" <<-X
		$common
		tun bw0 {
			address = {"10.255.0.2/32"}
			mtu = 1400
			routes = {"10.9.0.0/24", "fd09::/64"}
		}
		connection road {
			version = 1
			local_addrs = 192.0.2.2
			pools = {road}
			${1-}
			local {
				auth = psk
				id = b.example
			}
			remote {
				auth = psk
				id = staff.example
				auth2 = xauth
			}
			child net {
				local_ts = "0.0.0.0/0"
				remote_ts = dynamic
			}
			child six {
				local_ts = "fd02::/16"
				remote_ts = dynamic
			}
		}
		secret staff {
			id = {b.example, staff.example}
			secret = "scenario secret"
		}
		user alice {
			hash = "$(cat "$work/hash")"
		}
		user bob {
			secret = swordfish
		}
		pool road {
			addrs = {"10.9.0.0/24", "fd09::/64"}
			dns = {"10.2.0.53"}
			domain = corp.example
			split_include = {"10.2.0.0/16"}
			${2-}
		}
	X
	chmod 600 "$work/b.conf"
}
# client G USER PASSWORD [LINES OF THE CONNECTION]
client() {
	cat >"$work/$1.conf" <<-X
		$common
		resolv_conf = "$work/$1.resolv.conf"
		tun bw0 {
			mtu = 1400
		}
		connection office {
			version = 1
			remote_addrs = 192.0.2.2
			vips = {"0.0.0.0", "::"}
			keyingtries = 1
			${4-}
			local {
				auth = psk
				id = staff.example
				xauth_id = $2
				auth2 = xauth
			}
			remote {
				auth = psk
				id = b.example
			}
			child net {
				local_ts = dynamic
				remote_ts = "0.0.0.0/0"
			}
			child six {
				local_ts = dynamic
				remote_ts = "fd02::/16"
			}
		}
		secret staff {
			id = {b.example, staff.example}
			secret = "scenario secret"
		}
		user $2 {
			secret = "$3"
		}
	X
	chmod 600 "$work/$1.conf"
	echo "nameserver 172.16.0.53" >"$work/$1.resolv.conf"
}
order() { local g=$1; shift; timeout 20 "$bin" "$@" --run-dir "$work/$g.run"; }
up() { order "$1" up office; }
down() { order "$1" down office; }
# what a client has: its inner addresses, and whether routes lead there
inner() { local ns=ns_$1; in_ns "${!ns}" ip -o addr show dev bw0 | awk '$4 ~ /^(10\.9\.|fd09:)/ { print $4 }' | sort | tr '\n' ' '; }
has() { [ "$(inner "$1")" = "$2" ]; }
way() { local ns=ns_$1; in_ns "${!ns}" ip route get "$2" 2>/dev/null | grep -q 'dev bw0'; }
holds() { bw b list leases --json | jq -r ".[] | select(.addr == \"$1\") | [.who, .held] | join(\" \")"; }
idle() { [ "$(bw "$1" list sas --json | jq length)" = 0 ]; }
show() {
	gw_show b
	gw_show "$1"
}

# ---- two behind one NAT
gateway
client c bob swordfish
client d alice 'open sesame 7'
gw_start b && gw_start c && gw_start d || finish
background "$ns_b" "$work/monitor" "$bin" monitor --json --run-dir "$work/b.run"
monitor=$last
ok "bob is let in" up c || show c
ok "alice, from behind the same NAT" up d || show d
ok "bob has addresses of both versions" wait_for 3 has c "10.9.0.1/32 fd09::1/128 " || note "$(inner c)"
ok "alice has others" wait_for 3 has d "10.9.0.2/32 fd09::2/128 " || note "$(inner d)"
for n in c d; do
	ns=ns_$n
	ok "$n: ping" wait_for 3 ping_ok "${!ns}" 10.2.0.2 || show $n
	ok "$n: ping with IPv6" wait_for 3 ping_ok "${!ns}" fd02::2 || show $n
	ok "$n: the split network is behind the tunnel" way $n 10.2.0.2
	ok "$n: nothing else is" not way $n 10.3.0.2
	ok "$n: name servers" eval 'grep -q "^nameserver 10.2.0.53" "$work/$n.resolv.conf" && grep -q "^search corp.example" "$work/$n.resolv.conf"'
	ok "$n: those of the network wait" not grep -q 172.16.0.53 "$work/$n.resolv.conf"
done
ok "ping to bob" ping_ok "$ns_host" 10.9.0.1 || show c
ok "ping to alice" ping_ok "$ns_host" fd09::2 || show d
is "the lease is bob's" "$(holds 10.9.0.1)" "user bob 1"
is "and that alice's" "$(holds fd09::2)" "user alice 1"
ok "list leases in words" eval 'bw b list leases | grep -q "^10.9.0.2: user alice, pool road, in use at 192.0.2.9:20"'
ok "list sas has the user" eval 'bw b list sas | grep -q "user alice"'

# ---- reload and new keys
gateway '' 'banner = "No games."'
ok "reload" bw b reload
is "the leases are there" "$(holds 10.9.0.1), $(holds 10.9.0.2)" "user bob 1, user alice 1"
ok "ping goes on" ping_ok "$ns_c" 10.2.0.2
ok "phase 1 anew" order c rekey office || show c
ok "child anew" order c rekey office/net || show c
ok "the same address" has c "10.9.0.1/32 fd09::1/128 "
ok "ping by it" wait_for 3 ping_ok "$ns_c" 10.2.0.2 || show c

# ---- down takes everything away
ok "bob leaves" down c
ok "his addresses are gone" wait_for 3 has c ""
ok "his routes are gone" not way c 10.2.0.2
is "his name servers are those of the network" "$(cat "$work/c.resolv.conf")" "nameserver 172.16.0.53"
is "the lease is given back" "$(holds 10.9.0.1)" "user bob 0"
ok "alice does not notice" ping_ok "$ns_d" 10.2.0.2
ok "bob comes again" up c || show c
is "to the same addresses" "$(inner c)" "10.9.0.1/32 fd09::1/128 "
stop "$monitor"
is "monitor told of each lease" "$(jq -r 'select(.event | startswith("lease")) | [.event, .addr, .who] | join(" ")' <"$work/monitor" | tr '\n' ',')" \
	"lease_given 10.9.0.1 user bob,lease_given fd09::1 user bob,lease_given 10.9.0.2 user alice,lease_given fd09::2 user alice,lease_returned 10.9.0.1 user bob,lease_returned fd09::1 user bob,lease_given 10.9.0.1 user bob,lease_given fd09::1 user bob,"

# ---- restarts
gw_stop b
ok "c: the gateway says goodbye" wait_for 5 idle c
ok "c: its addresses are gone" wait_for 3 has c ""
gw_start b || finish
is "after a restart leases are whose they were" "$(holds 10.9.0.1), $(holds 10.9.0.2)" "user bob 0, user alice 0"
ok "alice first" up d || show d
ok "then bob" up c || show c
is "each has what was theirs" "$(inner c)$(inner d)" "10.9.0.1/32 fd09::1/128 10.9.0.2/32 fd09::2/128 "
sleep 6 # the file is written at most so often
kill -KILL "${gw_pid[b]}"
wait "${gw_pid[b]}" 2>/dev/null
gw_start b || finish
is "after a crash, too" "$(holds 10.9.0.1), $(holds 10.9.0.2)" "user bob 0, user alice 0"
is "nobody else can read who was where" "$(stat -c %a "$work/b.run/leases")" 600
# the clients think that it is still there: they come again by themselves or are told to
down c
down d
gw_stop d

# ---- SIGTERM of a client
ok "up again" up c || show c
gw_stop c
is "SIGTERM leaves the name servers of the network" "$(cat "$work/c.resolv.conf")" "nameserver 172.16.0.53"
ok "and no device" not in_ns "$ns_c" ip link show dev bw0
is "the gateway knows" "$(wait_for 5 idle b; holds 10.9.0.1)" "user bob 0"

# ---- a client that is killed: the next start puts the name servers back
gw_start c || finish
ok "up" up c || show c
kill -KILL "${gw_pid[c]}"
wait "${gw_pid[c]}" 2>/dev/null
ok "killed, its name servers stay" grep -q 10.2.0.53 "$work/c.resolv.conf"
gw_start c || finish
is "until it starts again" "$(cat "$work/c.resolv.conf")" "nameserver 172.16.0.53"
ok "which is let in, in place of the one before" up c || show c
is "with its address" "$(inner c)" "10.9.0.1/32 fd09::1/128 "
gw_stop c
gw_stop b

# ---- pushed; several at a time with one name
gateway 'pull = no
unique = never'
client c bob swordfish 'pull = no'
client d bob swordfish 'pull = no'
gw_start b && gw_start c && gw_start d || finish
ok "pushed: bob is let in" up c || show c
is "pushed: his addresses" "$(inner c)" "10.9.0.1/32 fd09::1/128 "
ok "pushed: ping" wait_for 3 ping_ok "$ns_c" 10.2.0.2 || show c
ok "bob from another place" up d || show d
is "has another address" "$(inner d)" "10.9.0.3/32 fd09::3/128 "
ok "ping from there" wait_for 3 ping_ok "$ns_d" 10.2.0.2 || show d
ok "and from the first" ping_ok "$ns_c" 10.2.0.2 || show c
gw_stop c
gw_stop d

# ---- not let in
client c bob swordfisch 'pull = no'
gw_start c || finish
ok "a wrong password" not up c
ok "is named here" eval 'bw c status | grep -q "refuses our user name or password"'
ok "and there" grep -q 'wrong password of user "bob"' "$work/b.log.err"
ok "nothing is left" wait_for 5 idle c
finish
