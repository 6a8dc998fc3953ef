/* The command line of sendmail(1), as far as anybody uses it. */

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/dsn.h"
#include "cmd/sendmail.h"

static const struct str sendmail_help = STR_INIT(
	"usage: hopseal sendmail [-c DIR] [-o NAME=VALUE]... [options] [RECIPIENT...] < MESSAGE\n"
	"\n"
	"Hands the message on standard input to the daemon, or puts it into the queue while there\n"
	"is none. A program of the name sendmail is this command: a symbolic link will do.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  -t                recipients are those of To, Cc and Bcc, too; of Resent-To, Resent-Cc\n"
	"                    and Resent-Bcc, if the message has such fields\n"
	"  -i                a line of a dot alone does not end the message; -oi is the same\n"
	"  -f SENDER         envelope sender, \"\" for the null sender; default USER@$myorigin\n"
	"  -r SENDER         the same\n"
	"  -F NAME           full name, for a From field that is missing ($NAME, else none)\n"
	"  -N LIST           DSN: never, or success,failure,delay\n"
	"  -R WHAT           DSN: full or hdrs\n"
	"  -V TEXT           DSN: envelope identifier\n"
	"  -B TYPE           7bit or 8bitmime; what the message is counts\n"
	"  -b MODE           m, the default: take a message. There are no others\n"
	"  -v                say what became of it\n"
	"  -h, --help\n"
	"\n"
	"Other options of sendmail(1) are taken and mean nothing: -A, -G, -L, -O, -U, -X, -e, -m,\n"
	"-n, -p and -oX.\n"
	"\n"
	"Exit status: 0 the message is in the queue, 64 usage, 65 bad message, 69 refused, 75 it\n"
	"could not be kept now, 78 bad configuration.\n");

/* "-o" is two options: NAME=VALUE sets a parameter, the letters of sendmail(1) do not. */
static int option_o(struct sendmail_options *o, const char *value)
{
	const char *equals = strchr(value, '=');

	if (strcmp(value, "i") == 0)
		o->ignores_dots = true;
	else if (equals && equals - value > 1)
		CHECK(cmd_sources_option(&o->sources, 'o', value));
	return 0;
}

static int option_b(const char *mode)
{
	if (strcmp(mode, "m") == 0)
		return 0;
	if (strcmp(mode, "s") == 0)
		return cmd_usage("sendmail", "-bs: SMTP is spoken by the daemon's listeners only");
	return cmd_usage("sendmail", "-b%s: taking messages (-bm) is all there is", mode);
}

static int option_dsn(struct str *to, bool (*is_good)(struct str), int c)
{
	*to = str_of(optarg);
	return is_good(*to) ? 0 : cmd_usage("sendmail", "-%c %s: not such a value", c, optarg);
}

static int option_B(const char *type)
{
	if (str_ieq_ascii(str_of(type), STR("7bit")) ||
	    str_ieq_ascii(str_of(type), STR("8bitmime")))
		return 0;
	return cmd_usage("sendmail", "-B %s: 7bit or 8bitmime", type);
}

static int sendmail_option(struct sendmail_options *o, int c)
{
	switch (c) {
	case 'c':
		o->sources.config_dir = optarg;
		return 0;
	case 'o':
		return option_o(o, optarg);
	case 't':
		o->takes_header = true;
		return 0;
	case 'i':
		o->ignores_dots = true;
		return 0;
	case 'f':
	case 'r':
		o->sender = optarg;
		return 0;
	case 'F':
		o->full_name = optarg;
		return 0;
	case 'N':
		return option_dsn(&o->notify, dsn_is_notify, c);
	case 'R':
		return option_dsn(&o->ret, dsn_is_ret, c);
	case 'V':
		return option_dsn(&o->envid, dsn_is_envid, c);
	case 'B':
		return option_B(optarg);
	case 'b':
		return option_b(optarg);
	case 'q':
		return cmd_usage("sendmail", "-q: the daemon runs the queue");
	case 'I':
		return cmd_usage("sendmail", "-I: there are no aliases here");
	case 'v':
		o->is_verbose = true;
		return 0;
	case 'h':
		return cmd_print(sendmail_help) ? -1 : EX_IOERR;
	default:
		return 0; /* means nothing here */
	}
}

int sendmail_parse(struct sendmail_options *o, int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	static const char letters[] = ":c:o:tif:r:F:N:R:V:B:b:q::IvhA:GL:O:UX:e:mnp:";
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		int status = cmd_is_bad_option(c) ? cmd_bad_option("sendmail", c, argv)
						  : sendmail_option(o, c);
		if (status != 0)
			return status;
	}
	o->args = argv + optind;
	o->n_args = (size_t)(argc - optind);
	if (o->n_args == 0 && !o->takes_header)
		return cmd_usage("sendmail",
				 "a recipient is missing; -t takes those of the header");
	return 0;
}
