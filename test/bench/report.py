#!/usr/bin/env python3
"""Reads e2e.jsonl and pipeline.jsonl of a folder; writes report.md and e2e.svg (by gnuplot) there.

Medians over the rounds, with the least and the greatest; ratios are of medians.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys

# key, heading, unit, is more better, what bumpwire has to reach against the relay
FIGURES = [
    ('tcp1_gbps', 'TCP, 1 stream', 'Gbit/s', True),
    ('tcp4_gbps', 'TCP, 4 streams', 'Gbit/s', True),
    ('udp_gbps', 'UDP 1400 B, flat out', 'Gbit/s', True),
    ('over_kept', 'kept at 5 times the load', 'of best', True),
    ('udp64_kpps', 'UDP 64 B', 'kpps', True),
    ('udp64_cpu_us', 'UDP 64 B, CPU time of a packet', 'us', False),
    ('rtt_us', 'RTT', 'us', False),
    ('rtt_awake_us', 'RTT, CPUs awake', 'us', False),
    ('idle_cpu_pct', 'idle CPU', '%', False),
    ('idle_rss_mib', 'idle RSS', 'MiB', False),
]
RATIOS = ('tcp1_gbps', 'tcp4_gbps', 'udp_gbps', 'udp64_kpps', 'udp64_cpu_us', 'rtt_us', 'rtt_awake_us')
CHARTED = ('tcp1_gbps', 'tcp4_gbps', 'udp_gbps', 'udp64_kpps')
REFERENCES = ('relay', 'strongswan')


def load(path):
    try:
        with open(path) as f:
            return [json.loads(line) for line in f if line.startswith('{')]
    except FileNotFoundError:
        return []


def number(v):
    return f'{v:.0f}' if abs(v) >= 100 else f'{v:.3g}'


def table(heads, rows):
    yield '| ' + ' | '.join(heads) + ' |'
    yield '|---' * len(heads) + '|'
    for r in rows:
        yield '| ' + ' | '.join(r) + ' |'
    yield ''


# ---- end to end ----------------------------------------------------------------------------------

class Candidates:
    def __init__(self, runs):
        self.values = {}     # name -> key -> values of the rounds
        for r in runs:
            d = self.values.setdefault(r['name'], {})
            for key, *_ in FIGURES:
                if r.get(key) is not None:
                    d.setdefault(key, []).append(r[key])
        self.rounds = max((r['round'] for r in runs), default=0)

    def names(self):
        return list(self.values)

    def median(self, name, key):
        v = self.values.get(name, {}).get(key)
        return statistics.median(v) if v else None

    def cell(self, name, key):
        v = self.values[name].get(key)
        if not v:
            return '-'
        if len(v) == 1:
            return number(v[0])
        return f'{number(statistics.median(v))} ({number(min(v))}-{number(max(v))})'

    def ratio(self, name, key, to):
        a, b = self.median(name, key), self.median(to, key)
        return f'{a / b:.2f}' if a is not None and b else '-'


def end_to_end(c):
    yield f'Medians of {c.rounds} rounds (least-greatest).'
    yield ''
    heads = [''] + [f'{head}, {unit}' for _, head, unit, _ in FIGURES]
    yield from table(heads, [[n] + [c.cell(n, key) for key, *_ in FIGURES] for n in c.names()])
    for to in REFERENCES:
        if to not in c.values:
            continue
        yield f'Times {to} (RTT: less is better):'
        yield ''
        heads = [''] + [head for key, head, *_ in FIGURES if key in RATIOS]
        yield from table(heads, [[n] + [c.ratio(n, key, to) for key in RATIOS]
                                 for n in c.names() if n != to])


def chart(c, folder):
    """One small bar chart a figure, side by side in one SVG."""
    if not shutil.which('gnuplot'):
        print('bench: no gnuplot: no chart', file=sys.stderr)
        return False
    names = c.names()
    data = os.path.join(folder, 'e2e.dat')
    with open(data, 'w') as f:
        f.write('# name, then median, least, greatest of: ' + ' '.join(CHARTED) + '\n')
        for n in names:
            f.write(f'"{n.replace("_", "-")}"')
            for key in CHARTED:
                v = c.values[n].get(key) or [float('nan')]
                f.write(f' {statistics.median(v)} {min(v)} {max(v)}')
            f.write('\n')
    titles = {key: f'{head}, {unit}' for key, head, unit, _ in FIGURES}
    here = os.path.dirname(os.path.abspath(__file__))
    titles = ';'.join(f'title{i}="{titles[k]}"' for i, k in enumerate(CHARTED, 1))
    p = subprocess.run(['gnuplot', '-e', f'data="{data}";out="{os.path.join(folder, "e2e.svg")}";{titles}',
                        os.path.join(here, 'chart.gp')])
    return p.returncode == 0


# ---- pipeline ------------------------------------------------------------------------------------

def pipeline(points):
    one = {}
    for p in points:
        key = (p['size'], p['workers'], p['sas'], p['policies'], p['new_flows'])
        one.setdefault(key, []).append(p)

    def med(key, what, unit):
        return statistics.median(p[what][unit] for p in one[key])

    first = points[0]
    yield f'{first["cipher"]} by {first["backend"]}; out and in again is one packet through both.'
    yield ''
    heads = ['size', 'workers', 'SAs', 'policies', 'out, Mpps', 'out, Gbit/s', 'out+in, Mpps',
             'out+in, Gbit/s', 'times 1 SA, 1 policy', 'times 1 worker', 'cipher alone, times 1 thread', 'of the cipher alone']
    rows = []
    for key in one:
        size, workers, sas, policies, new_flows = key
        if new_flows:
            continue
        rate = med(key, 'out_in', 'mpps')
        alone = 1 / (1 / med(key, 'seal', 'mpps') + 1 / med(key, 'open', 'mpps'))

        def times(other):
            return f'{rate / med(other, "out_in", "mpps"):.2f}' if other in one else '-'

        def of_one(key, what):
            # measured in the same run, and the same load of the machine with some luck
            ratios = [p[what]['mpps'] / p['one_worker'][what]['mpps'] for p in one[key]]
            return f'{statistics.median(ratios):.2f}' if key[1] > 1 else '-'
        rows.append([str(size), str(workers), str(sas), str(policies),
                     number(med(key, 'out', 'mpps')), number(med(key, 'out', 'gbps')),
                     number(rate), number(med(key, 'out_in', 'gbps')),
                     times((size, workers, 1, 1, False)), of_one(key, 'out_in'), of_one(key, 'seal'),
                     f'{rate / alone:.2f}'])
    yield from table(heads, rows)
    new = [key for key in one if key[4]]
    if new:
        yield 'Every packet a new flow, so that the SPD is searched for each; one worker:'
        yield ''
        heads = ['policies', 'out, Mpps', 'loading them, ms']
        yield from table(heads, [[str(k[3]), number(med(k, 'out', 'mpps')),
                                  number(1e3 * statistics.median(p['spd_load_seconds'] for p in one[k]))]
                                 for k in new])
    most = max(points, key=lambda p: p['sas'])
    yield (f'An SA takes {most["sa_bytes"]:.0f} bytes and {most["key_bytes"]:.0f} of the cipher library\'s key '
           f'tables.')
    yield ''


def machine():
    cpu = ''
    with open('/proc/cpuinfo') as f:
        cpu = next((line.split(':', 1)[1].strip() for line in f if line.startswith('model name')), '')
    with open('/proc/sys/net/ipv4/tcp_congestion_control') as f:
        cc = f.read().strip()
    return f'{os.cpu_count()} CPUs ({cpu}), Linux {os.uname().release}, TCP congestion control {cc}.'


def main():
    folder = sys.argv[1]
    runs = load(os.path.join(folder, 'e2e.jsonl'))
    points = load(os.path.join(folder, 'pipeline.jsonl'))
    ok = True
    lines = [machine(), '']
    if runs:
        c = Candidates(runs)
        lines += ['## End to end', ''] + list(end_to_end(c))
        ok = chart(c, folder)
        if ok:
            lines += ['![bars](e2e.svg)', '']
    if points:
        lines += ['## Pipeline, memory to memory', ''] + list(pipeline(points))
    with open(os.path.join(folder, 'report.md'), 'w') as f:
        f.write('\n'.join(lines))
    print('\n'.join(lines))
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
