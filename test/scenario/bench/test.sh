#!/usr/bin/env bash
# `bumpwire bench` with each of its options: what it reports and how it refuses. How fast it is is nobody's business here.
. "$(dirname "$0")/../lib.sh"
need jq
bench() { timeout 60 "$bin" bench --time 20 "$@"; }

# measured WHAT FILTER [OPTION...]: what is printed as JSON is complete and possible, and FILTER holds
rates='[.seal, .open, .out, .out_in, (.one_worker | .seal, .open, .out, .out_in)]'
possible="($rates | length == 8 and all(.mpps > 0 and .gbps > 0))
	and (. as \$all | $rates | all((.gbps * 1e9 / (.mpps * 1e6 * 8) / \$all.size - 1) | fabs < 0.01))
	and .spd_load_seconds >= 0 and .spd_bytes > 0
	and .sa_bytes > 200 and .key_bytes > 16 and (.new_flows | type == \"boolean\") and (.backend | length > 0)"
measured() {
	local what=$1 filter=$2
	shift 2
	bench --json "$@" >"$work/out" 2>"$work/err"
	is "$what: status" $? 0
	ok "$what: complete and possible" jq -e "$possible" "$work/out"
	ok "$what: as asked" jq -e "$filter" "$work/out"
	is "$what: nothing else is said" "$(cat "$work/err")" ''
}
measured "no option" '.cipher == "aes128gcm16" and .size == 1420 and .sas == 1 and .policies == 0 and .workers == 1
	and .new_flows == false and .one_worker == {seal, open, out, out_in}'
for cipher in aes256gcm16 aes128-sha256 chacha20poly1305 null-sha1; do
	measured "--cipher $cipher" ".cipher == \"$cipher\"" --cipher $cipher
done
for size in 28 64 9000 16384; do measured "--size $size" ".size == $size" --size $size; done
measured "--sas" '.sas == 1000' --sas 1000
measured "--policies" '.policies == 2000 and .spd_bytes > 2000 * 16' --policies 2000
measured "--workers" '.workers == 2 and .sas == 2 and .one_worker.out != .out' --workers 2
measured "--new-flows" '.new_flows' --new-flows --policies 100
measured "--backend openssl" '.backend == "openssl"' --backend openssl
measured "--backend sodium" '.backend == "sodium"' --backend sodium --cipher chacha20poly1305
measured "a cipher that the backend has not" '.backend == "openssl"' --backend sodium --cipher aes128-sha256
measured "--backend auto" '.backend | IN("openssl", "ipsec-mb", "sodium")' --backend auto

# for people
ok "a table" eval 'bench --workers 2 >"$work/out" 2>"$work/err"'
is "every rate has its row" "$(grep -cE '^(cipher alone: (en|de)crypt|pipeline: out( and in)?) +[0-9.]+ +[0-9.]+ ' "$work/out")" 4
ok "beside the cipher" eval 'grep -q "% of the cipher alone, .* times one" "$work/out"'
is "no progress where nobody looks" "$(cat "$work/err")" ''
if command -v script >/dev/null; then
	ok "progress on a terminal" eval 'script -qec "$bin bench --time 20" /dev/null </dev/null | grep -q "\.\.\."'
else skip "progress on a terminal" "no script(1)"; fi

# refused WORDS OPTION...: wrong usage, in words on standard error
refused() {
	local words=$1
	shift
	bench "$@" >"$work/out" 2>"$work/err"
	is "$*: status" $? 2
	ok "$*: says why" grep -qF -- "$words" "$work/err"
	is "$*: measures nothing" "$(cat "$work/out")" ''
}
sizes='sizes are 28 to 16384 bytes'
refused 'unknown cipher "nosuch"' --cipher nosuch
refused "without integrity protection is refused" --cipher aes128
refused "$sizes" --size 27
refused "$sizes" --size 16385
refused "$sizes" --sas 1048577
refused "$sizes" --policies 1048577
refused "$sizes" --workers 0
refused "$sizes" --workers 65
for option in --size --sas --policies --workers --time; do
	refused 'is not a number that fits here' $option x
	refused 'is not a number that fits here' $option -1
	refused 'is not a number that fits here' $option 99999999999
done
refused 'is not a number that fits here' --sas 0
refused 'is not a number that fits here' --time 0
refused 'there is no crypto backend "nosuch"' --backend nosuch
refused 'usage: bumpwire bench' --nosuch
refused 'usage: bumpwire bench' --size
refused 'usage: bumpwire bench' more
bench --help >"$work/out"
is "--help: status" $? 0
for word in --cipher --size --sas --policies --workers --time --backend --new-flows --json sodium; do
	ok "--help names $word" grep -qF -- "$word" "$work/out"
	ok "so does the page" eval 'sed -n "/^\.It Cm bench/,/^\.It Cm version/p; /^\.Cm bench/,/^\.Nm/p" "$src/man/bumpwire.8" |
		grep -qF -- "${word#-}"'
done
finish
