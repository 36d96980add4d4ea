/* The command line's side of the control socket. */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

/*
 * Asks the daemon with this run directory. *result is the answer's result, a new reference. 0; or 1
 * (the exit status) after a sentence, and what errors and warnings the answer has, on standard
 * error.
 */
int client_ask(const char *run_dir, json_t *request, json_t **result) warn_unused;
/* Prints events until the daemon or the user ends it: raw lines when json. Returns the exit status.
 */
int client_monitor(const char *run_dir, bool json) warn_unused;

/*
 * Gives an order ({"cmd": "up", ...}) and prints how it goes until it is carried out or has failed:
 * sentences, or raw lines when json. Returns the exit status. Whoever ends this before leaves the
 * order going on.
 */
int client_order(const char *run_dir, const json_t *request, bool json) warn_unused;

#endif
