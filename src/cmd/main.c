/* hopseal COMMAND: picks the subcommand. */

#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "os/process.h"
#include "tls/tls.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "send", cmd_send, "deliver a message now, under the TLS policy of its destinations" },
	{ "serve", cmd_serve, "the daemon: take mail, keep it, deliver it" },
	{ "sendmail", cmd_sendmail, "take a message for the queue, as sendmail(1) does" },
	{ "queue", cmd_queue, "list, show and change what is in the queue" },
	{ "status", cmd_status, "what the daemon is at" },
	{ "reload", cmd_reload, "make the daemon read its configuration anew" },
	{ "stop", cmd_stop, "tell the daemon to end" },
	{ "explain", cmd_explain, "say why a destination gets its TLS level, without connecting" },
	{ "check", cmd_check, "validate the configuration and its tables" },
	{ "convert", cmd_convert, "turn per-site tables into policy tables, with proof" },
	{ "query", cmd_query, "look a key up in a table, as postmap -q does" },
	{ "table", cmd_table, "make the file of a cdb, lmdb or hash table from its text" },
	{ "test", cmd_test, "run policy tests: what must be decided, without a network" },
	{ "sink", cmd_sink, "receive mail on loopback, for demonstrations and tests" },
};

static int print_help(void)
{
	struct buf b;

	buf_init(&b, 4096);
	bool fits = buf_add(
		&b, STR("usage: hopseal COMMAND [options] [arguments]\n"
			"       hopseal --version | --help\n\n"
			"Decides, enforces, explains and proves the TLS policy of every mail\n"
			"destination, from Postfix main.cf parameters and per-site tables.\n\n"));
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fits = fits && buf_fmt(&b, "  %-8s %s\n", commands[i].name, commands[i].help);
	fits = fits && buf_add(&b, STR("\n\"hopseal COMMAND --help\" tells the options of a "
				       "command; hopseal(1) all of "
				       "them.\n"));
	CHECK(fits);
	bool printed = cmd_print(buf_str(&b));
	buf_fini(&b);
	return printed ? EX_OK : EX_IOERR;
}

/* A descriptor that is closed at the start would go to the next file or socket that is opened, and
 * that would then be read as the message or written to as the report. /dev/null the wrong way
 * round keeps the place: whoever uses it gets an error. */
static void hold_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			CHECK(open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) == fd);
}

/* Programs call sendmail(1) by its path: a link of that name will do. */
static bool is_sendmail(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, "sendmail") == 0;
}

int main(int argc, char **argv)
{
	base_set_last_words(os_process_last_words);
	os_process_tell_aborts();
	tls_take_memory();
	hold_standard_files();
	if (argc > 0 && is_sendmail(argv[0]))
		return cmd_sendmail(argc, argv);
	if (argc < 2) {
		cmd_say("a command is missing; try \"hopseal --help\"");
		return EX_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
		return print_help();
	if (strcmp(name, "--version") == 0)
		return cmd_print(STR("hopseal " HOPSEAL_VERSION "\n")) ? EX_OK : EX_IOERR;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	cmd_say("no command \"%s\"; try \"hopseal --help\"", name);
	return EX_USAGE;
}
