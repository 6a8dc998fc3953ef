#include "proto/mime_downgrade.h"

#include "base/test.h"

#define V "MIME-Version: 1.0\n"
#define QP "Content-Transfer-Encoding: quoted-printable\n"
#define UNKNOWN "Content-Type: text/plain; charset=unknown-8bit\n"
#define E8 "Content-Transfer-Encoding: 8bit\n"
#define E7 "Content-Transfer-Encoding: 7bit\n"
#define T "Content-Type: text/plain; charset=utf-8\n"
#define MULTI(b) V "Content-Type: multipart/mixed; boundary=" b "\n"
#define AE "\xc3\xa4"
#define AE_QP "=C3=A4"

static const struct {
	const char *rule;
	struct str in, want;
	enum mime_downgrade_fault fault;
} cases[] = {
	{ "empty", STR_INIT(""), STR_INIT("") },
	{ "nothing to do", STR_INIT("Subject: x\n\nabc\n"), STR_INIT("Subject: x\n\nabc\n") },
	{ "CRLF stays", STR_INIT("Subject: x\r\n\r\nabc\r\n"),
	  STR_INIT("Subject: x\r\n\r\nabc\r\n") },
	{ "8bit leaf", STR_INIT(V T E8 "\n" AE "\n"), STR_INIT(V T QP "\n" AE_QP "\n") },
	{ "binary leaf", STR_INIT(V T "Content-Transfer-Encoding: binary\nX: y\n\n" AE),
	  STR_INIT(V T "X: y\n" QP "\n" AE_QP) },
	{ "encoding in any form",
	  STR_INIT(V T "content-transfer-ENCODING :\r\n (c(o)mment) 8BIT (x)\r\n\r\n" AE "\r\n"),
	  STR_INIT(V T QP "\r\n" AE_QP "\r\n") },
	{ "7bit that is true stays, and so does its place", STR_INIT(E7 "Subject: x\n\nabc=\n"),
	  STR_INIT(E7 "Subject: x\n\nabc=\n") },
	{ "7bit that is not true", STR_INIT(V T E7 "X: y\n\na=b\n" AE " \n"),
	  STR_INIT(V T QP "X: y\n\na=3Db\n" AE_QP "=20\n") },
	{ "no MIME at all", STR_INIT("Subject: x\n\na\n" AE "\n"),
	  STR_INIT("Subject: x\n" V UNKNOWN QP "\na\n" AE_QP "\n") },
	{ "type but no version", STR_INIT(T "\n" AE "\n"), STR_INIT(T V QP "\n" AE_QP "\n") },
	{ "no header section", STR_INIT("\n" AE "\n"), STR_INIT(V UNKNOWN QP "\n" AE_QP "\n") },
	{ "no blank line", STR_INIT("X: y\nhello\n" AE "\n"),
	  STR_INIT("X: y\n" V UNKNOWN QP "\nhello\n" AE_QP "\n") },
	{ "header only", STR_INIT("X: y\n"), STR_INIT("X: y\n") },
	{ "8bit header only", STR_INIT(V T E8), STR_INIT(V T QP) },
	{ "no final line end", STR_INIT(T E8 "\n" AE " "), STR_INIT(T V QP "\n" AE_QP "=20") },
	{ "base64 stays", STR_INIT("Content-Transfer-Encoding: base64\n\nAAAA\n"),
	  STR_INIT("Content-Transfer-Encoding: base64\n\nAAAA\n") },
	{ "base64 with rubbish", STR_INIT("Content-Transfer-Encoding: base64\n\nAA" AE "\n"),
	  STR_INIT("Content-Transfer-Encoding: base64\n\nAA?"
		   "?\n") },
	{ "quoted-printable with rubbish", STR_INIT(QP "\na=20" AE "\n"),
	  STR_INIT(QP "\na=20" AE_QP "\n") },
	{ "of two encodings the real one counts",
	  STR_INIT(E8 "Content-Transfer-Encoding: base64\n" E7 "\nAAAA\n"),
	  STR_INIT("Content-Transfer-Encoding: base64\n" E7 "\nAAAA\n") },
	{ "of 7bit and 8bit the latter", STR_INIT(V T E7 E8 "\n" AE "\n"),
	  STR_INIT(V T QP "\n" AE_QP "\n") },

	{ "multipart",
	  STR_INIT(MULTI("b") E8 "\nhello\n--b\n" T E8 "\n" AE "\n--b\n" T "\n7=\n--b--\nbye\n"),
	  STR_INIT(MULTI("b") E7 "\nhello\n--b\n" T QP "\n" AE_QP "\n--b\n" T
				 "\n7=\n--b--\nbye\n") },
	{ "a part that says nothing", STR_INIT(MULTI("b") "\n--b\n\n" AE "\n--b\n\nx\n--b--\n"),
	  STR_INIT(MULTI("b") "\n--b\n" UNKNOWN QP "\n" AE_QP "\n--b\n\nx\n--b--\n") },
	{ "a part without body or blank line",
	  STR_INIT(MULTI("b") "\n--b\n--b\n" T E8 "--b\nX: y\n--b--\n"),
	  STR_INIT(MULTI("b") "\n--b\n--b\n" T QP "--b\nX: y\n--b--\n") },
	{ "a delimiter ends the header section that names it",
	  STR_INIT(MULTI("b") "--b\n" T E8 "\n" AE "\n"),
	  STR_INIT(MULTI("b") "\n--b\n" T QP "\n" AE_QP "\n") },
	{ "margins", STR_INIT(MULTI("b") "\n" AE "\n--b " AE "\n\nx\n--b--\n" AE "\n"),
	  STR_INIT(MULTI("b") "\n??\n--b ??\n\nx\n--b--\n??\n") },
	{ "boundary quoted, folded, with escapes",
	  STR_INIT(V "Content-Type: multipart/mixed; charset=\"a;boundary=x\";\r\n"
		     " (c) boundary=\"a\\\" b\" \r\n\r\n--a\" b\r\n" E8 T "\r\n" AE "\r\n"),
	  STR_INIT(V "Content-Type: multipart/mixed; charset=\"a;boundary=x\";\r\n"
		     " (c) boundary=\"a\\\" b\" \r\n\r\n--a\" b\r\n" T QP "\r\n" AE_QP "\r\n") },
	{ "boundary unquoted with equal signs",
	  STR_INIT(MULTI("-=_x") "\n---=_x\n" T E8 "\n" AE "\n---=_x--\n"),
	  STR_INIT(MULTI("-=_x") "\n---=_x\n" T QP "\n" AE_QP "\n---=_x--\n") },
	{ "nested",
	  STR_INIT(MULTI("a") "\n--a\nContent-Type: multipart/alternative; boundary=ab\n" E8
			      "\n--ab\n" T E8 "\n" AE "\n--ab--\n--a\n" T E8 "\n" AE "\n--a--\n"),
	  STR_INIT(MULTI("a") "\n--a\nContent-Type: multipart/alternative; boundary=ab\n" E7
			      "\n--ab\n" T QP "\n" AE_QP "\n--ab--\n--a\n" T QP "\n" AE_QP
			      "\n--a--\n") },
	{ "the outer boundary ends the inner multipart",
	  STR_INIT(MULTI("a") "\n--a\nContent-Type: multipart/mixed; boundary=x\n\n--x\n" T E8
			      "\n" AE "\n--a\n" T "\n--x\n--a--\n"),
	  STR_INIT(MULTI("a") "\n--a\nContent-Type: multipart/mixed; boundary=x\n\n--x\n" T QP
			      "\n" AE_QP "\n--a\n" T "\n--x\n--a--\n") },
	{ "of two boundaries that fit the longer one is meant",
	  STR_INIT(MULTI("ab") "\n--ab\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\n"
			       "x\n--ab--\n--a\n" T E8 "\n" AE "\n"),
	  STR_INIT(MULTI("ab") "\n--ab\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\n"
			       "x\n--ab--\n--a\n" T E8 "\n??\n") },
	{ "message/rfc822",
	  STR_INIT(V "Content-Type: message/rfc822\n" E8 "\nSubject: x\n" E8 "\n" AE "\n"),
	  STR_INIT(V "Content-Type: message/rfc822\n" E7 "\nSubject: x\n" V UNKNOWN QP "\n" AE_QP
		     "\n") },
	{ "digest",
	  STR_INIT(V "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\n" AE
		     "\n--b--\n"),
	  STR_INIT(V
		   "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n" V UNKNOWN QP
		   "\n" AE_QP "\n--b--\n") },
	{ "message/global may be encoded",
	  STR_INIT(V "Content-Type: message/global\n" E8 "\nSubject: " AE "\n"),
	  STR_INIT(V "Content-Type: message/global\n" QP "\nSubject: " AE_QP "\n") },
	{ "message/delivery-status with 7 bit",
	  STR_INIT(V "Content-Type: message/delivery-status\n" E8 "\nA: b\n"),
	  STR_INIT(V "Content-Type: message/delivery-status\n" E7 "\nA: b\n") },

	{ "8-bit subject", STR_INIT("Subject: " AE "\n\nx\n"), STR_INIT(""),
	  MIME_DOWNGRADE_8BIT_HEADER },
	{ "8-bit part header", STR_INIT(MULTI("b") "\n--b\nX: " AE "\n\nx\n"), STR_INIT(""),
	  MIME_DOWNGRADE_8BIT_HEADER },
	{ "8-bit message/partial", STR_INIT("Content-Type: message/partial\n" E8 "\n" AE "\n"),
	  STR_INIT(""), MIME_DOWNGRADE_8BIT_OPAQUE },
	{ "8-bit uuencode", STR_INIT("Content-Transfer-Encoding: x-uu\n\n" AE "\n"), STR_INIT(""),
	  MIME_DOWNGRADE_8BIT_UNKNOWN_ENCODING },
	{ "no boundary", STR_INIT("Content-Type: multipart/mixed\n\n" AE "\n"), STR_INIT(""),
	  MIME_DOWNGRADE_NO_BOUNDARY },
	{ "no boundary and no 8 bit", STR_INIT("Content-Type: multipart/mixed\n\nx\n"),
	  STR_INIT("Content-Type: multipart/mixed\n\nx\n") },

	{ "soft line ends",
	  STR_INIT(V T E8 "\n123456789 123456789 123456789 123456789 123456789 123456789 "
			  "123456789 12345" AE "67\n"),
	  STR_INIT(V T QP "\n123456789 123456789 123456789 123456789 123456789 123456789 "
			  "123456789 12345=\n" AE_QP "67\n") },
	{ "a soft line end makes no boundary",
	  STR_INIT(MULTI("b") "\n--b\n" T E8
			      "\n\xc3\xa4 23456789 123456789 123456789 123456789 123456789 "
			      "123456789 123456789--b\n--b--\n"),
	  STR_INIT(MULTI("b") "\n--b\n" T QP
			      "\n=C3=A4 23456789 123456789 123456789 123456789 123456789 "
			      "123456789 123456789=\n=2D-b\n--b--\n") },
	{ "a bare CR is quoted", STR_INIT(V T E8 "\na\rb\r\r\n"),
	  STR_INIT(V T QP "\na=0Db=0D\r\n") },
	{ "tab at a line's end", STR_INIT(V T E8 "\n\t\n \t \n"),
	  STR_INIT(V T QP "\n=09\n \t=20\n") },
};

static void run(struct mime_downgrade *d, struct str in, struct buf *out)
{
	struct str exact = test_exact(in);

	(void)!mime_downgrade_feed(d, exact, out);
	free((void *)(uintptr_t)exact.p);
}

static void split(int i, size_t at)
{
	struct mime_downgrade *d = mime_downgrade_new();
	struct buf out;

	buf_init(&out, MIME_DOWNGRADE_MAX(cases[i].in.n));
	run(d, str_first(cases[i].in, at), &out);
	run(d, str_from(cases[i].in, at), &out);
	ok(mime_downgrade_end(d, &out) == cases[i].fault, cases[i].rule);
	if (cases[i].fault == MIME_DOWNGRADE_FINE)
		ok_str(buf_str(&out), cases[i].want, cases[i].rule);
	buf_fini(&out);
	mime_downgrade_free(d);
}

TEST(every_split)
{
	for (int i = 0; i < (int)ARRAY_LEN(cases); i++)
		for (size_t at = 0; at <= cases[i].in.n; at++)
			split(i, at);
}

static enum mime_downgrade_fault convert(struct str in, struct buf *out)
{
	struct mime_downgrade *d = mime_downgrade_new();

	(void)!mime_downgrade_feed(d, in, out);
	enum mime_downgrade_fault f = mime_downgrade_end(d, out);
	mime_downgrade_free(d);
	return f;
}

/* More than is held back: it becomes quoted-printable without looking further. */
TEST(long_7bit_part)
{
	struct buf in, out;
	size_t at;

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 22);
	ok(buf_add(&in, STR(V T "\n")), "header");
	while (buf_len(&in) < 3 * MIME_PEEK_MAX)
		ok(buf_add(&in, STR("seven = bit\n")), "lines");
	ok(buf_add(&in, STR(AE "\n")), "the last line");
	ok(convert(buf_str(&in), &out) == MIME_DOWNGRADE_FINE, "converted");
	ok(str_search(buf_str(&out), STR(V T QP "\nseven =3D bit\n"), &at) && at == 0, "all of it");
	ok(str_has_suffix(buf_str(&out), STR("\nseven =3D bit\n" AE_QP "\n")), "to the end");
	buf_fini(&in);
	buf_fini(&out);
}

/* Lines longer than the line buffer, with CR LF at its edge. */
TEST(long_lines)
{
	struct buf in, out;

	for (size_t n = 4090; n < 4100; n++) {
		buf_init(&in, 1 << 20);
		buf_init(&out, 1 << 20);
		ok(buf_add(&in, STR("Content-Transfer-Encoding: base64\r\nX: ")), "header");
		for (size_t i = 0; i < n; i++)
			ok(buf_add_char(&in, 'x'), "field");
		ok(buf_add(&in, STR("\r\n\r\n")), "blank line");
		for (size_t i = 0; i < n; i++)
			ok(buf_add_char(&in, 'x'), "line");
		ok(buf_add(&in, STR("\r\nx\r\n")), "line");
		ok(convert(buf_str(&in), &out) == MIME_DOWNGRADE_FINE, "converted");
		ok_str(buf_str(&out), buf_str(&in), "as it was");
		buf_fini(&in);
		buf_fini(&out);
	}
}

/* A header section too long to hold: the encoding field moves to its end. */
TEST(long_header)
{
	struct buf in, out;
	size_t at;

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	ok(buf_add(&in, STR(E7 V T)), "fields");
	while (buf_len(&in) < 2 * MIME_PEEK_MAX)
		ok(buf_add(&in, STR("Subject: x\n")), "more");
	ok(buf_add(&in, STR("\nx\n")), "body");
	ok(convert(buf_str(&in), &out) == MIME_DOWNGRADE_FINE, "fine");
	ok(buf_len(&in) == buf_len(&out), "nothing is lost");
	ok(str_search(buf_str(&out), STR("Subject: x\n" E7 "\nx\n"), &at), "at the end");
	buf_fini(&in);
	buf_fini(&out);
}

static enum mime_downgrade_fault nest(unsigned depth)
{
	struct buf in, out;

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	for (unsigned i = 0; i < depth; i++)
		ok(buf_fmt(&in, "Content-Type: multipart/mixed; boundary=b%u-\n\n--b%u-\n", i, i),
		   "level");
	ok(buf_add(&in, STR(E8 T "\n" AE "\n")), "leaf");
	enum mime_downgrade_fault f = convert(buf_str(&in), &out);
	buf_fini(&in);
	buf_fini(&out);
	return f;
}

TEST(depth)
{
	ok(nest(MIME_DEPTH_MAX) == MIME_DOWNGRADE_FINE, "the deepest");
	ok(nest(MIME_DEPTH_MAX + 1) == MIME_DOWNGRADE_TOO_DEEP, "one more");
}

TEST(full)
{
	struct buf out;

	buf_init(&out, 10);
	ok(convert(STR("Subject: hello\n\nx\n"), &out) == MIME_DOWNGRADE_FULL, "told");
	buf_fini(&out);
}

TEST_MAIN(RUN(every_split), RUN(long_7bit_part), RUN(long_lines), RUN(long_header), RUN(depth),
	  RUN(full))
