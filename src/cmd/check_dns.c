/* --dns: keys of smtp_tls_policy_maps that DNS knows as servers. */

#include "cmd/check_inside.h"

#include <stdlib.h>

#define CHECK_DNS_KEYS_MAX 1000 /* asked about; the first of the table */
#define CHECK_DNS_OPEN_MAX 32   /* questions at once */

struct dns_check {
	const struct check_to *to;
	const struct check_tables *tables;
	struct net_loop *loop;
	struct dns *dns;
	struct arena *arena;
	size_t next, n_asked, n_open;
	size_t n_failed;
	struct str failure; /* the first */
};

struct dns_key {
	struct dns_check *check;
	const struct policy_lint_entry *entry;
	struct question question;
	struct answer own;
	bool has_own;
	struct dns_query *query;
};

static void dns_go_on(struct dns_check *c);

static void dns_say(const struct dns_key *k, const struct answer *of_parent)
{
	const struct check_to *to = k->check->to;
	struct conf_finding f;

	if (policy_lint_mx(to->arena, k->entry, &k->own, of_parent, &f)) {
		f.file = arena_str(to->arena, f.file);
		to->found(to->arg, &f);
	}
}

static void dns_answered(void *arg, const struct answer *answer);

static void dns_ask_key(struct dns_key *k, struct str name)
{
	struct dns_check *c = k->check;

	k->question = (struct question){ .kind = QUESTION_MX, .name = name };
	k->query = dns_ask(c->dns, &k->question, dns_answered, k);
	c->n_open++;
}

static void dns_answered(void *arg, const struct answer *answer)
{
	struct dns_key *k = arg;
	struct dns_check *c = k->check;
	struct str parent;

	c->n_open--;
	if (answer->status == ANSWER_FAILED) {
		if (c->n_failed++ == 0)
			c->failure = arena_str(c->to->arena, answer->failure);
	} else if (k->has_own) {
		dns_say(k, answer);
	} else {
		k->own = answer_copy(c->arena, answer);
		k->has_own = true;
		parent = policy_lint_mx_question(k->entry, &c->tables->site, &k->own);
		if (parent.n)
			dns_ask_key(k, parent);
		else
			dns_say(k, NULL);
	}
	dns_go_on(c);
}

static void dns_go_on(struct dns_check *c)
{
	const struct check_entries *maps = &c->tables->maps;

	while (c->next < maps->n && c->n_open < CHECK_DNS_OPEN_MAX &&
	       c->n_asked < CHECK_DNS_KEYS_MAX) {
		const struct policy_lint_entry *e = &maps->v[c->next++];
		struct str name = policy_lint_mx_question(e, &c->tables->site, NULL);
		if (!name.n)
			continue;
		struct dns_key *k = ARENA_NEW(c->arena, struct dns_key);
		*k = (struct dns_key){ .check = c, .entry = e };
		c->n_asked++;
		dns_ask_key(k, name);
	}
}

static void dns_say_failed(const struct dns_check *c)
{
	struct conf_finding f = {
		.severity = CONF_WARNING,
		.code = STR("dns-failed"),
		.param = conf_name(CONF_smtp_tls_policy_maps),
		.text = arena_fmt(c->to->arena,
				  "%zu keys could not be asked about in DNS; the first: " STR_FMT,
				  c->n_failed, STR_ARG(c->failure)),
		.remedy = STR("try again"),
	};

	if (c->n_failed)
		c->to->found(c->to->arg, &f);
}

void check_dns(const struct check_to *to, struct net_loop *loop, struct dns *dns,
	       const struct check_tables *t)
{
	struct dns_check c = {
		.to = to, .tables = t, .loop = loop, .dns = dns, .arena = arena_new()
	};

	dns_go_on(&c);
	while (c.n_open > 0)
		net_loop_run(loop);
	dns_say_failed(&c);
	arena_free(c.arena);
}
