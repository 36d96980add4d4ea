# Two namespaces joined by a veth pair, and processes started in them; sourced by e2e.sh.
#
#   topology_up                     $ns_a 192.0.2.1 === veth, MTU 1500 === 192.0.2.2 $ns_b
#   background NS LOG COMMAND...    starts a process there; its pid is $last
#   topology_down                   ends exactly those processes, removes exactly those namespaces
#
# Names carry our process id, so that runs side by side do not meet.
wan_a=192.0.2.1 wan_b=192.0.2.2      # the "internet"
tun_a=10.255.0.1 tun_b=10.255.0.2    # inside the tunnel
ns_a=bwbench-$$-a ns_b=bwbench-$$-b
pids=() last=

in_a() { ip netns exec "$ns_a" "$@"; }
in_b() { ip netns exec "$ns_b" "$@"; }

# wait_for SECONDS COMMAND...: until it succeeds, looking ten times a second
wait_for() {
	local tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

ended() { [ ! -e "/proc/$1/stat" ] || [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" = Z ]; }

# ip netns exec replaces itself by the command, so $last is the command's own pid
background() {
	local ns=$1 log=$2
	shift 2
	ip netns exec "$ns" "$@" </dev/null >"$log" 2>&1 &
	last=$!
	pids+=("$last")
}

topology_up() {
	local ns
	ip netns add "$ns_a" && ip netns add "$ns_b" || return 1
	ip -n "$ns_a" link add wan mtu 1500 type veth peer name wan mtu 1500 netns "$ns_b" || return 1
	ip -n "$ns_a" addr add $wan_a/24 dev wan
	ip -n "$ns_b" addr add $wan_b/24 dev wan
	for ns in "$ns_a" "$ns_b"; do
		ip -n "$ns" link set lo up
		ip -n "$ns" link set wan up
	done
	wait_for 5 in_a ping -q -c 1 -W 1 $wan_b
}

topology_down() {
	local p
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
	for p in "${pids[@]}"; do
		if ! wait_for 3 ended "$p"; then
			say "$(tr '\0' ' ' <"/proc/$p/cmdline" | cut -c 1-60): does not end; killed"
			kill -9 "$p" 2>/dev/null
		fi
		wait "$p" 2>/dev/null
	done
	pids=()
	ip netns del "$ns_a" 2>/dev/null
	ip netns del "$ns_b" 2>/dev/null
	return 0
}

# tunnel_device NS DEVICE OWN PEER: for candidates that do not set up their device themselves
tunnel_device() {
	ip -n "$1" addr add "$3/32" dev "$2" &&
		ip -n "$1" link set "$2" mtu "$tun_mtu" up &&
		ip -n "$1" route add "$4/32" dev "$2"
}
