/* `bumpwire run`. */
#ifndef CONTROL_DAEMON_H
#define CONTROL_DAEMON_H

#define DAEMON_CONF BW_SYSCONFDIR "/bumpwire/bumpwire.conf"

/* Runs until told to stop. run_dir NULL: as the file says, else the built-in default. Returns the
 * exit status: 0 or 1. */
int daemon_run(const char *conf_path, const char *run_dir);

#endif
