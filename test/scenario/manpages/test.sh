#!/usr/bin/env bash
# The manual pages are well-formed, and every key and subcommand is in them.
. "$(dirname "$0")/../lib.sh"
[ -z "${BW_SKIP_SCENARIOS:-}" ] || tap_skip_all "scenarios are switched off (--disable-scenarios)"
command -v mandoc >/dev/null || tap_skip_all "no mandoc"
for page in "$src"/man/*.[1-9]; do
	ok "mandoc -Tlint ${page##*/}" mandoc -Tlint -W warning "$page"
	ok "${page##*/} renders" eval 'mandoc -Tutf8 "$page" | grep -q bumpwire'
done
for sub in $("$bin" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
	ok "bumpwire(8) tells of $sub" grep -qE "^\.(It|Cm) (Cm )?$sub\b" "$src/man/bumpwire.8"
done
while IFS='|' read -r metric why; do
	ok "bumpwire(8) tells of drops called $metric" grep -qE "^\.It $metric Ta (in|out|any) Ta $why\$" "$src/man/bumpwire.8"
done < <(sed -n 's/^X([A-Z_]*, *"\([a-z_]*\)".*"\([^"]*\)")$/\1|\2/p' "$src/src/base/drop.def" | sed 's/[().]/\\&/g')
rm -rf "$work"
echo "1..$tap_n"
