#include "proto/smtp_command.h"

#include "base/test.h"
#include "proto/smtp_extension.h"

static const struct {
	const char *rule;
	struct str line;
	enum smtp_verb verb;
	struct str argument;
} lines[] = {
	{ "verb", STR_INIT("DATA"), SMTP_VERB_DATA, STR_INIT("") },
	{ "any case", STR_INIT("dAtA"), SMTP_VERB_DATA, STR_INIT("") },
	{ "argument", STR_INIT("EHLO \tx y \t"), SMTP_VERB_EHLO, STR_INIT("x y") },
	{ "blanks at the end", STR_INIT("RSET  "), SMTP_VERB_RSET, STR_INIT("") },
	{ "no blank before", STR_INIT(" RSET"), SMTP_VERB_UNKNOWN, STR_INIT("RSET") },
	{ "longer word", STR_INIT("DATAX"), SMTP_VERB_UNKNOWN, STR_INIT("") },
	{ "empty", STR_INIT(""), SMTP_VERB_UNKNOWN, STR_INIT("") },
};

TEST(verbs)
{
	FOR_EACH(c, lines) {
		struct smtp_command got = smtp_command_parse(c->line);
		ok(got.verb == c->verb, c->rule);
		ok_str(got.argument, c->argument, c->rule);
	}
}

#define EXT                                                                                        \
	(SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_DSN |                    \
	 SMTP_EXT_REQUIRETLS | SMTP_EXT_AUTH)
#define A63 "a123456789b123456789c123456789d123456789e123456789f123456789123"

static const struct {
	const char *rule;
	struct str argument;
	enum smtp_command_fault want;
	struct str sender;
} mails[] = {
	{ "null", STR_INIT("FROM:<>"), SMTP_COMMAND_OK, STR_INIT("") },
	{ "plain", STR_INIT("from:<a@b.example>"), SMTP_COMMAND_OK, STR_INIT("a@b.example") },
	{ "blank after the colon", STR_INIT("FROM: <a@b>"), SMTP_COMMAND_OK, STR_INIT("a@b") },
	{ "source route", STR_INIT("FROM:<@x.example,@y.example:a@b>"), SMTP_COMMAND_OK,
	  STR_INIT("a@b") },
	{ "bad source route", STR_INIT("FROM:<@x:>"), SMTP_COMMAND_BAD_PATH },
	{ "source route without address", STR_INIT("FROM:<@x>"), SMTP_COMMAND_BAD_PATH },
	{ "source route without at", STR_INIT("FROM:<@x,y:a@b>"), SMTP_COMMAND_BAD_PATH },
	{ "quoted", STR_INIT("FROM:<\"a b\"@c>"), SMTP_COMMAND_OK, STR_INIT("\"a b\"@c") },
	{ "quoted greater", STR_INIT("FROM:<\"a>b\"@c>"), SMTP_COMMAND_OK, STR_INIT("\"a>b\"@c") },
	{ "quoted quote", STR_INIT("FROM:<\"a\\\">\"@c>"), SMTP_COMMAND_OK,
	  STR_INIT("\"a\\\">\"@c") },
	{ "quoted at", STR_INIT("FROM:<\"a@b\"@c>"), SMTP_COMMAND_OK, STR_INIT("\"a@b\"@c") },
	{ "half quoted", STR_INIT("FROM:<\"a\"b@c>"), SMTP_COMMAND_BAD_PATH },
	{ "open quote", STR_INIT("FROM:<\"a@c>"), SMTP_COMMAND_BAD_PATH },
	{ "two at", STR_INIT("FROM:<a@b@c>"), SMTP_COMMAND_BAD_PATH },
	{ "no domain", STR_INIT("FROM:<a>"), SMTP_COMMAND_NO_DOMAIN, STR_INIT("a") },
	{ "empty domain", STR_INIT("FROM:<a@>"), SMTP_COMMAND_BAD_PATH },
	{ "empty local part", STR_INIT("FROM:<@b>"), SMTP_COMMAND_BAD_PATH },
	{ "bad domain", STR_INIT("FROM:<a@b..c>"), SMTP_COMMAND_BAD_PATH },
	{ "address literal", STR_INIT("FROM:<a@[192.0.2.1]>"), SMTP_COMMAND_OK,
	  STR_INIT("a@[192.0.2.1]") },
	{ "IPv6 literal", STR_INIT("FROM:<a@[IPv6:2001:db8::1]>"), SMTP_COMMAND_OK,
	  STR_INIT("a@[IPv6:2001:db8::1]") },
	{ "IPv6 without its tag", STR_INIT("FROM:<a@[2001:db8::1]>"), SMTP_COMMAND_BAD_PATH },
	{ "IPv4 with a tag", STR_INIT("FROM:<a@[IPv6:192.0.2.1]>"), SMTP_COMMAND_BAD_PATH },
	{ "a name as a literal", STR_INIT("FROM:<a@[b.example]>"), SMTP_COMMAND_BAD_PATH },
	{ "a number too big", STR_INIT("FROM:<a@[192.0.2.256]>"), SMTP_COMMAND_BAD_PATH },
	{ "local part no UTF-8", STR_INIT("FROM:<a\xff@b> SMTPUTF8"), SMTP_COMMAND_BAD_PATH },
	{ "local part overlong", STR_INIT("FROM:<a\xc0\xae@b> SMTPUTF8"), SMTP_COMMAND_BAD_PATH },
	{ "open literal", STR_INIT("FROM:<a@[192.0.2.1>"), SMTP_COMMAND_BAD_PATH },
	{ "empty literal", STR_INIT("FROM:<a@[]>"), SMTP_COMMAND_BAD_PATH },
	{ "no brackets", STR_INIT("FROM:a@b"), SMTP_COMMAND_BAD_PATH },
	{ "open bracket", STR_INIT("FROM:<a@b"), SMTP_COMMAND_BAD_PATH },
	{ "something behind", STR_INIT("FROM:<a@b>x"), SMTP_COMMAND_BAD_PATH },
	{ "blank in the path", STR_INIT("FROM:<a b@c>"), SMTP_COMMAND_BAD_PATH },
	{ "no FROM", STR_INIT("<a@b>"), SMTP_COMMAND_NO_FROM },
	{ "nothing", STR_INIT(""), SMTP_COMMAND_NO_FROM },
	{ "too long", STR_INIT("FROM:<" A63 A63 A63 A63 A63 A63 "@b>"),
	  SMTP_COMMAND_PATH_TOO_LONG },
	{ "all parameters",
	  STR_INIT("FROM:<a@b> size=18446744073709551615 BODY=7bit SMTPUTF8 RET=hdrs ENVID=a+20b "
		   "REQUIRETLS"),
	  SMTP_COMMAND_OK, STR_INIT("a@b") },
	{ "AUTH=", STR_INIT("FROM:<a@b> AUTH=<>"), SMTP_COMMAND_OK, STR_INIT("a@b") },
	{ "AUTH= is no xtext", STR_INIT("FROM:<a@b> AUTH=a+"), SMTP_COMMAND_BAD_PARAMETER },
	{ "no BINARYMIME", STR_INIT("FROM:<a@b> BODY=BINARYMIME"), SMTP_COMMAND_BAD_PARAMETER },
	{ "size too large", STR_INIT("FROM:<a@b> SIZE=18446744073709551616"),
	  SMTP_COMMAND_BAD_PARAMETER },
	{ "size is no number", STR_INIT("FROM:<a@b> SIZE=x"), SMTP_COMMAND_BAD_PARAMETER },
	{ "size without value", STR_INIT("FROM:<a@b> SIZE"), SMTP_COMMAND_BAD_PARAMETER },
	{ "size twice", STR_INIT("FROM:<a@b> SIZE=0 SIZE=0"), SMTP_COMMAND_TWICE },
	{ "body", STR_INIT("FROM:<a@b> BODY=BINARY"), SMTP_COMMAND_BAD_PARAMETER },
	{ "body twice", STR_INIT("FROM:<a@b> BODY=7BIT BODY=8BITMIME"), SMTP_COMMAND_TWICE },
	{ "flag with value", STR_INIT("FROM:<a@b> SMTPUTF8=1"), SMTP_COMMAND_BAD_PARAMETER },
	{ "flag twice", STR_INIT("FROM:<a@b> SMTPUTF8 SMTPUTF8"), SMTP_COMMAND_TWICE },
	{ "ret", STR_INIT("FROM:<a@b> RET=SOME"), SMTP_COMMAND_BAD_PARAMETER },
	{ "envid", STR_INIT("FROM:<a@b> ENVID=a+2b"), SMTP_COMMAND_BAD_PARAMETER },
	{ "empty envid", STR_INIT("FROM:<a@b> ENVID="), SMTP_COMMAND_BAD_PARAMETER },
	{ "unknown", STR_INIT("FROM:<a@b> XYZ=1"), SMTP_COMMAND_UNKNOWN_PARAMETER },
	{ "notify is not for MAIL", STR_INIT("FROM:<a@b> NOTIFY=NEVER"),
	  SMTP_COMMAND_UNKNOWN_PARAMETER },
	{ "utf8 with SMTPUTF8", STR_INIT("FROM:<\xc3\xa4@b> SMTPUTF8"), SMTP_COMMAND_OK,
	  STR_INIT("\xc3\xa4@b") },
	{ "utf8 without", STR_INIT("FROM:<\xc3\xa4@b>"), SMTP_COMMAND_NEEDS_SMTPUTF8 },
	{ "utf8 domain", STR_INIT("FROM:<a@b\xc3\xbc.example> SMTPUTF8"), SMTP_COMMAND_OK,
	  STR_INIT("a@b\xc3\xbc.example") },
};

TEST(mail)
{
	FOR_EACH(c, mails) {
		struct smtp_command_mail m = { .body = SMTP_BODY_UNSAID };
		struct str exact = test_exact(c->argument);
		ok(smtp_command_parse_mail(exact, EXT, &m) == c->want, c->rule);
		if (c->want == SMTP_COMMAND_OK || c->want == SMTP_COMMAND_NO_DOMAIN)
			ok_str(m.sender, c->sender, c->rule);
		free((void *)(uintptr_t)exact.p);
	}
}

TEST(mail_values)
{
	struct smtp_command_mail m;
	enum smtp_command_fault f = smtp_command_parse_mail(
		STR("FROM:<a@b> SIZE=77 BODY=8BITMIME RET=FULL ENVID=e REQUIRETLS"), EXT, &m);

	ok(f == SMTP_COMMAND_OK && m.size_octets == 77 && m.body == SMTP_BODY_8BITMIME, "numbers");
	ok(m.is_requiretls && !m.is_smtputf8, "flags");
	ok_str(m.ret, STR("FULL"), "ret");
	ok_str(m.envid, STR("e"), "envid");
	f = smtp_command_parse_mail(STR("FROM:<a@b> SIZE=77"), 0, &m);
	ok(f == SMTP_COMMAND_UNKNOWN_PARAMETER, "what was not announced is unknown");
}

static const struct {
	const char *rule;
	struct str argument;
	enum smtp_command_fault want;
	struct str address;
} rcpts[] = {
	{ "plain", STR_INIT("TO:<a@b>"), SMTP_COMMAND_OK, STR_INIT("a@b") },
	{ "postmaster", STR_INIT("TO:<PostMaster>"), SMTP_COMMAND_OK, STR_INIT("PostMaster") },
	{ "null", STR_INIT("TO:<>"), SMTP_COMMAND_BAD_PATH },
	{ "no domain", STR_INIT("TO:<a>"), SMTP_COMMAND_NO_DOMAIN, STR_INIT("a") },
	{ "no domain, but quoted", STR_INIT("TO:<\"a@b\">"), SMTP_COMMAND_NO_DOMAIN,
	  STR_INIT("\"a@b\"") },
	{ "notify", STR_INIT("TO:<a@b> NOTIFY=success,Failure,DELAY"), SMTP_COMMAND_OK,
	  STR_INIT("a@b") },
	{ "never with others", STR_INIT("TO:<a@b> NOTIFY=NEVER,DELAY"),
	  SMTP_COMMAND_BAD_PARAMETER },
	{ "empty word", STR_INIT("TO:<a@b> NOTIFY=DELAY,"), SMTP_COMMAND_BAD_PARAMETER },
	{ "orcpt", STR_INIT("TO:<a@b> ORCPT=rfc822;a+2Bb@c"), SMTP_COMMAND_OK, STR_INIT("a@b") },
	{ "orcpt without type", STR_INIT("TO:<a@b> ORCPT=;a"), SMTP_COMMAND_BAD_PARAMETER },
	{ "orcpt without address", STR_INIT("TO:<a@b> ORCPT=rfc822;"), SMTP_COMMAND_BAD_PARAMETER },
	{ "orcpt is no xtext", STR_INIT("TO:<a@b> ORCPT=rfc822;a+b"), SMTP_COMMAND_BAD_PARAMETER },
	{ "orcpt twice", STR_INIT("TO:<a@b> ORCPT=x;a ORCPT=x;a"), SMTP_COMMAND_TWICE },
	{ "unknown", STR_INIT("TO:<a@b> SIZE=1"), SMTP_COMMAND_UNKNOWN_PARAMETER },
	{ "no TO", STR_INIT("FROM:<a@b>"), SMTP_COMMAND_NO_FROM },
};

TEST(rcpt)
{
	FOR_EACH(c, rcpts) {
		struct smtp_command_rcpt r = { .address = STR_NONE };
		struct str exact = test_exact(c->argument);
		ok(smtp_command_parse_rcpt(exact, EXT, false, &r) == c->want, c->rule);
		if (c->want == SMTP_COMMAND_OK || c->want == SMTP_COMMAND_NO_DOMAIN)
			ok_str(r.address, c->address, c->rule);
		free((void *)(uintptr_t)exact.p);
	}
}

static const struct {
	const char *rule;
	struct str argument;
	bool is_good, is_last;
	uint64_t size;
} bdats[] = {
	{ "a chunk", STR_INIT("10"), true, false, 10 },
	{ "the last", STR_INIT("10 last"), true, true, 10 },
	{ "nothing, and the last", STR_INIT("0  LAST"), true, true, 0 },
	{ "the largest", STR_INIT("18446744073709551615"), true, false, UINT64_MAX },
	{ "larger", STR_INIT("18446744073709551616"), false, false, 0 },
	{ "no size", STR_INIT(""), false, false, 0 },
	{ "no number", STR_INIT("LAST"), false, false, 0 },
	{ "a sign", STR_INIT("-1"), false, false, 0 },
	{ "another word", STR_INIT("1 FIRST"), false, false, 0 },
	{ "more behind", STR_INIT("1 LAST x"), false, false, 0 },
};

TEST(bdat)
{
	FOR_EACH(c, bdats) {
		struct smtp_command_bdat b = { 0 };
		struct str exact = test_exact(c->argument);
		ok(smtp_command_parse_bdat(exact, &b) == c->is_good, c->rule);
		if (c->is_good)
			ok(b.size_octets == c->size && b.is_last == c->is_last, c->rule);
		free((void *)(uintptr_t)exact.p);
	}
}

TEST_MAIN(RUN(verbs), RUN(mail), RUN(mail_values), RUN(rcpt), RUN(bdat))
