# Bars of the medians with the spread as a line; data, out and title1..title4 come from report.py.
set terminal svg size 1100,760 dynamic background "white" font "sans,13"
set output out
set multiplot layout 2,2
set style fill solid 0.85 noborder
set boxwidth 0.7
set yrange [0:*]
set grid ytics lc rgb "#dddddd"
set xtics rotate by -30 scale 0
set tics nomirror
set border 3
unset key
# bumpwire stands out, what cannot be beaten is grey
colour(n) = n[1:8] eq "bumpwire" ? 0x1f6fb4 : (n eq "raw" || n[1:5] eq "relay") ? 0xa0a0a0 : 0xd08a3c
do for [i=1:4] {
	set title value(sprintf("title%d", i))
	m = 3 * i - 1
	plot data using 0:m:(colour(strcol(1))):xtic(1) with boxes lc rgb variable, \
	     data using 0:m+1:(0):(column(m + 2) - column(m + 1)) with vectors nohead lw 2 lc rgb "#303030"
}
unset multiplot
