/* The whole block is wiped, also what malloc() gave beyond what was asked for: nobody keeps sizes. */
#include "control/wiped.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

void wiped_free(void *p)
{
	if (p)
		wipe(p, malloc_usable_size(p));
	free(p);
}

void *wiped_grow(void *p, size_t used, size_t size)
{
	void *q = malloc(size);

	if (!q)
		return NULL;
	if (used)
		memcpy(q, p, used);
	wiped_free(p);
	return q;
}

void wiped_json(void)
{
	json_set_alloc_funcs(malloc, wiped_free);
}
