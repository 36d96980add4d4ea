/*
 * Any text as bumpwire.conf: whatever it says, a configuration or a message comes back, and memory is as
 * before. The text goes through a file in memory, as config_load() reads files. Texts that name
 * other files are left out: what they find would not be the fuzzer's.
 */
#define _GNU_SOURCE 1 /* memmem, memfd_create */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = { "include", "file:", "certs", "pubkeys", "crls" };
	static FILE *null;
	char path[64];
	struct config *c;

	if (!null) {
		null = fopen("/dev/null", "w");
		if (!null || secret_init())
			abort();
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (memmem(data, size, files[i], strlen(files[i])))
			return 0;
	int fd = memfd_create("config", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int rc = config_load(path, null, &c);
	if ((rc == 0) != (c != NULL))
		abort();
	config_free(&c);
	close(fd);
	return 0;
}
