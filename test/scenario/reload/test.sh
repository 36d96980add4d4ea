#!/usr/bin/env bash
# A policy changes under a running TCP stream, which does not notice; a broken file changes nothing.
. "$(dirname "$0")/../lib.sh"
need ping iperf3 jq
topology
conf_defaults
conf_pair
pair_start || finish
serve "$ns_host_b" 5201
background "$ns_host_a" "$work/stream.json" iperf3 -J -c 10.2.0.2 -t 5 -i 0.5
stream=$last
sleep 1.5
before=$(sa_value a out .packets)
age=$(sa_value a out .age_s)
policies_before=$'policy closed {\n\tremote = {"10.2.0.0/16"}\n\tprotocol = {"tcp"}\n\tremote_port = {"7999"}\n\taction = reject\n}'
conf_one a >"$work/a.conf"
ok "reload with one policy more" bw a reload
sleep 0.5
num "the SA counts on" "$(sa_value a out .packets)" -gt "$before"
num "and grows older: it is the same one" "$(sa_value a out .age_s)" -ge "$age"
ok "the new policy works: refused at once" eval '! host_a timeout 1 nc -z 10.2.0.2 7999; [ $? != 124 ]'
num "and is counted" "$(drops a policy_reject)" -ge 1

cp "$work/a.conf" "$work/good.conf"
printf 'policy broken {\n\taction = perhaps\n}\n' >>"$work/a.conf"
line=$(grep -n perhaps "$work/a.conf" | cut -d: -f1)
ok "a broken file is refused" not bw a reload
bw a reload 2>"$work/why" >"$work/why.out"
ok "with file and line" grep -q "a.conf:$line:" "$work/why" "$work/why.out"
sed -i 's/action = perhaps/action = protect\n\tout = {"nobody"}/' "$work/a.conf"
ok "an SA that is not there is refused" not bw a reload
ok "the old policies still work" eval '! host_a timeout 1 nc -z 10.2.0.2 7999; [ $? != 124 ]'
cp "$work/good.conf" "$work/a.conf"
for i in 1 2 3; do bw a reload || fail "reload again $i"; done
wait "$stream"
is "the stream ended well" "$?" 0
# iperf3 tells half seconds: two empty ones in a row would be a stall of a second
is "the stream never stalled for a second" \
	"$(jq '[.intervals[].sum.bytes] | . as $b | [range(1; length) | select($b[.] == 0 and $b[. - 1] == 0)] | length' "$work/stream.json")" 0
num "it had its intervals" "$(jq '.intervals | length' "$work/stream.json")" -ge 9

# an SA that changes is replaced, both sides
key_new=$(bytes 20 99)
sed -i "s/$(bytes 20 0)/$key_new/" "$work/a.conf" "$work/b.conf"
ok "A takes a new key" bw a reload
ok "which B does not have yet" not ping_ok "$ns_host_a" 10.2.0.2 -c 1 -W 1
ok "B takes it too" bw b reload
ok "and they talk again" ping_ok "$ns_host_a" 10.2.0.2
finish
