#!/usr/bin/env bash
# What the running process may still do: two capabilities, nothing new, no core dump.
. "$(dirname "$0")/../lib.sh"
need ping jq
topology
conf_defaults
conf_pair
pair_start || finish
proc() { sed -n "s/^$1:[[:space:]]*//p" "/proc/${gw_pid[a]}/status"; }
# CAP_NET_ADMIN is bit 12, CAP_NET_RAW bit 13
is "effective: CAP_NET_ADMIN and CAP_NET_RAW" "$(proc CapEff)" 0000000000003000
is "permitted: the same" "$(proc CapPrm)" 0000000000003000
is "inheritable: none" "$(proc CapInh)" 0000000000000000
is "bounding: nothing more can be had" "$(proc CapBnd)" "$(proc CapEff)"
is "no new privileges" "$(proc NoNewPrivs)" 1
is "every thread the same" "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/"${gw_pid[a]}"/task/*/status | sort -u)" 0000000000003000
ok "core dumps off" grep -qE '^Max core file size +0 +0 ' "/proc/${gw_pid[a]}/limits"
if [ "$(sed -n 's/^Seccomp:[[:space:]]*//p' /proc/self/status)" = 2 ] || "$bin" version | grep -qi 'seccomp.*no'; then
	skip "system calls are filtered" "not to be told apart here"
else
	is "system calls are filtered" "$(proc Seccomp)" 2
fi
is "the run directory is for its owner" "$(stat -c %a "$work/a.run")" 700
sock=("$work"/a.run/*.sock "$work"/a.run/control)
ok "and so is the control socket" test "$(stat -c %a "${sock[0]}")" -le 600
# with all that, it still does what it is for
ok "ping" ping_ok "$ns_host_a" 10.2.0.2
ok "reload" bw a reload
ok "ping after reload" ping_ok "$ns_host_a" 10.2.0.2
finish
