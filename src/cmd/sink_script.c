#include "cmd/sink_script.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define RULES_MAX 1000
#define OCTETS_MAX (1024 * 1024) /* of one rule */

struct cmd_sink_script {
	struct arena *arena;
	struct cmd_sink_rule *v;
	size_t n;
	uint64_t reached[SINK_STAGES];
};

/* What may be done where: at some stages nothing is answered, at others nothing can be said. */
enum { CAN_REPLY = 1, CAN_STRIP = 2, CAN_RAW = 4 };

static const struct {
	struct str name;
	unsigned can;
} stages[SINK_STAGES] = {
	[SINK_GREET] = { STR_INIT("greet"), CAN_REPLY | CAN_RAW },
	[SINK_EHLO] = { STR_INIT("ehlo"), CAN_REPLY | CAN_RAW | CAN_STRIP },
	[SINK_HELO] = { STR_INIT("helo"), CAN_REPLY | CAN_RAW },
	[SINK_STARTTLS] = { STR_INIT("starttls"), CAN_REPLY | CAN_RAW },
	[SINK_HANDSHAKE] = { STR_INIT("handshake"), CAN_RAW },
	[SINK_TLS] = { STR_INIT("tls"), 0 },
	[SINK_MAIL] = { STR_INIT("mail"), CAN_REPLY | CAN_RAW },
	[SINK_RCPT] = { STR_INIT("rcpt"), CAN_REPLY | CAN_RAW },
	[SINK_DATA] = { STR_INIT("data"), CAN_REPLY | CAN_RAW },
	[SINK_CONTENT] = { STR_INIT("content"), 0 },
	[SINK_MESSAGE] = { STR_INIT("message"), CAN_REPLY | CAN_RAW },
	[SINK_RSET] = { STR_INIT("rset"), CAN_REPLY | CAN_RAW },
	[SINK_NOOP] = { STR_INIT("noop"), CAN_REPLY | CAN_RAW },
	[SINK_VRFY] = { STR_INIT("vrfy"), CAN_REPLY | CAN_RAW },
	[SINK_QUIT] = { STR_INIT("quit"), CAN_REPLY | CAN_RAW },
};

struct str cmd_sink_stage_name(enum cmd_sink_stage stage)
{
	return stages[stage].name;
}

struct cmd_sink_script *cmd_sink_script_new(void)
{
	struct cmd_sink_script *s = base_alloc(sizeof(*s));

	s->arena = arena_new();
	return s;
}

void cmd_sink_script_free(struct cmd_sink_script *s)
{
	if (!s)
		return;
	arena_free(s->arena);
	free(s->v);
	free(s);
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet behind a backslash; *rest moves past it. */
static bool unescape_one(struct str *rest, char *out)
{
	static const char from[] = "rnt0\\", to[] = "\r\n\t\0\\";
	char c = rest->n ? rest->p[0] : 'x';
	const char *at = strchr(from, c);
	int high, low;

	if (c != '\0' && at) {
		*out = to[at - from];
		*rest = str_from(*rest, 1);
		return true;
	}
	if (c != 'x' || rest->n < 3)
		return false;
	high = hex_digit(rest->p[1]);
	low = hex_digit(rest->p[2]);
	*out = (char)(high * 16 + low);
	*rest = str_from(*rest, 3);
	return high >= 0 && low >= 0;
}

static bool unescape(struct arena *a, struct str in, struct str *out)
{
	char *p = arena_alloc(a, in.n + 1);
	size_t n = 0;

	while (in.n > 0) {
		char c = in.p[0];

		in = str_from(in, 1);
		if (c == '\\' && !unescape_one(&in, &c))
			return false;
		p[n++] = c;
	}
	*out = str_span(p, n);
	return true;
}

/* Takes a word and the blanks after it off the front. */
static struct str take_word(struct str *rest)
{
	struct str word = { rest->p, 0 };

	while (word.n < rest->n && !ascii_is_space(rest->p[word.n]))
		word.n++;
	*rest = str_trim(str_from(*rest, word.n));
	return word;
}

/* "20", "20ms", "2s" */
static bool parse_time(struct str word, uint64_t *ms)
{
	uint64_t unit = 1;

	if (str_has_suffix(word, STR("ms"))) {
		word = str_first(word, word.n - 2);
	} else if (str_has_suffix(word, STR("s"))) {
		word = str_first(word, word.n - 1);
		unit = 1000;
	}
	if (!str_to_u64(word, ms) || *ms > 24ull * 3600 * 1000)
		return false;
	*ms *= unit;
	return true;
}

static int parse_code(struct str text)
{
	uint64_t code;
	bool is_code = text.n >= 3 && str_to_u64(str_first(text, 3), &code) && code >= 200 &&
		       code <= 599 && (text.n == 3 || text.p[3] == ' ' || text.p[3] == '-');

	return is_code ? (int)code : 0;
}

static const struct {
	struct str word;
	enum cmd_sink_deed deed;
} plain_deeds[] = {
	{ STR_INIT("accept"), SINK_ACCEPT }, { STR_INIT("drop"), SINK_DROP },
	{ STR_INIT("reset"), SINK_RESET },   { STR_INIT("silence"), SINK_SILENCE },
	{ STR_INIT("strip"), SINK_STRIP },
};

static bool parse_reply(struct arena *a, struct cmd_sink_rule *r, struct str text, struct error *e)
{
	r->deed = SINK_REPLY;
	r->code = parse_code(text);
	if (!r->code || (text.n > 3 && text.p[3] == '-'))
		return error_set(e, ERROR_USAGE, "\"" STR_FMT "\" is no deed and no reply",
				 STR_ARG(str_first(text, 60)));
	if (!unescape(a, str_trim(str_from(text, 3)), &r->text))
		return error_set(e, ERROR_USAGE, "bad escape in \"" STR_FMT "\"",
				 STR_ARG(str_first(text, 60)));
	if (!status_parse(r->text, r->code, &r->status, &r->text))
		r->status = STATUS(0, 0, 0);
	return true;
}

static bool parse_raw(struct arena *a, struct cmd_sink_rule *r, struct str text, struct error *e)
{
	r->deed = SINK_RAW;
	if (!unescape(a, text, &r->text))
		return error_set(e, ERROR_USAGE, "bad escape in \"" STR_FMT "\"",
				 STR_ARG(str_first(text, 60)));
	/* Octets that are no reply end nothing and accept nothing. */
	r->code = parse_code(r->text) ? parse_code(r->text) : 500;
	return true;
}

/* Early data: octets in the clear right behind the 220 that hands the wire to TLS. */
static bool parse_inject(struct arena *a, struct cmd_sink_rule *r, struct str text, struct error *e)
{
	if (r->stage != SINK_STARTTLS)
		return error_set(e, ERROR_USAGE, "inject is for the stage starttls");
	if (!parse_raw(a, r, text, e))
		return false;
	r->code = 220;
	r->text = arena_fmt(a, "220 2.0.0 Ready to start TLS\r\n" STR_FMT, STR_ARG(r->text));
	return true;
}

/* One reply line of that many octets, CRLF included. */
static bool parse_long(struct arena *a, struct cmd_sink_rule *r, struct str text, struct error *e)
{
	int code = r->stage == SINK_GREET ? 220 : r->stage == SINK_DATA ? 354 : 250;
	uint64_t n;
	char *p;

	if (!str_to_u64(text, &n) || n < 6 || n > OCTETS_MAX)
		return error_set(e, ERROR_USAGE, "long takes a number of octets up to %d",
				 OCTETS_MAX);
	p = arena_alloc(a, n);
	memset(p, 'x', n);
	memcpy(p, arena_fmt(a, "%d ", code).p, 4);
	memcpy(p + n - 2, "\r\n", 2);
	r->deed = SINK_RAW;
	r->code = code;
	r->text = str_span(p, n);
	return true;
}

static bool parse_deed(struct arena *a, struct cmd_sink_rule *r, struct str text, struct error *e)
{
	struct str rest = text, word = take_word(&rest);

	for (size_t i = 0; i < ARRAY_LEN(plain_deeds); i++) {
		if (str_eq(word, plain_deeds[i].word) && rest.n == 0) {
			r->deed = plain_deeds[i].deed;
			return true;
		}
	}
	if (str_eq(word, STR("raw")))
		return parse_raw(a, r, rest, e);
	if (str_eq(word, STR("inject")))
		return parse_inject(a, r, rest, e);
	if (str_eq(word, STR("long")))
		return parse_long(a, r, rest, e);
	return parse_reply(a, r, text, e);
}

static bool parse_delay(struct cmd_sink_rule *r, struct str *text, struct error *e)
{
	struct str rest = *text, time;

	if (!str_eq(take_word(&rest), STR("delay")))
		return true;
	time = take_word(&rest);
	*text = rest.n ? rest : STR("accept");
	return parse_time(time, &r->delay_ms) ||
	       error_set(e, ERROR_USAGE, "delay \"" STR_FMT "\": say 500ms or 2s",
			 STR_ARG(str_first(time, 60)));
}

static bool parse_times(struct cmd_sink_rule *r, struct str text, struct error *e)
{
	bool is_open = str_has_suffix(text, STR("+"));

	if (!str_to_u64(str_first(text, text.n - is_open), &r->first) || r->first == 0)
		return error_set(e, ERROR_USAGE, "@" STR_FMT ": say @2 or @2+",
				 STR_ARG(str_first(text, 60)));
	r->last = is_open ? UINT64_MAX : r->first;
	return true;
}

static bool parse_stage(struct cmd_sink_rule *r, struct str name, struct error *e)
{
	for (size_t i = 0; i < SINK_STAGES; i++) {
		if (str_ieq_ascii(name, stages[i].name)) {
			r->stage = (enum cmd_sink_stage)i;
			return true;
		}
	}
	return error_set(e, ERROR_USAGE, "no stage \"" STR_FMT "\"", STR_ARG(str_first(name, 60)));
}

/* The part before "=". */
static bool parse_when(struct arena *a, struct cmd_sink_rule *r, struct str text, struct error *e)
{
	struct str times = STR("1+");

	r->only_tls = str_has_prefix(text, STR("tls:"));
	r->only_clear = str_has_prefix(text, STR("clear:"));
	if (r->only_tls || r->only_clear)
		CHECK(str_cut(text, ':', &(struct str){ 0 }, &text));
	if (str_cut(text, '/', &text, &r->match))
		r->match = arena_str(a, r->match);
	if (!str_cut(text, '@', &text, &times))
		times = STR("1+");
	return parse_stage(r, text, e) && parse_times(r, times, e);
}

/* The deed fits the stage. */
static bool rule_is_possible(const struct cmd_sink_rule *r, struct error *e)
{
	unsigned needs = r->deed == SINK_REPLY   ? CAN_REPLY
			 : r->deed == SINK_RAW   ? CAN_RAW
			 : r->deed == SINK_STRIP ? CAN_STRIP
						 : 0;

	if ((stages[r->stage].can & needs) != needs)
		return error_set(e, ERROR_USAGE, "that cannot be done at the stage " STR_FMT,
				 STR_ARG(stages[r->stage].name));
	if (r->deed == SINK_STRIP && (r->first != 1 || r->last != UINT64_MAX || r->match.n > 0 ||
				      r->only_tls || r->delay_ms))
		return error_set(e, ERROR_USAGE, "strip is for every session");
	return true;
}

bool cmd_sink_script_add(struct cmd_sink_script *s, struct str rule, struct error *e)
{
	struct cmd_sink_rule r = { 0 };
	struct str when, what;

	if (rule.n > OCTETS_MAX || s->n == RULES_MAX)
		return error_set(e, ERROR_LIMIT, "too long a script");
	if (!str_cut(rule, '=', &when, &what))
		return error_set(e, ERROR_USAGE, "\"" STR_FMT "\": STAGE=DEED is wanted",
				 STR_ARG(str_first(rule, 60)));
	what = str_trim(what);
	if (!parse_when(s->arena, &r, str_trim(when), e) || !parse_delay(&r, &what, e) ||
	    !parse_deed(s->arena, &r, what, e) || !rule_is_possible(&r, e))
		return false;
	s->v = base_realloc(s->v, (s->n + 1) * sizeof(*s->v));
	s->v[s->n++] = r;
	return true;
}

bool cmd_sink_script_add_lines(struct cmd_sink_script *s, struct str text, struct error *e)
{
	for (unsigned number = 1; text.n > 0; number++) {
		struct str line = text;

		if (!str_cut(text, '\n', &line, &text))
			text = STR("");
		line = str_trim(line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!cmd_sink_script_add(s, line, e))
			return error_prefix(e, "line %u", number);
	}
	return true;
}

static bool rule_fits(const struct cmd_sink_rule *r, enum cmd_sink_stage stage, bool is_tls,
		      uint64_t time, struct str argument)
{
	size_t at;

	return r->stage == stage && r->deed != SINK_STRIP && r->first <= time && time <= r->last &&
	       !(r->only_tls && !is_tls) && !(r->only_clear && is_tls) &&
	       (r->match.n == 0 || str_search(argument, r->match, &at));
}

const struct cmd_sink_rule *cmd_sink_script_find(struct cmd_sink_script *s,
						 enum cmd_sink_stage stage, bool is_tls,
						 struct str argument)
{
	static const struct cmd_sink_rule usual = { .deed = SINK_ACCEPT };
	uint64_t time = ++s->reached[stage];

	for (size_t i = 0; i < s->n; i++)
		if (rule_fits(&s->v[i], stage, is_tls, time, argument))
			return &s->v[i];
	return &usual;
}

bool cmd_sink_script_strips(const struct cmd_sink_script *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].deed == SINK_STRIP)
			return true;
	return false;
}
