#include "cmd/table_options.h"

#include <unistd.h>

static bool has_main_cf(const struct cmd_sources *s)
{
	struct arena *a = arena_new();
	struct str path = arena_fmt(a, "%s/main.cf", cmd_config_dir(s));
	bool is_there = access(path.p, F_OK) == 0;

	arena_free(a);
	return is_there;
}

bool cmd_table_conf(const struct cmd_sources *s, struct conf **conf, int *exit_code)
{
	*conf = NULL;
	if (s->config_dir == NULL && s->n_overrides == 0 && !has_main_cf(s))
		return true;
	*conf = cmd_configure(s, CONF_ERROR, exit_code);
	return *conf != NULL;
}

bool cmd_table_is_utf8(const struct conf *conf)
{
	return conf == NULL || conf_bool(conf, CONF_smtputf8_enable);
}

void cmd_table_say(void *arg, const struct table_finding *f)
{
	const char *severity = f->is_error ? "error" : "warning";

	(void)arg;
	if (f->is_news)
		return;
	if (f->file.n > 0 && f->line > 0)
		cmd_say(STR_FMT ":%u: %s: " STR_FMT, STR_ARG(f->file), f->line, severity,
			STR_ARG(f->text));
	else
		cmd_say(STR_FMT ": %s: " STR_FMT, STR_ARG(f->file.n > 0 ? f->file : f->source),
			severity, STR_ARG(f->text));
}
