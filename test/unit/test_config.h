/*
 * What the parts of the test program of configurations share: a folder of its own for each test, and
 * the loading of files there.
 *
 *	test_config.c		examples, values, selectors; the runner
 *	test_config_file.c	key files, included files
 *	test_config_page.c	the man pages
 */
#ifndef TEST_CONFIG_H
#define TEST_CONFIG_H

#include <check.h>
#include <string.h>

#include "config/config.h"

/* A case whose tests have a folder. */
TCase *conf_case(const char *name);
/* A file of the source, as a path good until the next call. */
const char *conf_source(const char *name);
/* A file in the folder, as a path good for four calls. */
const char *conf_path(const char *name);
/* Writes a file in the folder, anew. */
void conf_put(const char *name, const char *text, size_t len, mode_t mode);
/* config_load(); what is said is in conf_said. */
int conf_load(const char *path, struct config **c);
extern char conf_said[4096];
/* Loads a text, as c.conf in the folder, that is right. */
struct config *conf_text(const char *text);

/* the other files */
TCase *conf_file_case(void);
TCase *conf_page_case(void);

#endif
