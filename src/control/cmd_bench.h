/* `bumpwire bench`: the packet pipeline against the raw speed of its own ciphers. */
#ifndef CONTROL_CMD_BENCH_H
#define CONTROL_CMD_BENCH_H

/* argv[0] is "bench". Returns the exit status: 0 done, 1 failed, 2 wrong usage. */
int cmd_bench(int argc, char **argv);

#endif
