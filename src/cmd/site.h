/* Everything that one configuration needs to route, decide and deliver, opened in order. */

#ifndef HOPSEAL_CMD_SITE_H
#define HOPSEAL_CMD_SITE_H

#include "deliver/deliver.h"
#include "table/table.h"

struct cmd_site {
	struct deliver_site deliver; /* .tls and .sasl are NULL until cmd_site_open_tls */
	struct arena *arena;
	struct conf *conf;
	struct tables *tables;
	struct dns *dns;
	bool is_offline, has_loop; /* has_loop: of its own */
};

struct cmd_site_options {
	struct conf *conf;         /* taken: the site unrefs it, on failure too */
	struct net_loop *loop;     /* borrowed; NULL: the site has one of its own */
	bool is_offline;           /* answers come from `facts` alone */
	struct fact_set facts;     /* borrowed */
	const struct address *own; /* offline: this machine's addresses, none by default */
	size_t n_own;
	void (*found)(void *arg, const struct table_finding *f); /* of tables; may be NULL */
	void *arg;
};

/* False with *e; nothing is left open then. */
MUST_USE bool cmd_site_open(struct cmd_site *s, const struct cmd_site_options *o, struct error *e);
/* What sessions with servers need. */
MUST_USE bool cmd_site_open_tls(struct cmd_site *s, struct error *e);
void cmd_site_close(struct cmd_site *s);

/* Opens the tables that the configuration names; `is_utf8` and `conf` of the options are the
 * configuration's. */
MUST_USE struct tables *
cmd_tables_open(const struct conf *conf, const struct table_options *options);

/* "FILE:LINE: warning: what it does" */
struct str cmd_table_finding_text(struct arena *a, const struct table_finding *f);
/* table_options.found: one line on standard error for what is wrong. */
void cmd_say_table_finding(void *arg, const struct table_finding *f);

#endif
