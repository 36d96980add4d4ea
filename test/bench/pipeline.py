#!/usr/bin/env python3
"""`bumpwire bench` over a grid of sizes, SAs, policies and workers; its JSON, one line a point."""
import argparse
import itertools
import json
import subprocess
import sys

GRID = [
    {'size': size, 'workers': workers, 'sas': sas, 'policies': policies}
    for size, workers, sas, policies in itertools.product(
        (64, 1420), (1, 2), (1, 1000, 100000), (1, 10000, 100000))
]
# Every packet a new flow: the price of an SPD lookup.
NEW_FLOWS = [{'size': 64, 'workers': 1, 'sas': 1, 'policies': p, 'new_flows': True}
             for p in (1, 10000, 100000)]


def run(bumpwire, millis, point):
    command = [bumpwire, 'bench', '--json', '--time', str(millis)]
    for key, value in point.items():
        option = '--' + key.replace('_', '-')
        command += [option] if value is True else [option, str(value)]
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if p.returncode != 0:
        print(f'bench: {" ".join(command)}: {p.stderr.strip()}', file=sys.stderr)
        return None
    return json.loads(p.stdout)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--bumpwire', required=True)
    p.add_argument('--millis', type=int, default=500, help='of each of the four measurements of a point')
    args = p.parse_args()
    points = GRID + NEW_FLOWS
    failed = 0
    for n, point in enumerate(points, 1):
        print(f'bench: pipeline {n} of {len(points)}: '
              + ' '.join(f'{k}={v}' for k, v in point.items()), file=sys.stderr)
        result = run(args.bumpwire, args.millis, point)
        if result is None:
            failed = 1
        else:
            # it takes at least one SA for each worker; the point stays what was asked for
            print(json.dumps({**result, **point}), flush=True)
    return failed


if __name__ == '__main__':
    sys.exit(main())
