#include "base/test.h"
#include "cmd/sink_script.h"

static const struct {
	const char *rule;
	struct str text;
	struct cmd_sink_rule want;
} good[] = {
	{ "a reply with status",
	  STR_INIT("rcpt=550 5.1.1 no such user"),
	  { .stage = SINK_RCPT,
	    .deed = SINK_REPLY,
	    .code = 550,
	    .status = { 5, 1, 1 },
	    .text = STR_INIT("no such user") } },
	{ "a reply without status or text",
	  STR_INIT(" greet = 421 "),
	  { .stage = SINK_GREET, .deed = SINK_REPLY, .code = 421 } },
	{ "a status of another class is text",
	  STR_INIT("mail=450 5.1.1 x"),
	  { .stage = SINK_MAIL, .deed = SINK_REPLY, .code = 450, .text = STR_INIT("5.1.1 x") } },
	{ "several lines",
	  STR_INIT("data=451 one\\ntwo"),
	  { .stage = SINK_DATA, .deed = SINK_REPLY, .code = 451, .text = STR_INIT("one\ntwo") } },
	{ "a delay alone accepts",
	  STR_INIT("message=delay 20ms"),
	  { .stage = SINK_MESSAGE, .deed = SINK_ACCEPT, .delay_ms = 20 } },
	{ "a delay before a deed",
	  STR_INIT("quit=delay 2s drop"),
	  { .stage = SINK_QUIT, .deed = SINK_DROP, .delay_ms = 2000 } },
	{ "only inside TLS",
	  STR_INIT("tls:ehlo=silence"),
	  { .stage = SINK_EHLO, .deed = SINK_SILENCE, .only_tls = true } },
	{ "only in the clear, the second time, for one address",
	  STR_INIT("clear:rcpt@2/bob@a=452 4.3.1 full"),
	  { .stage = SINK_RCPT,
	    .deed = SINK_REPLY,
	    .only_clear = true,
	    .first = 2,
	    .last = 2,
	    .match = STR_INIT("bob@a"),
	    .code = 452,
	    .status = { 4, 3, 1 },
	    .text = STR_INIT("full") } },
	{ "from the third time",
	  STR_INIT("mail@3+=reset"),
	  { .stage = SINK_MAIL, .deed = SINK_RESET, .first = 3 } },
	{ "octets",
	  STR_INIT("ehlo=raw 250-\\x00\\xfF\\r\\n\\t\\\\"),
	  { .stage = SINK_EHLO,
	    .deed = SINK_RAW,
	    .code = 250,
	    .text = STR_INIT("250-\0\xff\r\n\t\\") } },
	{ "octets that are no reply",
	  STR_INIT("noop=raw hello"),
	  { .stage = SINK_NOOP, .deed = SINK_RAW, .code = 500, .text = STR_INIT("hello") } },
	{ "a long line",
	  STR_INIT("helo=long 8"),
	  { .stage = SINK_HELO, .deed = SINK_RAW, .code = 250, .text = STR_INIT("250 xx\r\n") } },
	{ "early data",
	  STR_INIT("starttls=inject 250 x\\r\\n"),
	  { .stage = SINK_STARTTLS,
	    .deed = SINK_RAW,
	    .code = 220,
	    .text = STR_INIT("220 2.0.0 Ready to start TLS\r\n250 x\r\n") } },
	{ "octets in the place of a handshake",
	  STR_INIT("handshake=raw 454 no\\r\\n"),
	  { .stage = SINK_HANDSHAKE,
	    .deed = SINK_RAW,
	    .code = 454,
	    .text = STR_INIT("454 no\r\n") } },
	{ "an equal sign in the text",
	  STR_INIT("vrfy=252 a=b"),
	  { .stage = SINK_VRFY, .deed = SINK_REPLY, .code = 252, .text = STR_INIT("a=b") } },
};

TEST(rules)
{
	FOR_EACH(c, good) {
		struct cmd_sink_script *s = cmd_sink_script_new();
		struct str text = test_exact(c->text);
		const struct cmd_sink_rule *w = &c->want, *r = NULL;
		struct error e = { 0 };

		ok(cmd_sink_script_add(s, text, &e), e.text);
		free((void *)text.p); /* nothing is borrowed */
		for (uint64_t i = 0; i < (w->first ? w->first : 1); i++)
			r = cmd_sink_script_find(s, w->stage, w->only_tls, STR("<bob@a.example>"));
		ok(r && r->stage == w->stage && r->deed == w->deed && r->code == w->code, c->rule);
		ok(r->delay_ms == w->delay_ms && r->only_clear == w->only_clear, c->rule);
		ok(memcmp(&r->status, &w->status, sizeof(r->status)) == 0, c->rule);
		ok_str(r->text, w->text, c->rule);
		cmd_sink_script_free(s);
	}
}

static const struct {
	const char *rule;
	struct str text;
	const char *says;
} bad[] = {
	{ "no equal sign", STR_INIT("rcpt 550"), "STAGE=DEED" },
	{ "unknown stage", STR_INIT("banner=550"), "no stage \"banner\"" },
	{ "unknown deed", STR_INIT("rcpt=explode"), "\"explode\" is no deed" },
	{ "nothing to do", STR_INIT("rcpt="), "no deed" },
	{ "no such code", STR_INIT("rcpt=199 x"), "no deed" },
	{ "two digits", STR_INIT("rcpt=55 x"), "no deed" },
	{ "a code that goes on", STR_INIT("rcpt=5500"), "no deed" },
	{ "a deed with more", STR_INIT("rcpt=drop it"), "\"drop it\"" },
	{ "no time", STR_INIT("rcpt=delay soon 250"), "\"soon\"" },
	{ "times from 1", STR_INIT("rcpt@0=drop"), "@0" },
	{ "no number of times", STR_INIT("rcpt@=drop"), "say @2" },
	{ "escape cut off", STR_INIT("rcpt=raw a\\"), "bad escape" },
	{ "escape of half an octet", STR_INIT("rcpt=raw \\x1"), "bad escape" },
	{ "escape of no octet", STR_INIT("rcpt=raw \\xgg"), "bad escape" },
	{ "unknown escape", STR_INIT("rcpt=550 \\q"), "bad escape" },
	{ "a NUL is no escape", STR_INIT("rcpt=raw \\\0"), "bad escape" },
	{ "a reply to a handshake", STR_INIT("handshake=550 no"), "stage handshake" },
	{ "octets amid content", STR_INIT("content=raw x"), "stage content" },
	{ "strip elsewhere", STR_INIT("mail=strip"), "stage mail" },
	{ "strip at times", STR_INIT("ehlo@2=strip"), "every session" },
	{ "inject elsewhere", STR_INIT("mail=inject x"), "starttls" },
	{ "too short a line", STR_INIT("mail=long 5"), "octets" },
	{ "too long a line", STR_INIT("mail=long 99999999"), "octets" },
};

TEST(errors)
{
	FOR_EACH(c, bad) {
		struct cmd_sink_script *s = cmd_sink_script_new();
		struct str text = test_exact(c->text);
		struct error e = { 0 };
		size_t at;

		ok(!cmd_sink_script_add(s, text, &e) && e.kind == ERROR_USAGE, c->rule);
		ok(str_search(error_text(&e), str_of(c->says), &at), e.text);
		free((void *)text.p);
		cmd_sink_script_free(s);
	}
}

TEST(first_rule_that_fits)
{
	struct cmd_sink_script *s = cmd_sink_script_new();
	struct error e = { 0 };

	ok(cmd_sink_script_add_lines(s,
				     STR("# a comment\n\n"
					 "rcpt@1=450 4.2.0 later\n"
					 "  rcpt/bob = 550 5.1.1 no bob\r\n"
					 "tls:mail=accept\n"
					 "mail=530 5.7.0 TLS first\n"
					 "ehlo=strip"),
				     &e),
	   e.text);
	ok(cmd_sink_script_find(s, SINK_RCPT, false, STR("bob"))->code == 450, "the first time");
	ok(cmd_sink_script_find(s, SINK_RCPT, false, STR("bob"))->code == 550, "then by address");
	ok(cmd_sink_script_find(s, SINK_RCPT, false, STR("al"))->deed == SINK_ACCEPT, "usual");
	ok(cmd_sink_script_find(s, SINK_MAIL, true, STR(""))->deed == SINK_ACCEPT, "inside TLS");
	ok(cmd_sink_script_find(s, SINK_MAIL, false, STR(""))->code == 530, "in the clear");
	ok(cmd_sink_script_find(s, SINK_EHLO, false, STR(""))->deed == SINK_ACCEPT,
	   "strip is no answer");
	ok(cmd_sink_script_strips(s), "but it is known");
	ok(!cmd_sink_script_add_lines(s, STR("\n#\nfoo=drop\n"), &e), "bad line");
	ok_str(error_text(&e), STR("line 3: no stage \"foo\""), "with its number");
	ok_str(cmd_sink_stage_name(SINK_MESSAGE), STR("message"), "name");
	cmd_sink_script_free(s);
}

TEST_MAIN(RUN(rules), RUN(errors), RUN(first_rule_that_fits))
