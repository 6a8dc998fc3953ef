#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/limits.h"
#include "os/os.h"

/* What peers say, what their certificates hold and what stands in tables is shown to people, and
 * must not drive their terminal: "?" stands for what it would obey. */
static bool put_shown(FILE *f, struct str text)
{
	while (text.n > 0) {
		size_t n = str_shown_len(text);
		if (fwrite(text.p, 1, n, f) != n)
			return false;
		text = str_from(text, n);
		if (text.n == 0)
			break;
		bool is_layout = text.p[0] == '\n' || text.p[0] == '\t';
		if (fputc(is_layout ? text.p[0] : '?', f) == EOF)
			return false;
		n = str_utf8_len(text);
		text = str_from(text, n > 0 ? n : 1);
	}
	return true;
}

static void PRINTF_LIKE(1, 0) say(const char *fmt, va_list ap)
{
	struct arena *a = arena_new();
	struct str text = arena_vfmt(a, fmt, ap);

	flockfile(stderr);
	(void)fputs("hopseal: ", stderr);
	(void)put_shown(stderr, text);
	(void)fputc('\n', stderr);
	funlockfile(stderr);
	arena_free(a);
}

void cmd_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

int cmd_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	cmd_say("try \"hopseal %s --help\"", command);
	return EX_USAGE;
}

bool cmd_is_bad_option(int c)
{
	return c == '?' || c == ':';
}

bool cmd_option_error(int c, char *const *argv, struct error *e)
{
	bool is_letter = optopt > 0 && optopt < 256; /* in "-xv", argv does not tell which */
	const char letter[] = { '-', (char)optopt, '\0' };
	const char *name = is_letter ? letter : argv[optind - 1];

	return error_set(e, ERROR_USAGE, c == ':' ? "option %s needs a value" : "no option %s",
			 name);
}

int cmd_bad_option(const char *command, int c, char *const *argv)
{
	struct error e = { 0 };

	(void)cmd_option_error(c, argv, &e);
	return cmd_usage(command, "%s", e.text);
}

int cmd_exit_code(enum error_kind kind)
{
	switch (kind) {
	case ERROR_NONE:
		return EX_OK;
	case ERROR_USAGE:
		return EX_USAGE;
	case ERROR_DATA:
	case ERROR_LIMIT:
		return EX_DATAERR;
	case ERROR_NO_INPUT:
		return EX_NOINPUT;
	case ERROR_NOT_HERE:
		return EX_UNAVAILABLE;
	case ERROR_SYSTEM:
		return EX_OSERR;
	case ERROR_IO:
		return EX_IOERR;
	case ERROR_TEMP:
		return EX_TEMPFAIL;
	case ERROR_CONFIG:
		return EX_CONFIG;
	}
	CHECK(!"an error of no kind");
}

int cmd_fail(const struct error *e)
{
	cmd_say("%s", e->text);
	return cmd_exit_code(e->kind);
}

static bool printed(bool is_put)
{
	if (is_put && fflush(stdout) == 0)
		return true;
	cmd_say("writing to standard output: %s", strerror(errno));
	return false;
}

bool cmd_print(struct str text)
{
	return printed(put_shown(stdout, text));
}

bool cmd_print_page(struct str text)
{
	return printed(fwrite(text.p, 1, text.n, stdout) == text.n);
}

static void add_override(struct cmd_sources *s, const char *name_value)
{
	s->overrides = base_realloc(s->overrides, (s->n_overrides + 1) * sizeof(*s->overrides));
	s->overrides[s->n_overrides++] = name_value;
}

bool cmd_sources_option(struct cmd_sources *s, int c, const char *arg)
{
	if (c == 'c')
		s->config_dir = arg;
	else if (c == 'o')
		add_override(s, arg);
	return c == 'c' || c == 'o';
}

void cmd_sources_fini(struct cmd_sources *s)
{
	free(s->overrides);
}

const char *cmd_config_dir(const struct cmd_sources *s)
{
	if (s->config_dir)
		return s->config_dir;
	const char *env = getenv("MAIL_CONFIG");
	return env && *env ? env : "/etc/hopseal";
}

/* main.cf whole, in the arena. */
static bool read_main_cf(struct arena *a, struct str path, struct str *text, struct error *e)
{
	struct buf b;

	buf_init(&b, CONF_FILE_MAX);
	bool is_read = os_file_read(path.p, &b, NULL, e);
	if (is_read)
		*text = arena_str(a, buf_str(&b));
	else
		(void)error_prefix(e, "%s", path.p);
	buf_fini(&b);
	return is_read;
}

struct conf *cmd_configure_text(const struct cmd_sources *s, struct str text, struct arena *a,
				struct conf_findings *findings, struct error *e)
{
	struct conf_source *sources = ARENA_ARRAY(a, s->n_overrides + 1, struct conf_source);
	struct str path = arena_fmt(a, "%s/main.cf", cmd_config_dir(s));
	char hostname[DOMAIN_NAME_MAX + 1] = "";

	sources[0] = (struct conf_source){ .file = path, .text = text };
	for (size_t i = 0; i < s->n_overrides; i++)
		sources[i + 1].text = str_of(s->overrides[i]);
	if (gethostname(hostname, sizeof(hostname) - 1) != 0)
		hostname[0] = '\0';
	struct conf_machine machine = {
		.hostname = str_of(hostname),
		.config_directory = str_of(cmd_config_dir(s)),
	};
	struct conf *c = conf_new(sources, s->n_overrides + 1, &machine, a, findings);
	if (!c)
		(void)error_set(e, ERROR_CONFIG, "%s: nothing is done under this configuration",
				path.p);
	return c;
}

struct conf *cmd_configure_quietly(const struct cmd_sources *s, struct arena *a,
				   struct conf_findings *findings, struct error *e)
{
	struct str path = arena_fmt(a, "%s/main.cf", cmd_config_dir(s)), text;

	*findings = (struct conf_findings){ 0 };
	return read_main_cf(a, path, &text, e) ? cmd_configure_text(s, text, a, findings, e) : NULL;
}

static const char *const severity_words[] = {
	[CONF_NOTE] = "note",
	[CONF_WARNING] = "warning",
	[CONF_ERROR] = "error",
};

/* "FILE:LINE: warning: text", the form editors and CI logs know. */
static void say_finding(const struct conf_finding *f)
{
	if (f->file.n)
		cmd_say(STR_FMT ":%u: %s: " STR_FMT, STR_ARG(f->file), f->line,
			severity_words[f->severity], STR_ARG(f->text));
	else
		cmd_say("%s: " STR_FMT, severity_words[f->severity], STR_ARG(f->text));
}

struct conf *cmd_configure(const struct cmd_sources *s, enum conf_severity least, int *exit_code)
{
	struct arena *a = arena_new();
	struct conf_findings findings;
	struct error e = { 0 };
	struct conf *c = cmd_configure_quietly(s, a, &findings, &e);

	for (size_t i = 0; i < findings.n; i++)
		if (findings.v[i].severity >= least)
			say_finding(&findings.v[i]);
	if (!c)
		*exit_code = cmd_fail(&e);
	arena_free(a);
	return c;
}
