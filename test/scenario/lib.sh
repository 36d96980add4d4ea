# Common to all scenarios: TAP output, namespaces, starting bumpwire, looking at the wire.
#
#   . "$(dirname "$0")/../lib.sh"
#   need ip ping                 skip the whole scenario with a reason where something is missing
#   topology                     host A - gateway A === wire === gateway B - host B
#   conf_pair                    writes $work/a.conf and $work/b.conf; variables, see conf_pair
#   gw_start a; gw_start b       one bumpwire each
#   ok "ping both ways" host_a ping ...
#   finish                       stops the gateways, checks how they ended, prints the plan
#
# Everything is named after our process id and removed at exit, whatever the way out.
set -u
shopt -s nullglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
src=${BW_SRC:-$(cd "$here/../.." && pwd)}
bin=${BUMPWIRE:-$src/build/bumpwire}
vectors=${BUMPWIRE_VECTORS:-$src/../shared/vectors}
python=/usr/bin/python3   # the distribution's: it is the one that has scapy
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here

# ---- TAP -------------------------------------------------------------------------------------

tap_n=0

tap_skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

pass() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $*"; }
fail() { tap_n=$((tap_n + 1)); echo "not ok $tap_n - $*"; }
skip() { local what=$1; shift; tap_n=$((tap_n + 1)); echo "ok $tap_n - $what # SKIP $*"; }
note() { printf '%s\n' "$*" | sed 's/^/# /'; }

# ok WHAT COMMAND...: passes when the command succeeds; shows what it printed when not
ok() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		pass "$what"
	else
		fail "$what"
		note "$*"
		note "$out" | tail -n 30
		gw_drops
		return 1
	fi
}

# is WHAT FOUND EXPECTED
is() {
	if [ "$2" = "$3" ]; then pass "$1"; else
		fail "$1"
		note "found '$2', expected '$3'"
		return 1
	fi
}

# num WHAT FOUND OPERATOR EXPECTED, as in num "drops" "$n" -ge 3
num() {
	if [ "$2" "$3" "$4" ] 2>/dev/null; then pass "$1"; else
		fail "$1"
		note "found '$2', expected $3 $4"
		return 1
	fi
}

not() { ! "$@"; }

# wait_for SECONDS COMMAND...: until it succeeds, looking ten times a second
wait_for() {
	local tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# ---- what must be there ----------------------------------------------------------------------

need() {
	local tool
	[ -z "${BW_SKIP_SCENARIOS:-}" ] || tap_skip_all "scenarios are switched off (--disable-scenarios)"
	[ "$(id -u)" = 0 ] || tap_skip_all "needs root: makes network namespaces"
	[ -x "$bin" ] || tap_skip_all "no $bin"
	[ -c /dev/net/tun ] || tap_skip_all "no /dev/net/tun"
	for tool in ip "$@"; do
		case $tool in
		scapy) "$python" -c 'import scapy.layers.ipsec' 2>/dev/null || tap_skip_all "no python3-scapy" ;;
		*) command -v "$tool" >/dev/null || tap_skip_all "no $tool" ;;
		esac
	done
}

# ---- namespaces ------------------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/bumpwire.XXXXXX")
spaces=() pids=()
declare -A gw_pid=() gw_status=()

cleanup() {
	local p ns
	trap - EXIT
	trap '' INT TERM HUP PIPE # a second one, as make sends it, must not end this half way
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
	for p in "${pids[@]}"; do
		wait_for 5 gone "$p" || kill -9 "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	for ns in "${spaces[@]}"; do ip netns del "$ns" 2>/dev/null; done
	if [ -n "${KEEP:-}" ]; then echo "# kept $work"; else rm -rf "$work"; fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

in_ns() { local ns=$1; shift; ip netns exec "$ns" "$@"; }

# background NS LOG COMMAND...: $last is its pid (ip netns exec replaces itself by the command)
background() {
	local ns=$1 log=$2
	shift 2
	# now, not when it starts: who waits for a word in them must not find that of one before
	: >"$log"
	: >"$log.err"
	ip netns exec "$ns" "$@" </dev/null >"$log" 2>"$log.err" &
	last=$!
	pids+=("$last")
}

# stop PID [SIGNAL]: returns the exit status of the process
stop() {
	kill "-${2:-TERM}" "$1" 2>/dev/null
	wait_for 10 ended "$1" || { kill -9 "$1"; note "pid $1 did not stop; killed"; }
	wait "$1" 2>/dev/null
}
ended() { [ ! -e "/proc/$1/stat" ] || [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" = Z ]; }

# space NAME...: makes a namespace and a variable ns_NAME
space() {
	local n
	for n in "$@"; do
		ip netns add "bw-$$-$n" || tap_skip_all "network namespaces cannot be made here"
		spaces+=("bw-$$-$n")
		printf -v "ns_$n" '%s' "bw-$$-$n"
		# no duplicate address detection: addresses are there at once; no router solicitations
		in_ns "bw-$$-$n" sh -c 'for f in all default; do
			echo 0 >/proc/sys/net/ipv6/conf/$f/accept_dad
			echo 0 >/proc/sys/net/ipv6/conf/$f/router_solicitations
			echo 1 >/proc/sys/net/ipv6/conf/$f/forwarding
		done; echo 1 >/proc/sys/net/ipv4/ip_forward
		echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range' 2>/dev/null
		ip -n "bw-$$-$n" link set lo up
	done
}

# cable NS1 IF1 NS2 IF2
cable() {
	ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}

# address NS IF ADDR...
address() {
	local ns=$1 dev=$2 a
	shift 2
	for a in "$@"; do
		case $a in
		*:*) ip -n "$ns" addr add "$a" dev "$dev" nodad ;;
		*) ip -n "$ns" addr add "$a" dev "$dev" ;;
		esac
	done
}

# A host behind each of the gateways a and b, IPv4 and IPv6:
#   10.1.0.2, fd01::2 - ns_a lan - ns_a wan 192.0.2.1, 2001:db8::1 === .2, ::2 wan ns_b - lan - 10.2.0.2, fd02::2
hosts() {
	space host_a host_b
	cable "$ns_a" lan "$ns_host_a" eth0
	cable "$ns_b" lan "$ns_host_b" eth0
	address "$ns_a" lan 10.1.0.1/16 fd01::1/16
	address "$ns_b" lan 10.2.0.1/16 fd02::1/16
	address "$ns_host_a" eth0 10.1.0.2/16 fd01::2/16
	address "$ns_host_b" eth0 10.2.0.2/16 fd02::2/16
	ip -n "$ns_host_a" route add default via 10.1.0.1
	ip -n "$ns_host_a" route add default via fd01::1
	ip -n "$ns_host_b" route add default via 10.2.0.1
	ip -n "$ns_host_b" route add default via fd02::1
}

topology() {
	space a b
	cable "$ns_a" wan "$ns_b" wan
	address "$ns_a" wan 192.0.2.1/24 2001:db8::1/64
	address "$ns_b" wan 192.0.2.2/24 2001:db8::2/64
	hosts
}

gw_a() { in_ns "$ns_a" "$@"; }
gw_b() { in_ns "$ns_b" "$@"; }
host_a() { in_ns "$ns_host_a" "$@"; }
host_b() { in_ns "$ns_host_b" "$@"; }

# ---- configuration ---------------------------------------------------------------------------

key_ab=000102030405060708090a0b0c0d0e0f10111213
key_ba=202122232425262728292a2b2c2d2e2f30313233

# The key=value lines that a cipher needs: keys lines CIPHER SEED. Key bytes count up from SEED.
bytes() { # bytes N SEED
	local i
	for ((i = 0; i < $1; i++)); do printf '%02x' $((($2 + i) % 256)); done
}

# key_bytes CIPHER: bytes of cipher key with salt
key_bytes() {
	local bits salt=0
	case ${1%%-*} in
	chacha20poly1305) echo 36; return ;;
	3des) echo 24; return ;;
	des) echo 8; return ;;
	null) echo 0; return ;;
	*gcm* | *ctr* | *gmac*) salt=4 ;;
	*ccm*) salt=3 ;;
	esac
	bits=${1#aes}
	echo $((${bits:0:3} / 8 + salt))
}

integ_bytes() {
	case $1 in
	*-sha1) echo 20 ;;
	*-md5 | *-aesxcbc | *-aescmac) echo 16 ;;
	*-sha256) echo 32 ;;
	*-sha384) echo 48 ;;
	*-sha512) echo 64 ;;
	*) echo 0 ;;
	esac
}

# conf_sa NAME DIRECTION SPI SRC DST SEED: reads $cipher $encap $mode $sa_extra
conf_sa() {
	local key_len integ_len
	key_len=$(key_bytes "$cipher") integ_len=$(integ_bytes "$cipher")
	printf 'sa %s {\n\tdirection = %s\n\tproto = esp\n\tmode = %s\n\tspi = %s\n' "$1" "$2" "$mode" "$3"
	printf '\tsrc = "%s"\n\tdst = "%s"\n\tencap = %s\n\tcipher = "%s"\n' "$4" "$5" "$encap" "$cipher"
	[ "$key_len" = 0 ] || printf '\tkey = "%s"\n' "$(bytes "$key_len" "$6")"
	[ "$integ_len" = 0 ] || printf '\tinteg_key = "%s"\n' "$(bytes "$integ_len" $(($6 + 100)))"
	[ -z "$sa_extra" ] || printf '%s\n' "$sa_extra"
	printf '}\n'
}

# Resets what conf_pair reads to the plain gateway pair.
conf_defaults() {
	cipher=aes128gcm16 encap=udp mode=tunnel tun_addresses='' sa_extra='' sa_out_extra='' sa_in_extra=''
	top='' tun_extra='' policy_extra='' policies_before='' policies_after=''
	wan_a=192.0.2.1 wan_b=192.0.2.2
	nets_a='"10.1.0.0/16", "fd01::/16"' nets_b='"10.2.0.0/16", "fd02::/16"'
	mtu=1400
}
conf_defaults

# conf_one a|b: prints that gateway's configuration
conf_one() {
	local here_wan there_wan here_nets there_nets out in host common=$sa_extra
	if [ "$1" = a ]; then
		here_wan=$wan_a there_wan=$wan_b here_nets=$nets_a there_nets=$nets_b out=0x1001 in=0x1002 host=1
	else
		here_wan=$wan_b there_wan=$wan_a here_nets=$nets_b there_nets=$nets_a out=0x1002 in=0x1001 host=2
	fi
	[ -z "$top" ] || printf '%s\n' "$top"
	printf 'tun bw0 {\n\taddress = {%s}\n\tmtu = %s\n\troutes = {%s}\n%s\n}\n' \
		"${tun_addresses:-"\"10.255.0.$host/32\", \"fdff::$host/128\""}" "$mtu" "$there_nets" "$tun_extra"
	sa_extra=$common$'\n'$sa_out_extra
	conf_sa out out $out "$here_wan" "$there_wan" $((out == 0x1001 ? 0 : 32))
	sa_extra=$common$'\n'$sa_in_extra
	conf_sa in in $in "$there_wan" "$here_wan" $((in == 0x1001 ? 0 : 32))
	sa_extra=$common
	[ -z "$policies_before" ] || printf '%s\n' "$policies_before"
	printf 'policy net {\n\tlocal = {%s}\n\tremote = {%s}\n\taction = protect\n\tout = {"out"}\n\tin = {"in"}\n%s\n}\n' \
		"$here_nets" "$there_nets" "$policy_extra"
	[ -z "$policies_after" ] || printf '%s\n' "$policies_after"
}

conf_pair() {
	conf_one a >"$work/a.conf"
	conf_one b >"$work/b.conf"
	chmod 600 "$work"/*.conf
	combine "$work/a.conf"
	combine "$work/b.conf"
}

# combine FILE: what $BW_OFFLOADS (yes, no), $BW_BACKEND (auto, openssl) and $BW_WORKERS say goes into a configuration, unless
# the scenario has its own mind about it. So that any scenario runs in any combination: make check-matrix.
combine() {
	local line
	for line in ${BW_OFFLOADS:+"gso = $BW_OFFLOADS" "gro = $BW_OFFLOADS"} ${BW_BACKEND:+"crypto_backend = $BW_BACKEND"} \
		${BW_WORKERS:+"workers = $BW_WORKERS"}; do
		grep -qE "^${line%% *}[ =]" "$1" || sed -i "1i $line" "$1"
	done
	[ -z "${BW_OFFLOADS:-}" ] || grep -qE '^[[:space:]]*offload[ =]' "$1" ||
		sed -i "s/^tun [^ ]* {\$/&\\n\\toffload = $BW_OFFLOADS/" "$1"
}

# ---- bumpwire --------------------------------------------------------------------------------

# Leak checking needs ptrace, which a process without core dumps refuses; leaks are the unit tests' business.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:abort_on_error=0:exitcode=99}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# gw_start a|b [CONF [NS]]: starts it and waits until it answers. $BW_WRAP: a command to run it under (valgrind -q).
gw_start() {
	local g=$1 conf=${2:-$work/$1.conf} ns_var=ns_$1 ns
	ns=${3:-${!ns_var}}
	if [ -n "${BW_OFFLOADS:-}${BW_BACKEND:-}${BW_WORKERS:-}" ]; then
		case $conf in
		"$work"/*) ;;
		*) cp "$conf" "$work/$g.combined.conf" && conf=$work/$g.combined.conf && chmod 600 "$conf" ;;
		esac
		combine "$conf"
	fi
	# shellcheck disable=SC2086
	background "$ns" "$work/$g.log" ${BW_WRAP:-} "$bin" run -c "$conf" --run-dir "$work/$g.run"
	gw_pid[$g]=$last
	if ! wait_for "${BW_START_TIME:-10}" bw "$g" status; then
		fail "gateway $g starts"
		gw_show "$g"
		return 1
	fi
}

# Where packets went: what every running gateway has carried and dropped, and what the kernel has in every namespace.
gw_drops() {
	local g ns
	for g in "${!gw_pid[@]}"; do
		note "gateway $g: $(bw "$g" status --json 2>/dev/null | jq -c \
			'[([.drops[] | {(.reason): .packets}] | add), (.traffic | map_values(.packets)), .work]')"
	done
	for ns in "${spaces[@]}"; do
		note "$ns: $(in_ns "$ns" nstat -asz 2>/dev/null | awk '$2 != 0 && $1 ~ /Discard|NoRoute|Err|InMsgs|OutMsgs|EchoRep|Echos|InReceives|ForwDatagrams|OutRequests/ { printf "%s=%s ", $1, $2 }')"
		note "$ns: $(in_ns "$ns" cat /proc/net/dev | awk 'NR > 2 { printf "%s rx %s dropped %s tx %s dropped %s; ", $1, $3, $5, $11, $13 }')"
	done
}

gw_show() { note "$(tail -n 30 "$work/$1.log" "$work/$1.log.err" 2>/dev/null)"; }

# bw a|b SUBCOMMAND...: talks to that gateway
bw() { local g=$1; shift; "$bin" "$@" --run-dir "$work/$g.run"; }

gw_alive() { kill -0 "${gw_pid[$1]}" 2>/dev/null && bw "$1" status >/dev/null; }

# gw_stop a|b: ends it with SIGTERM; it must exit 0 and have nothing bad to say
gw_stop() {
	local status
	[ -n "${gw_pid[$1]:-}" ] || return 0
	stop "${gw_pid[$1]}"
	status=$?
	unset "gw_pid[$1]"
	[ $status = 0 ] || { fail "gateway $1 ends with status 0"; note "status $status"; gw_show "$1"; return 1; }
	if grep -qE 'Sanitizer|runtime error:|Assertion|== (Invalid|ERROR)' "$work/$1.log" "$work/$1.log.err"; then
		fail "gateway $1 has no sanitizer report"
		note "$(grep -hE -A25 'Sanitizer|runtime error:|Assertion|== (Invalid|ERROR)' "$work/$1.log" "$work/$1.log.err" | head -n 40)"
		return 1
	fi
}

pair_start() { gw_start a && gw_start b; }
pair_stop() { gw_stop a && gw_stop b; }

# Values of `status --json` and `list sas --json`, by jq expressions.
q_out_packets=.traffic.out.packets q_in_packets=.traffic.in.packets
status() { bw "$1" status --json | jq -r "$2"; }
drops() { bw "$1" status --json | jq -r --arg d "$2" '[.drops[] | select(.reason == $d) | .packets] | add // 0'; }
all_drops() { bw "$1" status --json | jq '[.drops[].packets] | add // 0'; }
sa_value() { bw "$1" list sas --json | jq -r --arg n "$2" ".[] | select(.name == \$n) | $3"; }

finish() {
	local g bad=0
	for g in "${!gw_pid[@]}"; do gw_stop "$g" || bad=1; done
	[ $bad = 1 ] || pass "every gateway ended well: status 0, no sanitizer report"
	echo "1..$tap_n"
	exit 0
}

# ---- traffic ---------------------------------------------------------------------------------

# ping_ok NS ADDR [ARGUMENTS]: all of a few pings are answered
ping_ok() {
	local ns=$1 to=$2 said
	shift 2
	said=$(in_ns "$ns" ping -n -c 3 -i 0.05 -W 2 "$@" "$to" 2>&1)
	# Once there was an answer, ping waits for the last ones no longer than twice the slowest so far, which on a busy
	# machine is not enough: when only those are missing it is asked again, and waits longer because it sends slower.
	[[ $said == *' 0% packet loss'* ]] || ! sed -n 's/.*icmp_seq=\([0-9]*\) .*time=.*/\1/p' <<<"$said" | sort -nu |
		awk '$1 != NR { gap = 1 } END { exit gap || !NR }' ||
		said=$(in_ns "$ns" ping -n -c 3 "$@" -i 0.5 -W 2 "$to" 2>&1)
	[[ $said == *' 0% packet loss'* ]] || { echo "$said"; return 1; }
}

# serve NS PORT: an iperf3 server for one test
serve() {
	background "$1" "$work/iperf-server.log" iperf3 -s -1 -p "$2"
	wait_for 5 listens "$1" "$2"
}
listens() { in_ns "$1" ss -Hltn "sport = :$2" | grep -q LISTEN; }

# send_file FROM_NS TO_NS TO_ADDR PORT FILE: over TCP; succeeds when it arrives with the same sha256
send_file() {
	local want got
	want=$(sha256sum <"$5")
	case $3 in *:*) local v=-6 ;; *) local v=-4 ;; esac
	background "$2" "$work/got.sha" timeout 30 sh -c "nc $v -l -N $4 </dev/null | sha256sum"
	wait_for 5 listens "$2" "$4" || return 1
	in_ns "$1" timeout 30 nc -N "$3" "$4" <"$5" || return 1
	wait "$last" || return 1
	got=$(cat "$work/got.sha")
	[ "$got" = "$want" ] || { echo "sha256 differs: sent $want, got $got"; return 1; }
}

random_file() { head -c "$2" /dev/urandom >"$1"; }

# ---- the wire --------------------------------------------------------------------------------

# capture NS IF FILE [FILTER]: its pid is $last. FILE should end in .pcap (AppArmor on Ubuntu).
capture() {
	local ns=$1 dev=$2 file=$3
	shift 3
	background "$ns" "$file.log" tcpdump -Z root --immediate-mode -U -n -B 16384 -i "$dev" -w "$file" "$@"
	wait_for 5 grep -q 'listening on' "$file.log.err"
}

# capture_stop PID: all that was sent so far is in the file
# (on SIGUSR1 tcpdump tells what it wrote and what the kernel has for it)
capture_stop() {
	local log
	log=$(tr '\0' '\n' <"/proc/$1/cmdline" | sed -n '/^-w$/{n;p}').log.err
	sleep 0.1
	wait_for 5 capture_idle "$1" "$log"
	stop "$1" INT
	return 0
}
capture_idle() {
	kill -USR1 "$1" && sleep 0.1
	tail -n 1 "$2" | grep -qE '([0-9]+) packets? captured, \1 packets? received'
}

frames() { local f=$1; shift; tcpdump -nr "$f" "$@" 2>/dev/null | wc -l; }

# What is neither ESP nor address resolution or group membership (IPv6 135, 136, 143 behind hop-by-hop)
not_arp='not arp and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) and not (ip6 and ip6[6] = 0)'
esp_udp='(udp port 4500 and ((ip and udp[8:4] != 0) or (ip6 and ip6[48:4] != 0)))'
esp_raw='(ip proto 50 or ip6 proto 50)'
strangers() { frames "$1" "$not_arp and not ${2:-$esp_udp}"; }
