/* `bumpwire bench`: options in, a line of progress while it measures, a table or JSON at the end. No daemon, no network, no privileges. */
#include "control/cmd_bench.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/log.h"
#include "base/secret.h"
#include "crypto/crypt.h"
#include "plane/bench.h"

static const char usage[] =
    "usage: bumpwire bench [--cipher SUITE] [--size BYTES] [--sas N] [--policies N] [--workers N]\n"
    "                      [--time MILLISECONDS] [--backend auto|openssl|ipsec-mb|sodium] [--new-flows]\n"
    "                      [--json]\n";

struct bench_cli {
	struct bench_opts o;
	const char *cipher;
	bool json;
};

static bool quiet;

static void show_progress(const char *what)
{
	if (!quiet)
		fprintf(stderr, "\r\033[K%s ...", what);
}

static bool number(const char *text, unsigned *out)
{
	char *end;

	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || v > 0x7fffffff)
		return false;
	*out = (unsigned)v;
	return true;
}

/* -1 to go on, or the exit status. */
static int choose_backend(const char *name)
{
	for (int b = CRYPT_AUTO; b < CRYPT_BACKENDS; b++) {
		if (strcmp(name, crypt_backend_name((enum crypt_backend)b)) != 0)
			continue;
		if (b != CRYPT_AUTO && !crypt_backend_present((enum crypt_backend)b)) {
			fprintf(stderr, "bumpwire bench: the crypto backend \"%s\" is not to be had here\n", name);
			return 1;
		}
		crypt_force_backend((enum crypt_backend)b);
		return -1;
	}
	fprintf(stderr, "bumpwire bench: there is no crypto backend \"%s\"\n%s", name, usage);
	return 2;
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, struct bench_cli *c)
{
	static const struct option options[] = {
		{ "cipher", required_argument, NULL, 'c' },  { "size", required_argument, NULL, 's' },
		{ "sas", required_argument, NULL, 'a' },     { "policies", required_argument, NULL, 'p' },
		{ "workers", required_argument, NULL, 'w' }, { "time", required_argument, NULL, 't' },
		{ "backend", required_argument, NULL, 'b' }, { "new-flows", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },          { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int k, status;

	optind = 1;
	while ((k = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;
		switch (k) {
		case 'c':
			c->cipher = optarg;
			break;
		case 's':
			ok = number(optarg, &c->o.size);
			break;
		case 'a':
			ok = number(optarg, &c->o.sas) && c->o.sas > 0;
			break;
		case 'p':
			ok = number(optarg, &c->o.policies);
			break;
		case 'w':
			ok = number(optarg, &c->o.workers);
			break;
		case 't':
			ok = number(optarg, &c->o.millis) && c->o.millis > 0;
			break;
		case 'b':
			status = choose_backend(optarg);
			if (status >= 0)
				return status;
			break;
		case 'n':
			c->o.new_flows = true;
			break;
		case 'j':
			c->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
		if (!ok) {
			fprintf(stderr, "bumpwire bench: \"%s\" is not a number that fits here\n%s", optarg, usage);
			return 2;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	return -1;
}

static json_t *rate_json(const struct bench_rate *r)
{
	return json_pack("{s:f, s:f}", "mpps", r->mpps, "gbps", r->gbps);
}

static void rates_json(json_t *j, const struct bench_rates *r)
{
	json_object_set_new(j, "seal", rate_json(&r->seal));
	json_object_set_new(j, "open", rate_json(&r->open));
	json_object_set_new(j, "out", rate_json(&r->out));
	json_object_set_new(j, "out_in", rate_json(&r->out_in));
}

static void print_json(const struct bench_cli *c, const struct bench_result *r)
{
	char name[48];
	json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:f, s:I, s:f, s:f}", "cipher",
			      esp_suite_name(&c->o.suite, name), "backend", r->backend, "size", (int)c->o.size, "sas",
			      (int)c->o.sas, "policies", (int)c->o.policies, "workers", (int)c->o.workers, "new_flows",
			      c->o.new_flows, "spd_load_seconds", r->spd_load_s, "spd_bytes", (json_int_t)r->spd_bytes,
			      "sa_bytes", r->sa_bytes, "key_bytes", r->key_bytes);
	rates_json(j, &r->all);
	json_t *one = json_object();
	rates_json(one, &r->one);
	json_object_set_new(j, "one_worker", one);
	json_dumpf(j, stdout, JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(j);
}

static void print_row(const char *what, const struct bench_rate *r, const char *note)
{
	printf("%-28s %9.2f %9.2f   %s\n", what, r->mpps, r->gbps, note);
}

/* of: what the cipher alone would do. With several workers also how much more they do than one. */
static void print_rates(const char *what, const struct bench_rate *all, const struct bench_rate *one, double of, unsigned workers)
{
	char note[96] = "";
	int n = 0;

	if (of > 0)
		n = snprintf(note, sizeof(note), "%.0f %% of the cipher alone", 100 * all->mpps / of);
	if (workers > 1)
		snprintf(note + n, sizeof(note) - (size_t)n, "%s%.2f times one worker's %.2f Mpps", n ? ", " : "",
			 all->mpps / one->mpps, one->mpps);
	print_row(what, all, note);
}

static void print_table(const struct bench_cli *c, const struct bench_result *r)
{
	const struct bench_rates *all = &r->all, *one = &r->one;
	unsigned n = c->o.workers;
	char name[48];

	printf("%s by %s, packets of %u bytes, %u SAs, %u other policies, %u worker%s%s\n\n",
	       esp_suite_name(&c->o.suite, name), r->backend, c->o.size, c->o.sas, c->o.policies, n, n == 1 ? "" : "s",
	       c->o.new_flows ? ", every packet a new flow" : "");
	printf("%-28s %9s %9s\n", "", "Mpps", "Gbit/s");
	print_rates("cipher alone: encrypt", &all->seal, &one->seal, 0, n);
	print_rates("cipher alone: decrypt", &all->open, &one->open, 0, n);
	print_rates("pipeline: out", &all->out, &one->out, all->seal.mpps, n);
	print_rates("pipeline: out and in", &all->out_in, &one->out_in, 1 / (1 / all->seal.mpps + 1 / all->open.mpps), n);
	printf("\n%.1f ms to compile the policies (%.1f KiB); an SA takes %.0f bytes and %.0f of key tables\n",
	       r->spd_load_s * 1e3, (double)r->spd_bytes / 1024, r->sa_bytes, r->key_bytes);
}

int cmd_bench(int argc, char **argv)
{
	struct bench_cli c = { .o = { .size = 1420, .sas = 1, .workers = 1, .millis = 1000 }, .cipher = "aes128gcm16" };
	struct bench_result r;
	char why[256];

	log_set_level_all(LOG_LVL_WARN);
	if (secret_init() < 0 || crypt_init() < 0) {
		fprintf(stderr, "bumpwire bench: the crypto libraries do not start\n");
		return 1;
	}
	int rc = parse(argc, argv, &c);
	if (rc >= 0)
		return rc;
	if (esp_suite_parse(c.cipher, NULL, &c.o.suite, why, sizeof(why)) < 0) {
		fprintf(stderr, "bumpwire bench: %s\n", why);
		return 2;
	}
	if (c.o.sas < c.o.workers)
		c.o.sas = c.o.workers;
	quiet = c.json || !isatty(STDERR_FILENO);
	urcu_qsbr_register_thread();
	urcu_qsbr_thread_offline();
	rc = bench_run(&c.o, &r, show_progress, why, sizeof(why));
	urcu_qsbr_unregister_thread();
	if (!quiet)
		fputs("\r\033[K", stderr);
	if (rc < 0) {
		fprintf(stderr, "bumpwire bench: %s\n", why);
		return rc == -EINVAL ? 2 : 1;
	}
	if (c.json)
		print_json(&c, &r);
	else
		print_table(&c, &r);
	return 0;
}
