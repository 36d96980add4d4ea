#!/usr/bin/env python3
"""Measures one tunnel between two namespaces with iperf3 and ping; prints one line of JSON.

The daemons' process ids follow the options, side a first. Figures that could not be had are null,
and then the exit status is 1. See README.md for what each figure means.
"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

TESTS = ['idle', 'rtt', 'tcp1', 'tcp4', 'udp', 'over', 'udp64']
PORT = 5201
UDP_PAYLOAD = 1372      # 1400 bytes of IP
OVERLOAD = 5            # times the best goodput
SHARE = 0.1             # of a CPU for each daemon under overload

args = None
children = []


def in_ns(ns, *command):
    return ['ip', 'netns', 'exec', ns, *command]


def start(ns, *command, **kw):
    p = subprocess.Popen(in_ns(ns, *command), stdin=subprocess.DEVNULL, text=True, **kw)
    children.append(p)
    return p


def end(p, seconds):
    """Waits for a process that should end by itself."""
    try:
        p.wait(seconds)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
    children.remove(p)


def give_up(signum, frame):
    for p in children:
        p.kill()
    os._exit(128 + signum)


# ---- what the daemons use ------------------------------------------------------------------------

def cpu_seconds(pid):
    """clock_getcpuclockid(3): the process's CPU time, to the nanosecond."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def rss_mib(pid):
    try:
        with open(f'/proc/{pid}/status') as f:
            return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) / 1024
    except (OSError, AttributeError):
        return None


class Cpu:
    """Per cent of one CPU that each daemon took while the block ran."""

    def __enter__(self):
        self.t = time.monotonic()
        self.before = [cpu_seconds(p) for p in args.daemons]
        return self

    def __exit__(self, *exc):
        dt = time.monotonic() - self.t
        after = [cpu_seconds(p) for p in args.daemons]
        self.percent = [round(100 * (b - a) / dt, 2) for a, b in zip(self.before, after)
                        if a is not None and b is not None]


# ---- iperf3 --------------------------------------------------------------------------------------

def udp_buffer():
    """iperf3's default makes UDP results random; more than the system allows is an error."""
    low = 4 << 20
    for name in ('rmem_max', 'wmem_max'):
        with open(f'/proc/sys/net/core/{name}') as f:
            low = min(low, int(f.read()))
    return str(low)


def listening(port):
    out = subprocess.run(in_ns(args.ns_b, 'ss', '-Hltn', f'sport = :{port}'),
                         capture_output=True, text=True).stdout
    return out.strip() != ''


def iperf(seconds, *options, clients=1):
    """Runs `clients` iperf3 side by side from a to b; their JSON, or None."""
    servers = [start(args.ns_b, 'iperf3', '-s', '-1', '-p', str(PORT + i),
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for i in range(clients)]
    for i in range(clients):
        for _ in range(100):
            if listening(PORT + i):
                break
            time.sleep(0.02)
    runs = [start(args.ns_a, 'iperf3', '-c', args.target, '-p', str(PORT + i), '-J', '-t',
                  f'{seconds:g}', *options, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for i in range(clients)]
    results = []
    for p in runs:
        try:
            text, _ = p.communicate(timeout=seconds + 25)
            results.append(json.loads(text))
        except (subprocess.TimeoutExpired, ValueError):
            pass
        end(p, 0)
    for s in servers:
        end(s, 2)
    good = [j for j in results if j.get('end') and 'error' not in j]
    for j in results:
        if 'error' in j:
            print(f'{args.name}: iperf3: {j["error"]}', file=sys.stderr)
    return good if len(good) == clients else None


def udp(payload, bits, clients=1):
    """Offers `bits` a second (0: flat out) in all; None, or what was offered and what arrived."""
    j = iperf(args.seconds, '-u', '-l', str(payload), '-b', str(int(bits / clients)),
              '-w', udp_buffer(), '--pacing-timer', '200', clients=clients)
    if not j:
        return None
    sent = got = 0
    for one in j:
        s = one['end']['sum']
        seconds = s['seconds'] or args.seconds
        sent += s['packets'] / seconds
        got += (s['packets'] - s['lost_packets']) / seconds
    return {'sent_kpps': sent / 1e3, 'kpps': got / 1e3, 'sent_gbps': sent * payload * 8 / 1e9,
            'gbps': got * payload * 8 / 1e9}


# ---- tests: each returns figures -----------------------------------------------------------------

def test_idle(so_far):
    """Nothing is sent; neighbour discovery and the first pings are over."""
    if not args.daemons:
        return {}
    time.sleep(0.5)
    with Cpu() as cpu:
        time.sleep(max(2, args.seconds))
    rss = [m for m in map(rss_mib, args.daemons) if m]
    return {'idle_cpu_pct': max(cpu.percent, default=None),
            'idle_rss_mib': round(max(rss), 1) if rss else None}


def pings(interval, count, times):
    """Sorted round-trip times. Several ping processes: where the scheduler puts one decides its times."""
    us = []
    for _ in range(times):
        p = start(args.ns_a, 'ping', '-n', '-i', interval, '-c', str(count), args.target,
                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        text, _ = p.communicate()
        end(p, 0)
        us += [float(x) * 1000 for x in re.findall(r'time=([\d.]+) ms', text)]
    return sorted(us) if len(us) >= count * times * 2 / 3 else None


def test_rtt(so_far):
    figures = {}
    for key, interval, count in (('rtt', '0.005', 30), ('rtt_awake', '0.0002', 300)):
        us = pings(interval, count, 10)
        figures[f'{key}_us'] = round(statistics.median(us), 1) if us else None
        if us:
            figures[f'{key}_us_p99'] = round(us[len(us) * 99 // 100], 1)
    return figures


def tcp(streams):
    with Cpu() as cpu:
        j = iperf(args.seconds, '-O', '1', *(['-P', str(streams)] if streams > 1 else []))
    key = f'tcp{streams}'
    if not j:
        return {f'{key}_gbps': None}
    s = j[0]['end']
    return {f'{key}_gbps': round(s['sum_received']['bits_per_second'] / 1e9, 3),
            f'{key}_retransmits': s['sum_sent'].get('retransmits'), f'{key}_cpu_pct': cpu.percent}


def test_tcp1(so_far):
    return tcp(1)


def test_tcp4(so_far):
    return tcp(4)


def test_udp(so_far):
    with Cpu() as cpu:
        u = udp(UDP_PAYLOAD, 0)
    if not u:
        return {'udp_gbps': None}
    return {'udp_gbps': round(u['gbps'], 3), 'udp_sent_gbps': round(u['sent_gbps'], 3),
            'udp_cpu_pct': cpu.percent}


class Share:
    """The daemons may use SHARE of a CPU each while the block runs: so that the senders, on the same
    CPUs, can offer many times what the tunnel carries. A control group of our own, gone afterwards."""

    def __enter__(self):
        self.groups = []
        try:
            for pid in args.daemons:
                self.limit(pid)
        except OSError:
            self.__exit__()
            raise

    def limit(self, pid):
        g = f'{cpu_controller()}/bwbench-{os.getpid()}-{pid}'
        os.mkdir(g)
        self.groups.append((g, pid))
        period = 10000  # us: shorter than any queue in between takes to fill
        if os.path.exists(f'{g}/cpu.cfs_quota_us'):
            self.put(g, 'cpu.cfs_period_us', period)
            self.put(g, 'cpu.cfs_quota_us', int(SHARE * period))
        else:
            self.put(g, 'cpu.max', f'{int(SHARE * period)} {period}')
        self.put(g, 'cgroup.procs', pid)

    @staticmethod
    def put(group, name, what):
        with open(f'{group}/{name}', 'w') as f:
            f.write(str(what))

    def __exit__(self, *exc):
        for g, pid in self.groups:
            try:
                self.put(os.path.dirname(g), 'cgroup.procs', pid)
            except ProcessLookupError:
                pass
            os.rmdir(g)


def cpu_controller():
    """Where control groups that limit CPU time are made, of version 1 or 2; None when nowhere."""
    with open('/proc/mounts') as f:
        for line in f:
            _, at, kind, options, *_ = line.split()
            if kind == 'cgroup' and 'cpu' in options.split(','):
                return at
            if kind == 'cgroup2' and os.path.exists(f'{at}/cgroup.subtree_control'):
                with open(f'{at}/cgroup.subtree_control') as g:
                    if 'cpu' in g.read().split():
                        return at
    return None


def load(rate, seconds):
    """Offers `rate` packets of 1400 bytes a second; packets a second sent, and arrived."""
    tool = os.path.join(os.environ.get('BENCH_BIN', os.path.dirname(os.path.abspath(__file__))), 'udp_load')
    to = [args.target, str(PORT + 9)]
    r = start(args.ns_b, tool, 'receive', *to, f'{seconds:g}', stdout=subprocess.PIPE)
    r.stdout.readline()
    # a little longer than is counted: the receiver's time begins with the first packet
    s = start(args.ns_a, tool, 'send', *to, str(UDP_PAYLOAD), f'{rate:g}', f'{seconds + 0.2:g}',
              stdout=subprocess.PIPE)
    sent, got = int(s.communicate()[0] or 0), int(r.communicate()[0] or 0)
    end(s, 1)
    end(r, 1)
    return sent / (seconds + 0.2), got / seconds


def test_over(so_far):
    """Goodput when far too much is offered, next to the best there is with less."""
    if not args.daemons:
        return {}
    if not cpu_controller():
        print(f'{args.name}: no control groups for CPU time here: overload not measured', file=sys.stderr)
        return {'over_kept': None}
    with Share():
        time.sleep(0.2)
        best, rate = 0, 5000
        while rate < 2 * max(best, 5000):       # up to where offering more brings no more
            best = max(best, load(rate, 0.5)[1])
            rate *= 1.4
        for factor in (0.9, 1.0, 1.1):
            best = max(best, load(best * factor, args.seconds)[1])
        sent, got = load(OVERLOAD * best, args.seconds)
        best = max(best, got)
    return {'over_best_kpps': round(best / 1e3, 1), 'over_kpps': round(got / 1e3, 1),
            'over_offered': round(sent / best, 2), 'over_kept': round(got / best, 3)}


def test_udp64(so_far):
    with Cpu() as cpu:
        u = udp(64, 0)
    if not u:
        return {'udp64_kpps': None}
    figures = {'udp64_kpps': round(u['kpps'], 1), 'udp64_sent_kpps': round(u['sent_kpps'], 1),
               'udp64_cpu_pct': cpu.percent}
    if cpu.percent and u['kpps']:
        figures['udp64_cpu_us'] = round(10 * sum(cpu.percent) / u['kpps'], 2)
    return figures


def main():
    global args
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for o in ('--name', '--ns-a', '--ns-b', '--target'):
        p.add_argument(o, required=True)
    p.add_argument('--round', type=int, default=1)
    p.add_argument('--seconds', type=float, default=5)
    p.add_argument('--tests', default='all')
    p.add_argument('daemons', nargs='*', type=int)
    args = p.parse_args()
    wanted = TESTS if args.tests == 'all' else args.tests.split()
    unknown = [t for t in wanted if t not in TESTS]
    if unknown:
        p.error(f'no test {unknown[0]}; expected {" ".join(TESTS)}')
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, give_up)
    figures = {}
    for t in TESTS:
        if t in wanted:
            figures.update(globals()[f'test_{t}'](figures))
    alive = all(os.path.exists(f'/proc/{d}') for d in args.daemons)
    print(json.dumps({'name': args.name, 'round': args.round, 'alive': alive, **figures}), flush=True)
    if not alive:
        print(f'{args.name}: a daemon died', file=sys.stderr)
    return 0 if alive and None not in figures.values() else 1


if __name__ == '__main__':
    sys.exit(main())
