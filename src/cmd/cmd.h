/* The subcommands and what they share: options, the configuration, the ways to say that
 * something is wrong. */

#ifndef HOPSEAL_CMD_CMD_H
#define HOPSEAL_CMD_CMD_H

#include <stdio.h>

#include "base/buf.h"
#include "conf/conf.h"

int cmd_check(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_query(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_sendmail(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_sink(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_table(int argc, char **argv);
int cmd_test(int argc, char **argv);

/* "hopseal: " and one line on standard error. */
void cmd_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The same, and "hopseal COMMAND --help" as advice; gives EX_USAGE. */
MUST_USE int cmd_usage(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What getopt_long() gives with opterr = 0 and ":" before the letters: an option that is not known,
 * or lacks its value. The first says so as cmd_usage() does; the second fills *e, gives false. */
bool cmd_is_bad_option(int c);
MUST_USE int cmd_bad_option(const char *command, int c, char *const *argv);
bool cmd_option_error(int c, char *const *argv, struct error *e);
/* Says *e and gives the exit code of its kind (sysexits). */
MUST_USE int cmd_fail(const struct error *e);
int cmd_exit_code(enum error_kind kind);

/* Writes all of it to standard output, "?" for what would drive a terminal. False (and said) when
 * that fails. */
MUST_USE bool cmd_print(struct str text);
/* The same for what page_words() and its like have put together: it has styles of its own, and
 * nothing else that a terminal obeys. */
MUST_USE bool cmd_print_page(struct str text);

/* -c and -o of every command; the texts are argv's. */
struct cmd_sources {
	const char *config_dir; /* NULL: the default */
	const char **overrides; /* "name=value", each a later definition than the file's */
	size_t n_overrides;
};

/* Takes the option `c` of getopt(3) with its argument. False: it is none of these two. */
MUST_USE bool cmd_sources_option(struct cmd_sources *s, int c, const char *arg);
void cmd_sources_fini(struct cmd_sources *s);

/* Where main.cf is looked for without -c: $MAIL_CONFIG, else /etc/hopseal. */
const char *cmd_config_dir(const struct cmd_sources *s);

/* Reads main.cf and the -o options; prints findings of `least` severity and above on standard
 * error. NULL with the exit code set when nothing may be done under this configuration. */
MUST_USE struct conf *
cmd_configure(const struct cmd_sources *s, enum conf_severity least, int *exit_code);

/* The same for commands that talk to the running daemon. When nothing else may be done under the
 * configuration, *is_rescued is true and it is good for asking the daemon, and nothing else. */
MUST_USE struct conf *
cmd_configure_to_ask(const struct cmd_sources *s, bool *is_rescued, int *exit_code);
/* Nobody is there to ask, and it is rescued: false with *e. */
MUST_USE bool cmd_no_daemon(struct error *e);

/* The same without printing: for `check`. The file's text lives in the arena. */
MUST_USE struct conf *cmd_configure_quietly(const struct cmd_sources *s, struct arena *a,
					    struct conf_findings *findings, struct error *e);
/* The same of a text that stands for main.cf. */
MUST_USE struct conf *cmd_configure_text(const struct cmd_sources *s, struct str text,
					 struct arena *a, struct conf_findings *findings,
					 struct error *e);

/* Before the queue is opened for writing by a command: root becomes the folder's owner, or, when
 * that is root or there is no folder yet, hopseal_user, whom it is given to. */
MUST_USE bool
cmd_become_queue_owner(const struct conf *conf, const char *directory, struct error *e);

#endif
