#!/usr/bin/env bash
# The manual pages are well-formed, and every key and subcommand is in them.
. "$(dirname "$0")/../lib.sh"
[ -z "${BW_SKIP_SCENARIOS:-}" ] || tap_skip_all "scenarios are switched off (--disable-scenarios)"
command -v mandoc >/dev/null || tap_skip_all "no mandoc"
for page in "$src"/man/*.[1-9]; do
	ok "mandoc -Tlint ${page##*/}" mandoc -Tlint -W warning "$page"
	ok "${page##*/} renders" eval 'mandoc -Tutf8 "$page" | grep -q bumpwire'
done
for sub in run check status list monitor reload log version; do
	ok "bumpwire(8) tells of $sub" grep -qE "^\.(It|Ic|Ss|Cm).*\b$sub\b" "$src/man/bumpwire.8"
done
rm -rf "$work"
echo "1..$tap_n"
