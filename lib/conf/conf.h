/* The configuration: Postfix main.cf syntax (postconf(5)), one list of parameters (params.def), an
 * immutable snapshot. Pure: the caller reads the files. */

#ifndef HOPSEAL_CONF_CONF_H
#define HOPSEAL_CONF_CONF_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

/* Generated from params.def: CONF_smtp_tls_per_site and so on, in the order of the list. */
enum conf_id {
#define PARAM(name, ...) CONF_##name,
#include "conf/params.def"
#undef PARAM
	CONF_COUNT
};

enum conf_severity {
	CONF_NOTE,    /* accepted, not honoured, harmless */
	CONF_WARNING, /* accepted, but it does not do what it looks like */
	CONF_ERROR,   /* nothing may be done under this configuration */
};

struct conf_finding {
	enum conf_severity severity;
	struct str code; /* stable, such as "unknown-parameter", "not-honoured", "bad-value" */
	struct str param;
	struct str file; /* "" for the command line */
	unsigned line;
	struct str text;   /* what it does today */
	struct str remedy; /* what to do, may be "" */
};

struct conf_findings {
	const struct conf_finding *v;
	size_t n;
};

/* One input: the text of main.cf, or one -o name=value (file "" and line 0). Later ones win. */
struct conf_source {
	struct str file;
	struct str text;
};

/* Facts of the machine and the program that defaults need. Borrowed. */
struct conf_machine {
	struct str hostname;         /* as gethostname(2) says; for myhostname */
	struct str config_directory; /* where main.cf was read */
};

struct conf; /* immutable; any number of threads may read */

/* Parses, expands and checks everything. Findings are complete even on failure (one wrong
 * line does not hide the next). NULL when any finding is CONF_ERROR. The snapshot owns its
 * memory: conf_unref. */
MUST_USE struct conf *conf_new(const struct conf_source *sources, size_t n,
			       const struct conf_machine *machine, struct arena *findings_arena,
			       struct conf_findings *findings);
/* The same sources and machine with others behind them, whose values win: a listener's own
 * settings. */
MUST_USE struct conf *conf_with(const struct conf *c, const struct conf_source *more, size_t n_more,
				struct arena *findings_arena, struct conf_findings *findings);
struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c);

/* Values, expanded and checked: borrowed from the snapshot. CHECKs that the type fits. */
struct str conf_str(const struct conf *c, enum conf_id id);
bool conf_bool(const struct conf *c, enum conf_id id);
int64_t conf_int(const struct conf *c, enum conf_id id);
uint64_t conf_time_s(const struct conf *c, enum conf_id id); /* whole seconds, as in Postfix */
struct str conf_text(const struct conf *c, enum conf_id id); /* of any type, as expanded */

/* Where the value in force was set: false when it is the default. */
bool conf_is_set(const struct conf *c, enum conf_id id);
struct str conf_file(const struct conf *c, enum conf_id id);
unsigned conf_line(const struct conf *c, enum conf_id id);

struct str conf_name(enum conf_id id);

/* The snapshot as an LMTP client reads it: asked for smtp_X it answers for lmtp_X where that is a
 * parameter of its own. Lives as long as the snapshot. */
const struct conf *conf_lmtp(const struct conf *c);
/* The name of what is read here: "lmtp_tls_per_site" for CONF_smtp_tls_per_site. */
struct str conf_name_in(const struct conf *c, enum conf_id id);

/* Expands $name forms in any text under this configuration (the same rules as main.cf values). */
MUST_USE bool conf_expand(const struct conf *c, struct arena *a, struct str text, struct str *out,
			  struct error *e);

/* Names the effective values in records: equal configurations give equal text (16 hex
 * digits of FNV-1a; a label, not a proof). */
struct str conf_fingerprint(const struct conf *c);

#endif
