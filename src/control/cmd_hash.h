/* `bumpwire hash`: a password on standard input becomes the hash that a user section has. */
#ifndef CONTROL_CMD_HASH_H
#define CONTROL_CMD_HASH_H

/* Asks twice, without echo, where standard input is a terminal; else reads one line. Prints the hash.
 * Returns the exit status: 0 done, 1 failed with a sentence on standard error. secret_init() was
 * called. */
int cmd_hash(void);

#endif
