/* The passwords of clients, where AUTH is offered: by the tables that a session would ask. */

#include "cmd/check_inside.h"

#include "listen/listen.h"
#include "os/os.h"
#include "sasl/sasl.h"

struct passwords {
	const struct check_to *to;
	const struct conf *conf;
	unsigned bad_lines; /* told */
	bool is_broken;     /* a table of the list, and it is told */
};

enum { BAD_LINES_MAX = 20 };

static void table_found(void *arg, const struct table_finding *t)
{
	struct passwords *p = arg;
	struct conf_finding f = check_table_finding(p->to->arena, t);

	p->is_broken |= t->is_error;
	p->to->found(p->to->arg, &f);
}

static struct conf_finding
finding(const struct passwords *p, enum conf_severity severity, struct str code)
{
	return check_param_finding(p->conf, CONF_hopseal_sasl_password_maps, severity, code);
}

static void check_entry(void *arg, const struct table_entry *e)
{
	struct passwords *p = arg;
	struct conf_finding f = finding(p, CONF_WARNING, STR("sasl-password"));

	if (e->value.n == 0 || sasl_is_entry(e->value) || p->bad_lines++ >= BAD_LINES_MAX)
		return; /* an empty value is a finding of the table's */
	f.file = arena_str(p->to->arena, e->file);
	f.line = e->line;
	f.text = arena_fmt(p->to->arena,
			   "\"" STR_FMT "\": this is no password in any of the forms, and the "
			   "client cannot log in",
			   STR_ARG(str_first(e->key, 100)));
	f.remedy = STR("write the password as it is, as {PLAIN}password, or as the keys of SCRAM; "
		       "a password that begins with a brace needs {PLAIN}");
	p->to->found(p->to->arg, &f);
}

/* A server is not asked here. */
static bool asks_servers(struct str list)
{
	static const struct str types[] = { STR_INIT("socketmap:"), STR_INIT("tcp:"),
					    STR_INIT("memcache:"), STR_INIT("pgsql:") };
	size_t at;

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_search(list, types[i], &at))
			return true;
	return false;
}

/* With a name that nobody has. */
static void check_lookup(struct passwords *p, struct str list, struct table_set *set)
{
	struct answer answer = { .status = ANSWER_FAILED };
	struct table_query q = { .arena = p->to->arena,
				 .key = STR("nobody@check.invalid"),
				 .now_ms = os_now_ms() };
	struct conf_finding f = finding(p, CONF_ERROR, STR("sasl-lookup"));

	if (p->is_broken || asks_servers(list))
		return;
	CHECK(!table_set_lookup(set, &q, &answer));
	if (answer.status != ANSWER_FAILED)
		return;
	f.text = arena_fmt(p->to->arena, "hopseal_sasl_password_maps: " STR_FMT,
			   STR_ARG(answer.failure));
	f.remedy = STR("until lookups work every client hears that authentication does not (454)");
	p->to->found(p->to->arg, &f);
}

void check_passwords(const struct check_to *to, const struct conf *conf, struct str list)
{
	struct passwords p = { .to = to, .conf = conf };
	struct table_options o = { .is_utf8 = conf_bool(conf, CONF_smtputf8_enable),
				   .found = table_found,
				   .arg = &p,
				   .conf = conf };
	struct table_set *set =
		table_set_new(conf_name(CONF_hopseal_sasl_password_maps), list, &o, os_now_ms());

	table_set_each(set, check_entry, &p);
	check_lookup(&p, list, set);
	table_set_free(set);
}
