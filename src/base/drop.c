/* The table of drop reasons. */
#include "base/drop.h"

static const struct drop_info table[DROP_REASONS] = {
	[DROP_NONE] = { "NONE", "none", DROP_DIR_ANY, DROP_SEV_INFO, "not dropped" },
#define X(name, metric, dir, sev, why)                                                             \
	[DROP_##name] = { #name, metric, DROP_DIR_##dir, DROP_SEV_##sev, why },
#include "base/drop.def"
#undef X
};

const struct drop_info *drop_info(enum drop d)
{
	return &table[(unsigned)d < DROP_REASONS ? d : DROP_NONE];
}
