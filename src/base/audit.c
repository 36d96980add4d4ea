/* The table of auditable events. */
#include "base/audit.h"

static const struct audit_info table[AUDIT_EVENTS] = {
	[AUDIT_NONE] = { "none", AUDIT_OF_ALL, DROP_SEV_INFO, 0, "", false, "nothing" },
#define X(name, text, of, sev, fields, sections, what)                                             \
	[AUDIT_##name] = { text,                                                                   \
			   AUDIT_OF_##of,                                                          \
			   DROP_SEV_##sev,                                                         \
			   fields,                                                                 \
			   &sections[sections[0] == '-'],                                          \
			   sections[0] != '-',                                                     \
			   what },
#include "base/audit.def"
#undef X
};

const struct audit_info *audit_info(enum audit id)
{
	return &table[(unsigned)id < AUDIT_EVENTS ? id : AUDIT_NONE];
}
