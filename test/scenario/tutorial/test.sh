#!/usr/bin/env bash
# bumpwire-tutorial(7), typed as it stands there: every line behind a prompt is run, in order, on the machine that the
# prompt names, and must succeed. Some things differ from a newcomer's machines: /etc/bumpwire lies in a folder of the
# test, `scp' copies between those folders, and `systemctl' and `journalctl' start the program and show its log.
. "$(dirname "$0")/../lib.sh"
need openssl mandoc ping tcpdump sysctl jq
space a b
cable "$ns_a" eth0 "$ns_b" eth0
address "$ns_a" eth0 192.0.2.1/24
address "$ns_b" eth0 192.0.2.2/24
address "$ns_a" lo 10.1.0.1/16
address "$ns_b" lo 10.2.0.1/16
export work bin
mkdir -p "$work/bin" "$work/home"/{ca,gw-a,gw-b}

cat >"$work/bin/bumpwire" <<'X'
#!/bin/sh
case $1 in
check) exec "$bin" "$@" -c "$work/etc/$machine/bumpwire.conf" ;;
*) exec "$bin" "$@" --run-dir "$work/$machine.run" ;;
esac
X
cat >"$work/bin/systemctl" <<'X'
#!/bin/sh
[ "$*" = "enable --now bumpwire" ] || exit 1
touch "$work/start.$machine"
X
cat >"$work/bin/journalctl" <<'X'
#!/bin/sh
cat "$work/$machine.log" "$work/$machine.log.err"
X
cat >"$work/bin/scp" <<'X'
#!/bin/sh
for f; do
	case $f in *:/etc/bumpwire/*) f=$work/etc/${f%%:*}/${f#*:/etc/bumpwire/} ;; esac
	set -- "$@" "$f"
	shift
done
exec cp "$@"
X
chmod +x "$work/bin"/*

# on MACHINE COMMAND: in its namespace, in the folder where its last command left it
on() {
	local ns=() text=$2
	if [ "$1" != ca ]; then
		ns=(ip netns exec "bw-$$-${1#gw-}")
		text=${text//\/etc\/bumpwire/$work/etc/$1}
	fi
	machine=$1 PATH=$work/bin:$PATH "${ns[@]}" timeout 60 bash -c \
		'cd "$(cat "$work/$machine.cwd" 2>/dev/null || echo "$work/home/$machine")" && eval "$1"
		rc=$?; pwd >"$work/$machine.cwd"; exit $rc' - "$text" </dev/null
}

commands=0
run() { # run MACHINE COMMAND
	local what=$1:\ ${2%%$'\n'*}
	commands=$((commands + 1))
	if on "$1" "$2" >"$work/last" 2>&1; then pass "$what"; else
		fail "$what"
		note "$(tail -n 20 "$work/last")"
		gw_show "$1"
	fi
	# what `systemctl enable --now' does
	if [ -e "$work/start.$1" ]; then
		rm "$work/start.$1"
		gw_start "$1" "$work/etc/$1/bumpwire.conf" "bw-$$-${1#gw-}"
	fi
	case $2 in
	'bumpwire up'*'|| echo'*)
		ok "it failed, and says that the other side refused" grep -q AUTHENTICATION_FAILED "$work/last"
		ok "and it goes on after it" grep -q 'it failed, as it should' "$work/last" ;;
	'journalctl'*) ok "the log says which name was asked for" grep -q c.example "$work/last" ;;
	'timeout 4 tcpdump'*) ok "tcpdump saw ESP" grep -q ESP "$work/last" ;;
	'bumpwire list certs'*) ok "our certificate is listed" grep -q 'Gateway A' "$work/last" ;;
	esac
}

machine='' command='' end=''
flush() {
	[ -z "$command" ] || run "$machine" "$command"
	command='' end=''
}
# what mandoc shows, with the space that it puts in front of displays taken away
while IFS= read -r line; do
	if [ -n "$end" ]; then
		line=${line#"$indent"}
		command+=$'\n'$line
		[ "$line" != "$end" ] || flush
	elif [[ $line =~ ^(\ *)(ca|gw-a|gw-b)[#\$]\ (.*)$ ]]; then
		flush
		indent=${BASH_REMATCH[1]} machine=${BASH_REMATCH[2]} command=${BASH_REMATCH[3]}
		[[ $command != *"<<'END'" ]] || end=END
		[ -n "$end" ] || flush
	fi
done < <(mandoc -Tascii -Owidth=200 "$src/man/bumpwire-tutorial.7" | col -bx)
num "the page has its commands" "$commands" -ge 40
is "the tunnel carried the pings" "$(bw gw-a status --json | jq '.traffic.in.packets >= 8')" true
finish
