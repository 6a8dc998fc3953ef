#include "base/test.h"
#include "mail/message_scan.h"

#define BLANKS "                                                            "

static const struct {
	const char *rule;
	struct str text;
	struct message_scan want;
} cases[] = {
	{ "nothing", STR_INIT(""), { .size_octets = 0, .is_header_utf8 = true } },
	{ "LF counts as CRLF",
	  STR_INIT("A: b\n\nx\n"),
	  { .size_octets = 6 + 2 + 3, .is_header_utf8 = true } },
	{ "CRLF counts once",
	  STR_INIT("A: b\r\n\r\nx\r\n"),
	  { .size_octets = 11, .is_header_utf8 = true } },
	{ "a lone CR is an octet",
	  STR_INIT("A: b\n\nx\ry"),
	  { .size_octets = 11, .is_header_utf8 = true } },
	{ "8 bit in the body only",
	  STR_INIT("A: b\n\n\xff\n"),
	  { .size_octets = 11, .is_8bit = true, .is_header_utf8 = true } },
	{ "UTF-8 in the header",
	  STR_INIT("A: \xc3\xa4\n\n"),
	  { .size_octets = 9, .is_8bit = true, .has_8bit_header = true, .is_header_utf8 = true } },
	{ "Latin-1 in the header is not UTF-8",
	  STR_INIT("A: \xe4\n\n"),
	  { .size_octets = 8, .is_8bit = true, .has_8bit_header = true } },
	{ "a surrogate is not UTF-8",
	  STR_INIT("A: \xed\xa0\x80\n"),
	  { .size_octets = 8, .is_8bit = true, .has_8bit_header = true } },
	{ "NUL",
	  STR_INIT("A: b\n\n\0\n"),
	  { .size_octets = 11, .has_nul = true, .is_header_utf8 = true } },
	{ "TLS-Required: No",
	  STR_INIT("tls-required:  no \n\n"),
	  { .size_octets = 22, .has_tls_required_no = true, .is_header_utf8 = true } },
	{ "TLS-Required twice is void",
	  STR_INIT("TLS-Required: No\nTLS-Required: No\n\n"),
	  { .size_octets = 38, .is_header_utf8 = true } },
	{ "TLS-Required: yes means nothing",
	  STR_INIT("TLS-Required: yes\n"),
	  { .size_octets = 19, .is_header_utf8 = true } },
	{ "TLS-Required in the body means nothing",
	  STR_INIT("A: b\n\nTLS-Required: No\n"),
	  { .size_octets = 26, .is_header_utf8 = true } },
	{ "a folded line is no field of its own",
	  STR_INIT("Subject: x\n TLS-Required: No\n\n"),
	  { .size_octets = 33, .is_header_utf8 = true } },
	{ "a value may be folded",
	  STR_INIT("TLS-Required:\n\tNo\nA: b\n\n"),
	  { .size_octets = 28, .has_tls_required_no = true, .is_header_utf8 = true } },
	{ "a value that goes on in the next line is not No",
	  STR_INIT("TLS-Required: No\n , not really\n\n"),
	  { .size_octets = 35, .is_header_utf8 = true } },
	{ "a value that goes on behind many blanks is not No",
	  STR_INIT("TLS-Required: No" BLANKS BLANKS "x\n\n"),
	  { .size_octets = 16 + 2 * 60 + 5, .is_header_utf8 = true } },
	{ "a line that is no field ends the header section",
	  STR_INIT("hello, \xff\nTLS-Required: No\n\n"),
	  { .size_octets = 30, .is_8bit = true, .is_header_utf8 = false } },
	{ "a continuation of nothing ends it, too",
	  STR_INIT(" a: b\nTLS-Required: No\n\n"),
	  { .size_octets = 27, .is_header_utf8 = true } },
	{ "a header without line end",
	  STR_INIT("TLS-Required: No"),
	  { .size_octets = 16, .has_tls_required_no = true, .is_header_utf8 = true } },
};

static void check(const struct message_scan *got, const struct message_scan *want, const char *rule)
{
	ok(got->size_octets == want->size_octets, rule);
	ok(got->is_8bit == want->is_8bit, rule);
	ok(got->has_8bit_header == want->has_8bit_header, rule);
	ok(got->is_header_utf8 == want->is_header_utf8, rule);
	ok(got->has_nul == want->has_nul, rule);
	ok(got->has_tls_required_no == want->has_tls_required_no, rule);
}

TEST(message_scan_in_every_split)
{
	FOR_EACH(c, cases) {
		for (size_t cut = 0; cut <= c->text.n; cut++) {
			struct message_scan m;
			struct str front = test_exact(str_first(c->text, cut));
			struct str back = test_exact(str_from(c->text, cut));
			message_scan_init(&m);
			message_scan_feed(&m, front);
			message_scan_feed(&m, back);
			message_scan_end(&m);
			check(&m, &c->want, c->rule);
			free((char *)front.p);
			free((char *)back.p);
		}
	}
}

TEST_MAIN(RUN(message_scan_in_every_split))
