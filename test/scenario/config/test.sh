#!/usr/bin/env bash
# Files that are wrong: each ends in an error with file and line that says what was expected, never in a crash.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../../interop/lib-pki.sh"
[ -z "${BW_SKIP_SCENARIOS:-}" ] || tap_skip_all "scenarios are switched off (--disable-scenarios)"
[ -x "$bin" ] || tap_skip_all "no $bin"
command -v openssl >/dev/null || tap_skip_all "no openssl"
# without the hint of bumpwire(8), ROUTES AND PEERS, which is of the machine that this runs on, and not of the file
check() { "$bin" check "$@" 2> >(grep -v 'hint: this machine forwards' >&2); }
conf_defaults
conf_one a >"$work/good.conf"
chmod 600 "$work/good.conf"
ok "the plain file is good" check -c "$work/good.conf"
is "and nothing is said" "$(check -c "$work/good.conf" 2>&1)" ""

# the examples, beside the certificates that they name
pki_ca ca /C=DE/CN=ca
for i in a b; do pki_cert $i /C=DE/CN=$i ca san=DNS:$i.example; done
cp "$src"/etc/*.conf "$pki"
for f in "$pki"/*.conf; do
	ok "etc/${f##*/} is good" check -c "$f"
	is "and nothing is said of it" "$(check -c "$f" 2>&1)" ""
done

# the examples of README.md, each with the keys it wants
n=0
while IFS= read -r line; do
	case $line in
	'tun bw0 {'*) n=$((n + 1)) && mkdir "$work/readme$n" && inside=1 ;;
	'```') inside= ;;
	esac
	[ -z "${inside:-}" ] || printf '%s\n' "$line" >>"$work/readme$n/bumpwire.conf"
done <"$src/README.md"
is "README.md has two examples" "$n" 2
for ((i = 1; i <= n; i++)); do
	(umask 077 && cd "$work/readme$i" && bytes 20 1 >a-to-b.key && bytes 20 2 >b-to-a.key && bytes 32 3 >site-b.psk)
	ok "example $i of README.md is good" check -c "$work/readme$i/bumpwire.conf"
	is "and nothing is said of it" "$(check -c "$work/readme$i/bumpwire.conf" 2>&1)" ""
done

# bad WHAT SED PATTERN: the good file after SED fails; the error is PATTERN at the line that SED's mark # HERE has
bad() {
	local line out rc
	sed -e "$2" "$work/good.conf" >"$work/bad.conf"
	line=$(grep -n HERE "$work/bad.conf" | head -n 1 | cut -d: -f1)
	out=$(check -c "$work/bad.conf" 2>&1)
	rc=$?
	if [ $rc != 1 ]; then
		fail "$1: exit status 1"
		note "status $rc: $out"
	elif ! grep -qE "bad\.conf:${line:-[0-9]+}: .*$3" <<<"$out"; then
		fail "$1"
		note "expected bad.conf:$line: ... $3; found: $out"
	else
		pass "$1: ${out%%$'\n'*}"
	fi
}
bad "unknown key" 's/mtu = 1400/mtuu = 1400 # HERE/' 'mtuu'
bad "unknown section" '1s/^/tunnel x { } # HERE\n/' 'tunnel'
bad "key twice" 's/mtu = 1400/mtu = 1400\nmtu = 1400 # HERE/' 'twice'
bad "not a number" 's/mtu = 1400/mtu = many # HERE/' 'expected'
bad "number too small" 's/mtu = 1400/mtu = 100 # HERE/' 'expected'
bad "not an address" '0,/192.0.2.1/s/"192.0.2.1"/"192.0.2.256" # HERE/' 'expected'
bad "not a prefix" 's/"10.255.0.1\/32"/"10.255.0.1\/33"/; s/^\taddress.*/& # HERE/' 'expected'
bad "host bits set in a route" 's/routes = {"10.2.0.0\/16"/routes = {"10.2.0.1\/16" # HERE\n/' 'expected'
bad "unknown cipher" '0,/aes128gcm16/s/cipher = "aes128gcm16"/cipher = "aes128gcm17" # HERE/' 'expected'
bad "integrity missing" '0,/aes128gcm16/s/cipher = "aes128gcm16"/cipher = "aes128" # HERE/' '(integrity|expected)'
bad "key too short" "s/\"$(bytes 20 0)\"/\"$(bytes 19 0)\" # HERE/" '20'
bad "key too long" "s/\"$(bytes 20 0)\"/\"$(bytes 21 0)\" # HERE/" '20'
bad "key not hex" "s/\"$(bytes 20 0)\"/\"$(bytes 19 0)zz\" # HERE/" 'hex'
bad "key file missing" "s/\"$(bytes 20 0)\"/\"file:\/nowhere\/key\" # HERE/" 'nowhere'
bad "SPI reserved" '0,/spi = 0x1001/s/spi = 0x1001/spi = 255 # HERE/' '256'
bad "window too large" '0,/spi = 0x1002/s//spi = 0x1002\nreplay_window = 100000 # HERE/' 'expected'
bad "SA twice" 's/^sa in {/sa out { # HERE/' 'out'
bad "no such SA" 's/out = {"out"}/out = {"nobody"} # HERE/' 'nobody'
bad "SA of the wrong direction" 's/out = {"out"}/out = {"in"} # HERE/' 'direction|out'
bad "unknown action" 's/action = protect/action = maybe # HERE/' 'expected'
bad "unknown protocol" 's/action = protect/protocol = {"tdp"} # HERE\naction = protect/' 'expected'
bad "port without protocol" 's/action = protect/local_port = {"80"} # HERE\naction = protect/' 'protocol'
bad "port out of range" 's/action = protect/protocol = {"tcp"}\nlocal_port = {"65536"} # HERE\naction = protect/' 'expected'
bad "unknown key in a section inside another" '$s/$/\nconnection c {\n  local { auth = psk }\n  child d { colour = red # HERE\n } }/' 'colour.*section child'
bad "connection without certificates" '$s/$/\nconnection c {\n remote { auth = psk }\n local { id = a # HERE\n }\n child d { } }/' 'local of connection c'
bad "a version of IKE that there is not" '$s/$/\nconnection c { version = 3 # HERE\n local { auth = psk } remote { auth = psk } child d { } }/' 'version'
bad "secret without a file" '$s/$/\nsecret s { secret = "file:nowhere" # HERE\n }/' 'nowhere'
bad "include that is missing" '1s/^/include("nothere.conf") # HERE\n/' 'nothere'
bad "brace left open" '$s/}//' 'end|brace'
bad "quote left open" 's/action = protect/action = "protect/' '.'

# keys that others may read
bytes 20 0 >"$work/key"
sed "s/\"$(bytes 20 0)\"/\"file:key\" # HERE/" "$work/good.conf" >"$work/file.conf"
chmod 644 "$work/key"
out=$(check -c "$work/file.conf" 2>&1)
is "a key file that others can read is refused" "$?" 1
ok "and it is said why" grep -qE 'file\.conf:[0-9]+: .*key' <<<"$out"
chmod 600 "$work/key"
ok "one for its owner is taken" check -c "$work/file.conf"

ok "no file: exit status 1" eval 'check -c "$work/none.conf"; [ $? = 1 ]'
ok "no subcommand: exit status 2" eval '"$bin"; [ $? = 2 ]'
ok "unknown subcommand: exit status 2" eval '"$bin" frobnicate; [ $? = 2 ]'
ok "unknown option: exit status 2" eval 'check --frobnicate; [ $? = 2 ]'
# any line cut off anywhere: an error or not, never a crash
crashed=0
lines=$(wc -l <"$work/good.conf")
for ((i = 1; i < lines; i++)); do
	head -n $i "$work/good.conf" | head -c -3 >"$work/cut.conf"
	check -c "$work/cut.conf" >/dev/null 2>&1
	[ $? -le 1 ] || { crashed=1; note "crash when cut after line $i"; }
done
is "cut off after any line: no crash" "$crashed" 0
echo "1..$tap_n"
