/*
 * The command line: options in, one row of the table of commands, exit status out. What a command
 * does is in control/; this file only knows how it is asked for.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "config.h"
#include "config/config.h"
#include "control/antispoof.h"
#include "control/client.h"
#include "control/cmd_bench.h"
#include "control/cmd_hash.h"
#include "control/daemon.h"
#include "control/format.h"
#include "control/keys.h"
#include "control/version.h"
#include "control/wiped.h"
#include "crypto/crypt.h"

enum { STATUS_DONE, STATUS_FAILED, STATUS_USAGE };

/* Which options a command takes. */
#define TAKES_CONFIG    1u
#define TAKES_RUN_DIR   2u
#define TAKES_JSON      4u
#define TAKES_WIRESHARK 8u
#define TAKES_REAUTH    16u

struct cli {
	const char *conf;    /* -c; NULL: default */
	const char *run_dir; /* --run-dir; NULL: default */
	const char *wireshark;
	bool json, reauth;
	char **arg; /* what follows the options */
	int n_arg;
	char *run_dir_owned;
};

struct command {
	const char *name, *args, *help;
	unsigned takes;
	int min_args, max_args;
	int (*run)(struct cli *c);
};

/* ---- what commands share ----------------------------------------------------------------------
 */

static int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int complain(const char *fmt, ...)
{
	va_list ap;

	fputs("bumpwire: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return STATUS_FAILED;
}

static const char *conf_of(const struct cli *c)
{
	return c->conf ? c->conf : DAEMON_CONF;
}

static int load(const char *path, struct config **cfg)
{
	if (secret_init() || crypt_init())
		return complain("the crypto libraries do not start");
	return config_load(path, stderr, cfg) ? STATUS_FAILED : STATUS_DONE;
}

/* The run directory of the daemon that is meant: as given, else as the file given with -c says,
 * else the default. */
static int find_run_dir(struct cli *c)
{
	struct config *cfg = NULL;

	if (!c->run_dir && c->conf) {
		if (load(c->conf, &cfg))
			return STATUS_FAILED;
		if (cfg->run_dir)
			c->run_dir = c->run_dir_owned = strdup(cfg->run_dir);
		config_free(&cfg);
	}
	if (!c->run_dir)
		c->run_dir = BW_RUNDIR;
	return STATUS_DONE;
}

/* Sends the request (stolen) and prints the result, by format unless --json. */
static int ask(struct cli *c, json_t *request, void (*format)(const json_t *v, FILE *to))
{
	json_t *result = NULL;
	int status = find_run_dir(c);

	if (status == STATUS_DONE)
		status =
		    request ? client_ask(c->run_dir, request, &result) : complain("out of memory");
	json_decref(request);
	if (status == STATUS_DONE && c->json) {
		json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	} else if (status == STATUS_DONE && format) {
		format(result, stdout);
	}
	json_decref(result);
	return status;
}

/* ---- commands ---------------------------------------------------------------------------------
 */

static int cmd_run(struct cli *c)
{
	return daemon_run(conf_of(c), c->run_dir);
}

static int cmd_check(struct cli *c)
{
	struct config *cfg = NULL;
	int status = load(conf_of(c), &cfg);
	char hint[512];

	/* Not of the file alone, but of this machine with it. */
	if (status == STATUS_DONE && antispoof_hint(cfg, ANTISPOOF_SYSCTL, hint, sizeof(hint)))
		fprintf(stderr, "%s: hint: %s\n", conf_of(c), hint);
	config_free(&cfg);
	return status;
}

static int cmd_status(struct cli *c)
{
	return ask(c, json_pack("{s:s}", "cmd", "status"), format_status);
}

static int cmd_list(struct cli *c)
{
	static const struct {
		const char *what;
		void (*format)(const json_t *v, FILE *to);
	} row[] = { { "sas", format_sas },
		    { "policies", format_policies },
		    { "conns", format_conns },
		    { "certs", format_certs },
		    { "leases", format_leases },
		    { "drops", format_drops } };

	for (unsigned i = 0; i < ARRAY_LEN(row); i++)
		if (strcmp(c->arg[0], row[i].what) == 0)
			return ask(c, json_pack("{s:s, s:s}", "cmd", "list", "what", row[i].what),
				   row[i].format);
	complain("list: \"%s\" is not sas, policies, conns, certs, leases or drops", c->arg[0]);
	return STATUS_USAGE;
}

static int cmd_monitor(struct cli *c)
{
	int status = find_run_dir(c);
	return status ? status : client_monitor(c->run_dir, c->json);
}

/* Gives an order about a connection and shows how it goes. */
static int order(struct cli *c, json_t *request)
{
	int status = find_run_dir(c);

	if (status == STATUS_DONE)
		status = request ? client_order(c->run_dir, request, c->json)
				 : complain("out of memory");
	json_decref(request);
	return status;
}

static int cmd_up(struct cli *c)
{
	return order(c, json_pack("{s:s, s:s}", "cmd", "up", "name", c->arg[0]));
}

static int cmd_down(struct cli *c)
{
	return order(c, json_pack("{s:s, s:s}", "cmd", "down", "name", c->arg[0]));
}

static int cmd_rekey(struct cli *c)
{
	return order(c, json_pack("{s:s, s:s, s:b}", "cmd", "rekey", "name", c->arg[0], "reauth",
				  (int)c->reauth));
}

static int cmd_reload(struct cli *c)
{
	return ask(c, json_pack("{s:s}", "cmd", "reload"), NULL);
}

static int cmd_log(struct cli *c)
{
	if (log_level_parse(c->arg[0]) < 0) {
		complain("log: \"%s\" is not error, warn, notice, info or debug", c->arg[0]);
		return STATUS_USAGE;
	}
	if (c->n_arg > 1 && log_subsys_parse(c->arg[1]) < 0) {
		complain("log: \"%s\" is not main, config, net, spd, sad, plane, control or ike",
			 c->arg[1]);
		return STATUS_USAGE;
	}
	return ask(c,
		   json_pack("{s:s, s:s, s:s*}", "cmd", "log", "level", c->arg[0], "subsystem",
			     c->n_arg > 1 ? c->arg[1] : NULL),
		   NULL);
}

static int cmd_version(struct cli *c)
{
	if (secret_init() || crypt_init())
		return complain("the crypto libraries do not start");
	json_t *v = version_json();
	if (!v)
		return complain("out of memory");
	if (c->json) {
		json_dumpf(v, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		version_format(v, stdout);
	}
	json_decref(v);
	return STATUS_DONE;
}

/* running: what the running process has to add, or NULL. */
static int write_keys(const char *conf, const json_t *running, const char *dir)
{
	struct config *cfg = NULL;
	unsigned skipped;
	char why[512];

	if (load(conf, &cfg))
		return STATUS_FAILED;
	int n = keys_wireshark(cfg, json_object_get(running, "esp"), dir, &skipped, why,
			       sizeof(why));
	config_free(&cfg);
	if (n < 0)
		return complain("%s", why);
	printf("%d SAs written to %s/esp_sa\n", n, dir);
	if (skipped)
		fprintf(stderr, "bumpwire: %u SAs left out: Wireshark does not know their cipher\n",
			skipped);
	if (!running)
		return STATUS_DONE;
	for (unsigned version = 2; version; version--) {
		const char *key = version == 1 ? "ikev1" : "ikev2";
		n = keys_ike_table(version, json_object_get(running, key), dir, why, sizeof(why));
		if (n < 0)
			return complain("%s", why);
		printf("%d IKE SAs written to %s/%s_decryption_table\n", n, dir, key);
	}
	return STATUS_DONE;
}

/* The daemon has wiped its copies of manual keys and says only which file it runs with; whoever may
 * read that file may export them. Keys that were negotiated only the daemon has. */
static int cmd_keys(struct cli *c)
{
	json_t *result = NULL, *request;
	int status;

	if (!c->wireshark) {
		complain("keys: --wireshark DIR is missing");
		return STATUS_USAGE;
	}
	if (c->conf)
		return write_keys(c->conf, NULL, c->wireshark);
	status = find_run_dir(c);
	if (status)
		return status;
	request = json_pack("{s:s}", "cmd", "keys");
	status = request ? client_ask(c->run_dir, request, &result) : complain("out of memory");
	json_decref(request);
	if (status == STATUS_DONE) {
		const char *conf = json_string_value(json_object_get(result, "config"));
		status = conf ? write_keys(conf, result, c->wireshark)
			      : complain("the daemon does not say which file it runs with");
	}
	json_decref(result);
	return status;
}

static int cmd_hash_line(struct cli *c)
{
	return secret_init() ? complain("the crypto libraries do not start") : cmd_hash();
}

static const struct command commands[] = {
	{ "run", "[-c FILE] [--run-dir DIR]", "start, in the foreground",
	  TAKES_CONFIG | TAKES_RUN_DIR, 0, 0, cmd_run },
	{ "check", "[-c FILE]", "read and check the configuration; silent when it is good",
	  TAKES_CONFIG, 0, 0, cmd_check },
	{ "status", "[--json]", "what is up, since when, how much traffic, the last error",
	  TAKES_CONFIG | TAKES_RUN_DIR | TAKES_JSON, 0, 0, cmd_status },
	{ "list", "sas|conns|certs|leases|policies|drops [--json]",
	  "the databases, and every reason for drops with its count",
	  TAKES_CONFIG | TAKES_RUN_DIR | TAKES_JSON, 1, 1, cmd_list },
	{ "up", "NAME [--json]", "bring a connection up, or one child: CONNECTION/CHILD",
	  TAKES_CONFIG | TAKES_RUN_DIR | TAKES_JSON, 1, 1, cmd_up },
	{ "down", "NAME [--json]", "take it down", TAKES_CONFIG | TAKES_RUN_DIR | TAKES_JSON, 1, 1,
	  cmd_down },
	{ "rekey", "[--reauth] NAME [--json]", "new keys for it, now",
	  TAKES_CONFIG | TAKES_RUN_DIR | TAKES_JSON | TAKES_REAUTH, 1, 1, cmd_rekey },
	{ "monitor", "[--json]", "events as they happen", TAKES_CONFIG | TAKES_RUN_DIR | TAKES_JSON,
	  0, 0, cmd_monitor },
	{ "reload", "", "read the file again; what did not change keeps running",
	  TAKES_CONFIG | TAKES_RUN_DIR, 0, 0, cmd_reload },
	{ "log", "LEVEL [SUBSYSTEM]", "change verbosity while running",
	  TAKES_CONFIG | TAKES_RUN_DIR, 1, 2, cmd_log },
	{ "keys", "--wireshark DIR", "write decryption tables for ESP and IKE (needs export_keys = yes)",
	  TAKES_CONFIG | TAKES_RUN_DIR | TAKES_WIRESHARK, 0, 0, cmd_keys },
	{ "hash", "", "a password becomes the hash of a user section", 0, 0, 0, cmd_hash_line },
	{ "bench", "[--help]", "the packet pipeline against the raw speed of its own ciphers", 0, 0,
	  0, NULL },
	{ "version", "[--json]", "versions, crypto backends, which does which cipher", TAKES_JSON,
	  0, 0, cmd_version },
};

/* ---- parsing ----------------------------------------------------------------------------------
 */

static void usage(FILE *to)
{
	fputs("usage: bumpwire COMMAND [OPTIONS] [ARGUMENTS]\n\n", to);
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(to, "  %-7s %-41s %s\n", commands[i].name, commands[i].args,
			commands[i].help);
	fputs("\n  -c FILE        configuration [" DAEMON_CONF "]\n"
	      "  --run-dir DIR  where the control socket is [" BW_RUNDIR "]\n"
	      "  --json         for programs to read\n"
	      "  --help         this\n\n"
	      "exit status: 0 done, 1 failed (the reason on standard error), 2 wrong usage; see "
	      "bumpwire(8)\n",
	      to);
}

static int wrong_usage(const struct command *cmd)
{
	if (cmd)
		fprintf(stderr, "usage: bumpwire %s %s\n", cmd->name, cmd->args);
	else
		usage(stderr);
	return STATUS_USAGE;
}

static const struct command *find_command(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

enum { OPT_RUN_DIR = 256, OPT_JSON, OPT_WIRESHARK, OPT_REAUTH, OPT_VERSION };

/* Options before the command (stop at the first word) or after it (anywhere). -1 to go on, else the
 * exit status. */
static int parse(struct cli *c, int argc, char **argv, bool before, unsigned *seen)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "wireshark", required_argument, NULL, OPT_WIRESHARK },
		{ "reauth", no_argument, NULL, OPT_REAUTH },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	optind = 0;
	while ((o = getopt_long(argc, argv, before ? "+c:h" : "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			c->conf = optarg;
			*seen |= TAKES_CONFIG;
			break;
		case OPT_RUN_DIR:
			c->run_dir = optarg;
			*seen |= TAKES_RUN_DIR;
			break;
		case OPT_JSON:
			c->json = true;
			*seen |= TAKES_JSON;
			break;
		case OPT_WIRESHARK:
			c->wireshark = optarg;
			*seen |= TAKES_WIRESHARK;
			break;
		case OPT_REAUTH:
			c->reauth = true;
			*seen |= TAKES_REAUTH;
			break;
		case OPT_VERSION:
			puts("bumpwire " PACKAGE_VERSION);
			return STATUS_DONE;
		case 'h':
			usage(stdout);
			return STATUS_DONE;
		default:
			return STATUS_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct cli c = { .json = false };
	unsigned seen = 0;

	wiped_json();
	int rc = parse(&c, argc, argv, true, &seen);
	if (rc >= 0)
		return rc == STATUS_USAGE ? wrong_usage(NULL) : rc;
	if (optind >= argc)
		return wrong_usage(NULL);
	const struct command *cmd = find_command(argv[optind]);
	if (!cmd) {
		complain("there is no command \"%s\"", argv[optind]);
		return wrong_usage(NULL);
	}
	argc -= optind;
	argv += optind;
	if (!cmd->run) { /* has options of its own */
		optind = 0;
		return seen ? wrong_usage(cmd) : cmd_bench(argc, argv);
	}
	/* getopt names the program by argv[0], which is the command here: let it say both. */
	char name[64];
	snprintf(name, sizeof(name), "bumpwire %s", cmd->name);
	argv[0] = name;
	rc = parse(&c, argc, argv, false, &seen);
	if (rc >= 0)
		return rc == STATUS_USAGE ? wrong_usage(cmd) : rc;
	c.arg = argv + optind;
	c.n_arg = argc - optind;
	if (seen & ~cmd->takes) {
		complain("%s does not take all of these options", cmd->name);
		return wrong_usage(cmd);
	}
	if (c.n_arg < cmd->min_args || c.n_arg > cmd->max_args) {
		complain("%s: %s", cmd->name,
			 c.n_arg < cmd->min_args ? "something is missing" : "too many arguments");
		return wrong_usage(cmd);
	}
	rc = cmd->run(&c);
	free(c.run_dir_owned);
	/* An answer that could not be printed is not done. */
	if (rc == STATUS_DONE && (fflush(stdout) || ferror(stdout)))
		rc = complain("cannot write to standard output");
	return rc;
}
