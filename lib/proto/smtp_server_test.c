/* The server engine against scripts. A line of a script is
 *
 *	C text     the client sends it, with CRLF; "C_ text" without
 *	S text     the engine has written exactly this line
 *	Q event    smtp_server_next gives it, and it is accepted; its words are looked for in order
 *	E event    smtp_server_next gives it, no more
 *	E* CONTENT some content may come before the next event
 *	! action   accept, tls_up, eof, tick (to the deadline), stop, answer 550 5.1.1 TEXT, raw,
 *	           challenge TEXT, silent (there is no output)
 *
 * Every script runs twice: lines that follow each other in one piece, and octet by octet, with
 * the events pulled after each. */

#include "proto/smtp_server.h"

#include "base/test.h"

#define ALL_EXTENSIONS                                                                             \
	(SMTP_EXT_PIPELINING | SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |             \
	 SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN | SMTP_EXT_STARTTLS | SMTP_EXT_REQUIRETLS)

static const struct smtp_server_options plain = { .hostname = STR_INIT("mx"), .command_ms = 5 };
static const struct smtp_server_options full = {
	.hostname = STR_INIT("mx"), .extensions = ALL_EXTENSIONS, .size_limit = 20, .data_ms = 7
};
static const struct smtp_server_options misplaced = { .hostname = STR_INIT("mx"),
						      .extensions = SMTP_EXT_STARTTLS,
						      .out_of_place = SMTP_EXT_REQUIRETLS };
static const struct smtp_server_options lmtp = { .dialect = SMTP_DIALECT_LMTP,
						 .hostname = STR_INIT("mx") };
static const struct smtp_server_options normalises = { .hostname = STR_INIT("mx"),
						       .bare_newline = SMTP_BARE_NORMALISE };
static const struct smtp_server_options few = { .hostname = STR_INIT("mx"),
						.recipients_max = 1,
						.errors_max = 2 };

static const struct smtp_server_options chunks = {
	.hostname = STR_INIT("mx"),
	.extensions = SMTP_EXT_CHUNKING | SMTP_EXT_PIPELINING,
	.size_limit = 20,
};
static const struct smtp_server_options lmtp_chunks = { .dialect = SMTP_DIALECT_LMTP,
							.hostname = STR_INIT("mx"),
							.extensions = SMTP_EXT_CHUNKING };
static const struct smtp_server_options auth = { .hostname = STR_INIT("mx"),
						 .extensions = SMTP_EXT_AUTH | SMTP_EXT_STARTTLS,
						 .mechanisms = STR_INIT("PLAIN LOGIN") };
static const struct smtp_server_options auth_in_clear = {
	.hostname = STR_INIT("mx"),
	.extensions = SMTP_EXT_AUTH,
	.mechanisms_in_clear = STR_INIT("X"),
};
static const struct smtp_server_options needs_tls = { .hostname = STR_INIT("mx"),
						      .extensions = SMTP_EXT_STARTTLS,
						      .needs_tls = true };
static const struct smtp_server_options slow = {
	.hostname = STR_INIT("mx"), .errors_soft_max = 1, .error_delay_ms = 9, .junk_max = 2
};
static const struct smtp_server_options counts = { .hostname = STR_INIT("mx"),
						   .errors_max = 2,
						   .counts_refusals = true };
static const struct smtp_server_options easy = { .hostname = STR_INIT("mx"),
						 .takes_bare_names = true,
						 .is_helo_optional = true };

#define HELLO "Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO c\nS 250 mx\n"
#define HELLO_FULL                                                                                 \
	"Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO c\nS 250-mx\nS 250-PIPELINING\nS 250-SIZE 20\n" \
	"S 250-8BITMIME\nS 250-SMTPUTF8\nS 250-ENHANCEDSTATUSCODES\nS 250-DSN\nS 250 STARTTLS\n"
#define HELLO_CHUNKS                                                                               \
	"Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO c\nS 250-mx\nS 250-PIPELINING\n"                \
	"S 250 CHUNKING\n"
#define HELLO_AUTH                                                                                 \
	"Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO c\nS 250-mx\nS 250 STARTTLS\nC STARTTLS\n"      \
	"Q STARTTLS\nS 220 go ahead\nE START_TLS\n! tls_up\nC EHLO c\nQ HELO c\nS 250-mx\n"        \
	"S 250 AUTH PLAIN LOGIN\n"
#define TO_RCPT                                                                                    \
	"C MAIL FROM:<a@b>\nQ MAIL a@b\nS 250 sender ok\nC RCPT TO:<c@d>\nQ RCPT 0 c@d\n"          \
	"S 250 recipient ok\n"
#define TO_DATA                                                                                    \
	"C MAIL FROM:<a@b>\nQ MAIL a@b\nS 250 sender ok\nC RCPT TO:<c@d>\nQ RCPT 0 c@d\n"          \
	"S 250 recipient ok\nC DATA\nQ DATA\nS 354 end data with <CRLF>.<CRLF>\n"

static const struct {
	const char *rule;
	const struct smtp_server_options *options;
	const char *script;
} cases[] = {
	{ "a message", &plain,
	  HELLO TO_DATA "C Subject: x\nC \nC ..dot\nC .\nE CONTENT Subject: x  .dot\nQ MESSAGE 0\n"
			"S 250 ok\nC QUIT\nQ QUIT\nS 221 bye\nE CLOSED QUIT\n" },
	{ "an empty message", &plain, HELLO TO_DATA "C .\nQ MESSAGE\nS 250 ok\n" },
	{ "HELO gives no extensions", &full,
	  "Q GREET\nS 220 mx ESMTP\nC HELO c\nQ HELO c\nS 250 mx\nC MAIL FROM:<> SIZE=1\n"
	  "S 555 5.5.4 unknown parameter\n" },
	{ "EHLO and parameters", &full,
	  HELLO_FULL
	  "C MAIL FROM:<a@b> SIZE=5 BODY=8BITMIME RET=FULL ENVID=x\n"
	  "Q MAIL a@b size=5 body=2 ret=FULL envid=x\nS 250 2.1.0 sender ok\n"
	  "C RCPT TO:<@r.example:c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By\n"
	  "Q RCPT 0 c@d notify=SUCCESS,DELAY orcpt=rfc822;x+2By\nS 250 2.1.5 recipient ok\n" },
	{ "commands ahead wait for their answers", &full,
	  HELLO_FULL
	  "C MAIL FROM:<>\nC RCPT TO:<x@y>\nC RCPT TO:<z@y>\nC DATA\nQ MAIL\nE RCPT 0 x@y\n"
	  "! answer 550 5.1.1 no\nQ RCPT 0 z@y\nQ DATA\nS 250 2.1.0 sender ok\n"
	  "S 550 5.1.1 no\nS 250 2.1.5 recipient ok\n"
	  "S 354 end data with <CRLF>.<CRLF>\n" },
	{ "the application refuses", &plain,
	  HELLO
	  "C MAIL FROM:<>\nE MAIL\n! answer 451 4.3.0 not now\nS 451 not now\nC RCPT TO:<x@y>\n"
	  "S 503 MAIL comes first\n" },
	{ "DATA without recipients", &plain,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC DATA\nS 554 no valid recipients\n" },
	{ "DATA refused, transaction stays", &plain,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC RCPT TO:<x@y>\nQ RCPT\n"
		"S 250 recipient ok\nC DATA\nE DATA\n! answer 451 4.3.0 no\nS 451 no\nC DATA\n"
		"Q DATA\nS 354 end data with <CRLF>.<CRLF>\n" },
	{ "message refused by the application", &plain,
	  HELLO TO_DATA "C .\nE MESSAGE\n! answer 554 5.7.1 spam\nS 554 spam\nC RCPT TO:<x@y>\n"
			"S 503 MAIL comes first\n" },
	{ "sequence", &plain,
	  "Q GREET\nS 220 mx ESMTP\nC MAIL FROM:<>\nS 503 say who you are first\nC RCPT TO:<x@y>\n"
	  "S 503 MAIL comes first\nC EHLO\nS 501 say who you are\nC EHLO c\nQ HELO\nS 250 mx\n"
	  "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC MAIL FROM:<>\nS 503 one MAIL at a time\n"
	  "C RSET\nE DROP\nQ RSET\nS 250 ok\nC MAIL FROM:<>\nQ MAIL\nS 250 sender ok\n" },
	{ "a new EHLO drops the transaction", &plain,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC EHLO c\nE DROP\nQ HELO\nS 250 mx\n" },
	{ "the small commands", &plain,
	  HELLO
	  "C NOOP x\nQ NOOP x\nS 250 ok\nC VRFY x\nQ VRFY x\nS 252 send mail and see\nC VRFY\n"
	  "S 501 whom?\nC HELP\nQ HELP\nS 214 RFC 5321\nC EXPN x\nS 502 not here\nC WHAT\n"
	  "S 500 unknown command\nC \nS 500 unknown command\nC RSET x\n"
	  "S 501 no parameter here\nC LHLO x\nS 500 not in this protocol\n" },
	{ "a greeting of 554 serves nobody", &plain,
	  "E GREET\n! answer 554 5.3.2 go away\nS 554 go away\nC EHLO c\nS 503 no service for you\n"
	  "C QUIT\nQ QUIT\nS 221 bye\nE CLOSED\n" },
	{ "421 ends the session", &plain,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC NOOP\nE NOOP\n! answer 421 4.3.2 bye\n"
		"S 421 bye\nE DROP\nE CLOSED\n" },
	{ "raw octets instead of a reply", &plain, HELLO "C NOOP\nE NOOP\n! raw hello\nS hello\n" },

	{ "too big by SIZE=", &full,
	  HELLO_FULL "C MAIL FROM:<> SIZE=21\nS 552 5.3.4 the message is too big\n" },
	{ "too big by its octets", &full,
	  HELLO_FULL "C MAIL FROM:<>\nQ MAIL\nS 250 2.1.0 sender ok\nC RCPT TO:<x@y>\nQ RCPT\n"
		     "S 250 2.1.5 recipient ok\nC DATA\nQ DATA\nS 354 end data with <CRLF>.<CRLF>\n"
		     "C 012345678901234567890\nC .\nE* CONTENT\nE DROP\n"
		     "S 552 5.3.4 the message is too big\n" },
	{ "too many recipients", &few,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC RCPT TO:<x@y>\nQ RCPT\n"
		"S 250 recipient ok\nC RCPT TO:<z@y>\nS 452 too many recipients\n" },
	{ "too many errors", &few,
	  HELLO "C X\nS 500 unknown command\nC Y\nS 500 unknown command\nS 421 too many errors\n"
		"E CLOSED errors\n" },

	{ "bare LF in a command", &plain,
	  HELLO "C_ NOOP\n! lf\nS 521 a line ends with CR LF\nE CLOSED bare LF\n" },
	{ "bare LF in a command, normalised", &normalises,
	  HELLO "C_ NOOP\n! lf\nQ NOOP\nS 250 ok\n" },
	{ "bare LF in a message", &plain,
	  HELLO TO_DATA
	  "C_ a\n! lf\nC_ .\n! lf\nC MAIL FROM:<smuggled@x>\nC .\nE* CONTENT\nE DROP\n"
	  "S 550 the message has a CR or LF that stands alone\n" },
	{ "bare LF in a message, normalised", &normalises,
	  HELLO TO_DATA
	  "C_ a\n! lf\nC_ .\n! lf\nC b\nC .\nE CONTENT a . b\nQ MESSAGE\nS 250 ok\n" },
	{ "NUL and controls in a command", &plain,
	  HELLO "C NOOP \x01\nS 500 control octets in a command\n" },

	{ "STARTTLS, then all anew", &full,
	  HELLO_FULL "C MAIL FROM:<>\nQ MAIL\nS 250 2.1.0 sender ok\nC STARTTLS\nQ STARTTLS\n"
		     "S 220 2.0.0 go ahead\nE DROP\nE START_TLS\n! tls_up\nC MAIL FROM:<>\n"
		     "S 503 5.5.1 say who you are first\nC EHLO c\nQ HELO\nS 250-mx\n"
		     "S 250-PIPELINING\nS 250-SIZE 20\nS 250-8BITMIME\nS 250-SMTPUTF8\n"
		     "S 250-ENHANCEDSTATUSCODES\nS 250-DSN\nS 250 REQUIRETLS\nC STARTTLS\n"
		     "S 503 5.5.1 TLS is up already\nC MAIL FROM:<> REQUIRETLS\nQ MAIL requiretls\n"
		     "S 250 2.1.0 sender ok\n" },
	{ "REQUIRETLS only inside TLS", &full,
	  HELLO_FULL "C MAIL FROM:<> REQUIRETLS\nS 555 5.5.4 unknown parameter\n" },
	{ "announced out of place, and not taken there", &misplaced,
	  "Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO c\nS 250-mx\nS 250-STARTTLS\n"
	  "S 250 REQUIRETLS\nC MAIL FROM:<> REQUIRETLS\nS 555 unknown parameter\nC STARTTLS\n"
	  "Q STARTTLS\nS 220 go ahead\nE START_TLS\n! tls_up\nC EHLO c\nQ HELO\nS 250 mx\n" },
	{ "STARTTLS refused by the application", &full,
	  HELLO_FULL
	  "C STARTTLS\nE STARTTLS\n! answer 454 4.7.0 no\nS 454 4.7.0 no\nC NOOP\nQ NOOP\n"
	  "S 250 2.0.0 ok\n" },
	{ "STARTTLS not offered", &plain, HELLO "C STARTTLS\nS 502 no TLS here\n" },

	{ "LMTP answers for each recipient", &lmtp,
	  "Q GREET\nS 220 mx LMTP\nC EHLO c\nS 500 not in this protocol\nC LHLO c\nQ HELO\nS 250 "
	  "mx\n"
	  "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC DATA\nS 503 no valid recipients\n"
	  "C RCPT TO:<a@b>\nQ RCPT 0\nS 250 recipient ok\nC RCPT TO:<c@d>\nE RCPT 1\n"
	  "! answer 550 5.1.1 no\nS 550 no\nC RCPT TO:<e@f>\nQ RCPT 1 e@f\nS 250 recipient ok\n"
	  "C DATA\nQ DATA\nS 354 end data with <CRLF>.<CRLF>\nC .\nQ MESSAGE 0\nE MESSAGE 1\n"
	  "! answer 452 4.2.2 full\nS 250 ok\nS 452 full\n" },

	{ "a message in chunks", &chunks,
	  HELLO_CHUNKS TO_RCPT
	  "C BDAT 4\nC_ a\n! crlf\nC_ .\nQ DATA\nE CONTENT a  .\nS 250 4 octets so far\n"
	  "C BDAT 0\nS 250 4 octets so far\nC BDAT 3 LAST\n! crlf\nC_ b\nE CONTENT b\n"
	  "Q MESSAGE\nS 250 ok\nC MAIL FROM:<>\nQ MAIL\nS 250 sender ok\n" },
	{ "commands and chunks ahead", &chunks,
	  HELLO_CHUNKS
	  "C MAIL FROM:<>\nC RCPT TO:<c@d>\nC BDAT 3\nC_ a\n! crlf\nC BDAT 5 LAST\nC_ abc\n! crlf\n"
	  "C QUIT\nQ MAIL\nQ RCPT\nQ DATA\nE CONTENT a  abc\nQ MESSAGE\nQ QUIT\nE CLOSED\n"
	  "S 250 sender ok\nS 250 recipient ok\nS 250 3 octets so far\nS 250 ok\nS 221 bye\n" },
	{ "an empty message by BDAT", &chunks,
	  HELLO_CHUNKS TO_RCPT "C BDAT 0 LAST\nQ DATA\nQ MESSAGE\nS 250 ok\n" },
	{ "chunks and DATA do not mix", &chunks,
	  HELLO_CHUNKS TO_RCPT
	  "C BDAT 3\nC_ a\n! crlf\nQ DATA\nE CONTENT a\nS 250 3 octets so far\nC DATA\n"
	  "S 503 BDAT has begun the message\nC RCPT TO:<e@f>\nS 503 the message has begun\n"
	  "C BDAT 0 LAST\nQ MESSAGE\nS 250 ok\n" },
	{ "BDAT without transaction eats its octets", &chunks,
	  HELLO_CHUNKS "C BDAT 6\nC NOOP\nS 503 MAIL comes first\nC NOOP\nQ NOOP\nS 250 ok\n" },
	{ "BDAT without recipients", &chunks,
	  HELLO_CHUNKS "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC BDAT 6 LAST\nC NOOP\n"
		       "S 554 no valid recipients\nC NOOP\nQ NOOP\nS 250 ok\n" },
	{ "BDAT refused by the application", &chunks,
	  HELLO_CHUNKS TO_RCPT
	  "C BDAT 6\nC NOOP\nC BDAT 6 LAST\nC NOOP\nE DATA\n! answer 451 4.3.0 no\nE DROP\n"
	  "S 451 no\nS 503 a chunk before this one failed\nC MAIL FROM:<>\nQ MAIL\n"
	  "S 250 sender ok\n" },
	{ "BDAT beyond the limit", &chunks,
	  HELLO_CHUNKS TO_RCPT
	  "C BDAT 21\nC_ 01234567890123456789x\nC BDAT 3 LAST\nC_ a\n! crlf\nQ DATA\nE DROP\n"
	  "S 552 the message is too big\nS 503 a chunk before this one failed\n" },
	{ "BDAT with a bare LF", &chunks,
	  HELLO_CHUNKS TO_RCPT "C BDAT 3 LAST\nC_ a\n! lf\nC_ b\nQ DATA\nE* CONTENT\nE DROP\n"
			       "S 550 the message has a CR or LF that stands alone\n" },
	{ "BDAT, then RSET", &chunks,
	  HELLO_CHUNKS TO_RCPT
	  "C BDAT 3\nC_ a\n! crlf\nQ DATA\nE CONTENT a\nS 250 3 octets so far\nC RSET\nE DROP\n"
	  "Q RSET\nS 250 ok\nC BDAT 0 LAST\nS 503 MAIL comes first\n" },
	{ "BDAT without a size", &chunks,
	  HELLO_CHUNKS "C BDAT x\nS 521 BDAT size [LAST]\nE CLOSED BDAT without size\n" },
	{ "BDAT not offered", &plain, HELLO "C BDAT 1\nS 502 no BDAT here\n" },
	{ "LMTP by BDAT", &lmtp_chunks,
	  "Q GREET\nS 220 mx LMTP\nC LHLO c\nQ HELO\nS 250-mx\nS 250 CHUNKING\n" TO_RCPT
	  "C RCPT TO:<e@f>\nQ RCPT 1\nS 250 recipient ok\nC BDAT 3 LAST\nC_ a\n! crlf\nQ DATA\n"
	  "E CONTENT a\nQ MESSAGE 0\nQ MESSAGE 1\nS 250 ok\nS 250 ok\n" },

	{ "AUTH with an initial response", &auth,
	  HELLO_AUTH "C AUTH PLAIN AHUAcA==\nQ AUTH PLAIN response=\nS 235 welcome\n"
		     "C AUTH PLAIN\nS 503 you are authenticated already\nC MAIL FROM:<> AUTH=<>\n"
		     "Q MAIL\nS 250 sender ok\n" },
	{ "AUTH with challenges", &auth,
	  HELLO_AUTH "C AUTH login\nE AUTH login\n! challenge User\nS 334 VXNlcg==\nC bWU=\n"
		     "E RESPONSE response=me\n! challenge Pass\nS 334 UGFzcw==\nC \n"
		     "E RESPONSE response=\n! answer 535 5.7.8 no\nS 535 no\nC NOOP\nQ NOOP\n"
		     "S 250 ok\n" },
	{ "an empty initial response", &auth,
	  HELLO_AUTH "C AUTH PLAIN =\nE AUTH PLAIN response=\n! answer 535 5.7.8 no\nS 535 no\n" },
	{ "AUTH cancelled", &auth,
	  HELLO_AUTH "C AUTH LOGIN\nE AUTH LOGIN\n! challenge x\nS 334 eA==\nC *\nE AUTH_DROP\n"
		     "S 501 cancelled, as you wish\nC NOOP\nQ NOOP\nS 250 ok\n" },
	{ "AUTH and no base 64", &auth,
	  HELLO_AUTH "C AUTH PLAIN !\nS 501 that is no base 64\nC AUTH LOGIN\nE AUTH LOGIN\n"
		     "! challenge x\nS 334 eA==\nC !\nE AUTH_DROP\nS 501 that is no base 64\n" },
	{ "AUTH and its order", &auth,
	  "Q GREET\nS 220 mx ESMTP\nC AUTH PLAIN\nS 538 not before STARTTLS\nC STARTTLS\n"
	  "Q STARTTLS\nS 220 go ahead\nE START_TLS\n! tls_up\nC AUTH PLAIN\n"
	  "S 503 EHLO comes first\nC EHLO c\nQ HELO\nS 250-mx\nS 250 AUTH PLAIN LOGIN\nC AUTH\n"
	  "S 501 AUTH mechanism [response]\nC AUTH PLAIN a b\nS 501 AUTH mechanism [response]\n"
	  "C AUTH X\nS 504 unknown mechanism\nC MAIL FROM:<>\nQ MAIL\nS 250 sender ok\n"
	  "C AUTH PLAIN\nS 503 not within a transaction\n" },
	{ "AUTH not offered", &plain, HELLO "C AUTH PLAIN\nS 503 no authentication here\n" },
	{ "AUTH in the clear", &auth_in_clear,
	  "Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO\nS 250-mx\nS 250 AUTH X\nC AUTH X\nQ AUTH X\n"
	  "S 235 welcome\n" },
	{ "the peer goes in the middle of AUTH", &auth,
	  HELLO_AUTH "C AUTH LOGIN\nE AUTH LOGIN\n! challenge x\nS 334 eA==\n! eof\nE AUTH_DROP\n"
		     "E CLOSED\n" },

	{ "TLS is needed", &needs_tls,
	  "Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO\nS 250-mx\nS 250 STARTTLS\nC MAIL FROM:<>\n"
	  "S 530 STARTTLS comes first\nC NOOP\nQ NOOP\nS 250 ok\nC STARTTLS\nQ STARTTLS\n"
	  "S 220 go ahead\nE START_TLS\n! tls_up\nC EHLO c\nQ HELO\nS 250 mx\nC MAIL FROM:<>\n"
	  "Q MAIL\nS 250 sender ok\n" },
	{ "replies become slow", &slow,
	  HELLO "C X\nS 500 unknown command\nC X\nS 500 unknown command\nC X\nE NOTHING\n"
		"C NOOP\nE NOTHING\n! silent\n! tick\nS 500 unknown command\nQ NOOP\n! silent\n"
		"! tick\nS 250 ok\n" },
	{ "junk counts as errors", &slow,
	  HELLO "C NOOP\nQ NOOP\nS 250 ok\nC NOOP\nQ NOOP\nS 250 ok\nC NOOP\nQ NOOP\n! silent\n! "
		"tick\nS 250 ok\n" },
	{ "refusals count as errors", &counts,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC RCPT TO:<a@b>\nE RCPT\n"
		"! answer 550 5.1.1 no\nS 550 no\nC RCPT TO:<a@b>\nE RCPT\n! answer 550 5.1.1 no\n"
		"E DROP\nE CLOSED too many errors\nS 550 no\nS 421 too many errors\n" },
	{ "a message clears the count", &counts,
	  HELLO "C X\nS 500 unknown command\n" TO_DATA "C .\nQ MESSAGE\nS 250 ok\nC X\n"
		"S 500 unknown command\n" },
	{ "no HELO, no domains", &easy,
	  "Q GREET\nS 220 mx ESMTP\nC MAIL FROM:<root>\nQ MAIL root\nS 250 sender ok\n"
	  "C RCPT TO:<\"a b\">\nQ RCPT 0 \"a b\"\nS 250 recipient ok\n" },
	{ "paths need domains", &plain,
	  HELLO "C MAIL FROM:<root>\nS 501 the address has no domain\n" },

	{ "time-out", &plain, HELLO "! tick\nS 421 you took too long\nE CLOSED silent\n" },
	{ "no time-out while a question is open", &plain,
	  HELLO "C NOOP\nE NOOP\n! tick\n! accept\nS 250 ok\n" },
	{ "time-out in a message", &full,
	  HELLO_FULL "C MAIL FROM:<>\nQ MAIL\nS 250 2.1.0 sender ok\nC RCPT TO:<x@y>\nQ RCPT\n"
		     "S 250 2.1.5 recipient ok\nC DATA\nQ DATA\nS 354 end data with <CRLF>.<CRLF>\n"
		     "! tick\nS 421 4.4.2 you took too long\nE DROP\nE CLOSED\n" },
	{ "the peer goes", &plain,
	  HELLO
	  "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\n! eof\nE DROP\nE CLOSED the peer closed\n" },
	{ "the peer goes after its last command", &plain,
	  HELLO "C NOOP\n! eof\nQ NOOP\nE CLOSED the peer closed\nS 250 ok\n" },
	{ "shutdown", &plain, HELLO "! stop\nE CLOSED shutting down\nS 421 shutting down\n" },
};

enum { PENDING_MAX = 8 };

struct run {
	struct smtp_server *s;
	const char *rule;
	bool by_octet;
	char fed[4096];
	size_t n_fed;
	struct arena *a;
	struct str pending[PENDING_MAX]; /* events that were pulled and not asked for */
	size_t n_pending;
};

static const char *const kinds[] = {
	[SMTP_SERVER_NOTHING] = "NOTHING",
	[SMTP_SERVER_GREET] = "GREET",
	[SMTP_SERVER_HELO] = "HELO",
	[SMTP_SERVER_STARTTLS] = "STARTTLS",
	[SMTP_SERVER_MAIL] = "MAIL",
	[SMTP_SERVER_RCPT] = "RCPT",
	[SMTP_SERVER_DATA] = "DATA",
	[SMTP_SERVER_MESSAGE] = "MESSAGE",
	[SMTP_SERVER_RSET] = "RSET",
	[SMTP_SERVER_NOOP] = "NOOP",
	[SMTP_SERVER_VRFY] = "VRFY",
	[SMTP_SERVER_HELP] = "HELP",
	[SMTP_SERVER_QUIT] = "QUIT",
	[SMTP_SERVER_AUTH] = "AUTH",
	[SMTP_SERVER_AUTH_RESPONSE] = "RESPONSE",
	[SMTP_SERVER_CONTENT] = "CONTENT",
	[SMTP_SERVER_DROP] = "DROP",
	[SMTP_SERVER_AUTH_DROP] = "AUTH_DROP",
	[SMTP_SERVER_START_TLS] = "START_TLS",
	[SMTP_SERVER_CLOSED] = "CLOSED",
};

static struct str render(struct arena *a, struct smtp_server_event e)
{
	if (e.kind == SMTP_SERVER_MAIL)
		return arena_fmt(a,
				 "MAIL " STR_FMT " size=%llu body=%d%s%s ret=" STR_FMT
				 " envid=" STR_FMT,
				 STR_ARG(e.mail.sender), (unsigned long long)e.mail.size_octets,
				 (int)e.mail.body, e.mail.is_smtputf8 ? " smtputf8" : "",
				 e.mail.is_requiretls ? " requiretls" : "", STR_ARG(e.mail.ret),
				 STR_ARG(e.mail.envid));
	if (e.kind == SMTP_SERVER_RCPT)
		return arena_fmt(a, "RCPT %zu " STR_FMT " notify=" STR_FMT " orcpt=" STR_FMT,
				 e.index, STR_ARG(e.rcpt.address), STR_ARG(e.rcpt.notify),
				 STR_ARG(e.rcpt.orcpt));
	if (e.kind == SMTP_SERVER_AUTH || e.kind == SMTP_SERVER_AUTH_RESPONSE)
		return arena_fmt(a, "%s " STR_FMT "%s" STR_FMT, kinds[e.kind], STR_ARG(e.argument),
				 e.has_response ? " response=" : "", STR_ARG(e.response));
	return arena_fmt(a, "%s %zu " STR_FMT STR_FMT, kinds[e.kind], e.index, STR_ARG(e.argument),
			 STR_ARG(e.content));
}

/* Pieces of content become one. */
static void keep(struct run *r, struct smtp_server_event e)
{
	struct str *last = r->n_pending ? &r->pending[r->n_pending - 1] : NULL;

	if (e.kind == SMTP_SERVER_CONTENT && last && str_has_prefix(*last, STR("CONTENT"))) {
		*last = arena_fmt(r->a, STR_FMT STR_FMT, STR_ARG(*last), STR_ARG(e.content));
		return;
	}
	ok(r->n_pending < PENDING_MAX, r->rule);
	r->pending[r->n_pending++] = render(r->a, e);
}

static void pull(struct run *r)
{
	struct smtp_server_event e;

	while ((e = smtp_server_next(r->s)).kind != SMTP_SERVER_NOTHING)
		keep(r, e);
}

static void flush(struct run *r)
{
	size_t step = r->by_octet ? 1 : r->n_fed;

	for (size_t at = 0; at < r->n_fed; at += step) {
		struct str piece = test_exact(str_span(r->fed + at, step));
		smtp_server_read(r->s, piece, 100);
		free((void *)(uintptr_t)piece.p);
		pull(r);
	}
	r->n_fed = 0;
}

static void client_says(struct run *r, struct str octets)
{
	memcpy(r->fed + r->n_fed, octets.p, octets.n);
	r->n_fed += octets.n;
}

static void want_words(struct run *r, struct str got, struct str want)
{
	struct str rest = got, words = want, word;
	size_t at;

	while (str_token(&words, STR(" "), &word)) {
		if (!str_search(rest, word, &at))
			fail_msg("%s: got \"" STR_FMT "\", want \"" STR_FMT "\"", r->rule,
				 STR_ARG(got), STR_ARG(want));
		rest = str_from(rest, at + word.n);
	}
}

static struct str take_event(struct run *r)
{
	pull(r);
	if (r->n_pending == 0)
		return STR("NOTHING");
	struct str e = r->pending[0];
	memmove(r->pending, r->pending + 1, --r->n_pending * sizeof(r->pending[0]));
	return e;
}

static void want_event(struct run *r, struct str want)
{
	want_words(r, take_event(r), want);
}

static void answer(struct run *r, struct str what)
{
	uint64_t code = 0;
	struct smtp_reply reply = { 0 };

	ok(str_to_u64(str_first(what, 3), &code), r->rule);
	reply.code = (int)code;
	ok(status_parse(str_from(what, 4), reply.code, &reply.status, &reply.text), r->rule);
	smtp_server_answer(r->s, reply, 100);
}

static void act(struct run *r, struct str what)
{
	if (str_eq(what, STR("accept")))
		smtp_server_accept(r->s, 100);
	else if (str_eq(what, STR("tls_up")))
		smtp_server_tls_up(r->s, 100);
	else if (str_eq(what, STR("eof")))
		smtp_server_read_end(r->s, 100);
	else if (str_eq(what, STR("stop")))
		smtp_server_stop(r->s, 100);
	else if (str_has_prefix(what, STR("answer ")))
		answer(r, str_from(what, 7));
	else if (str_has_prefix(what, STR("challenge ")))
		smtp_server_challenge(r->s, str_from(what, 10), 100);
	else if (str_eq(what, STR("silent")))
		ok_str(smtp_server_output(r->s), STR_NONE, r->rule);
	else if (str_has_prefix(what, STR("raw ")))
		smtp_server_answer_raw(r->s, 250, STR("hello\r\n"), 100);
	else if (str_eq(what, STR("tick")) && smtp_server_deadline(r->s) != UINT64_MAX) {
		smtp_server_tick(r->s, smtp_server_deadline(r->s) - 1);
		smtp_server_tick(r->s, smtp_server_deadline(r->s));
	}
}

static void want_written(struct run *r, struct str line)
{
	size_t at = 0;

	ok(str_search(smtp_server_output(r->s), STR("\r\n"), &at), r->rule);
	ok_str(str_first(smtp_server_output(r->s), at), line, r->rule);
	smtp_server_wrote(r->s, at + 2);
}

/* Before a limit was passed, or a bare newline seen. */
static void skip_content(struct run *r)
{
	pull(r);
	if (r->n_pending > 0 && str_has_prefix(r->pending[0], STR("CONTENT")))
		(void)take_event(r);
}

static bool is_client_line(struct run *r, struct str line)
{
	if (str_eq(line, STR("! lf")))
		client_says(r, STR("\n"));
	else if (str_eq(line, STR("! crlf")))
		client_says(r, STR("\r\n"));
	else if (str_has_prefix(line, STR("C_ ")))
		client_says(r, str_from(line, 3));
	else if (line.p[0] == 'C') {
		client_says(r, str_from(line, 2));
		client_says(r, STR("\r\n"));
	} else
		return false;
	return true;
}

static void play_line(struct run *r, struct str line)
{
	if (is_client_line(r, line))
		return;
	flush(r);
	if (str_has_prefix(line, STR("E* "))) {
		skip_content(r);
	} else if (line.p[0] == 'S') {
		pull(r);
		want_written(r, str_from(line, 2));
	} else if (line.p[0] == '!') {
		act(r, str_from(line, 2));
	} else {
		want_event(r, str_from(line, 2));
		if (line.p[0] == 'Q')
			smtp_server_accept(r->s, 100);
	}
}

static void play(struct run *r, const char *script)
{
	struct str rest = str_of(script), line;

	while (str_cut(rest, '\n', &line, &rest))
		play_line(r, line);
	flush(r);
	want_event(r, STR("NOTHING"));
	ok_str(smtp_server_output(r->s), STR_NONE, r->rule);
}

TEST(scripts)
{
	FOR_EACH(c, cases)
		for (int split = 0; split < 2; split++) {
			struct run r = { .s = smtp_server_new(c->options, 100),
					 .rule = c->rule,
					 .by_octet = split == 1,
					 .a = arena_new() };
			play(&r, c->script);
			smtp_server_free(r.s);
			arena_free(r.a);
		}
}

/* Octets behind STARTTLS that came with it are never believed; those that come after the 220
 * belong to TLS, and the engine does not take them. */
TEST(starttls_injection)
{
	struct smtp_server *s = smtp_server_new(&full, 0);
	struct smtp_server_event e = smtp_server_next(s);

	smtp_server_accept(s, 0);
	smtp_server_read(s, STR("STARTTLS\r\nMAIL FROM:<>\r\n"), 0);
	e = smtp_server_next(s);
	ok(e.kind == SMTP_SERVER_CLOSED, "closed");
	ok_str(e.argument, STR("the peer sent octets behind STARTTLS in the clear"), "why");
	smtp_server_free(s);

	s = smtp_server_new(&full, 0);
	e = smtp_server_next(s);
	smtp_server_accept(s, 0);
	smtp_server_read(s, STR("STARTTLS\r\n"), 0);
	e = smtp_server_next(s);
	ok(e.kind == SMTP_SERVER_STARTTLS, "asked");
	smtp_server_read(s, STR("x"), 0);
	smtp_server_accept(s, 0);
	e = smtp_server_next(s);
	ok(e.kind == SMTP_SERVER_CLOSED, "closed before the 220");
	smtp_server_free(s);

	s = smtp_server_new(&full, 0);
	e = smtp_server_next(s);
	smtp_server_accept(s, 0);
	smtp_server_read(s, STR("STARTTLS\r\n"), 0);
	e = smtp_server_next(s);
	smtp_server_accept(s, 0);
	ok(smtp_server_next(s).kind == SMTP_SERVER_START_TLS, "handed over");
	ok(smtp_server_room(s) == 0, "takes nothing more");
	smtp_server_free(s);
}

TEST(long_lines)
{
	struct smtp_server *s = smtp_server_new(&plain, 0);
	char *line = malloc(SMTP_SERVER_INPUT_MAX);

	memset(line, 'x', SMTP_SERVER_INPUT_MAX);
	(void)smtp_server_next(s);
	smtp_server_accept(s, 0);
	for (int i = 0; i < 3; i++) {
		ok(smtp_server_room(s) == SMTP_SERVER_INPUT_MAX, "thrown away");
		smtp_server_read(s, str_span(line, SMTP_SERVER_INPUT_MAX), 0);
		ok(smtp_server_next(s).kind == SMTP_SERVER_NOTHING, "no event");
	}
	smtp_server_wrote(s, smtp_server_output(s).n);
	smtp_server_read(s, STR("x\r\nNOOP\r\n"), 0);
	ok(smtp_server_next(s).kind == SMTP_SERVER_NOOP, "the next line is a command again");
	ok_str(smtp_server_output(s), STR("500 the line is too long\r\n"), "one reply");
	smtp_server_free(s);
	free(line);
}

TEST(slow_reader_is_slowed_down)
{
	struct smtp_server *s = smtp_server_new(&plain, 0);
	size_t n = 0;

	(void)smtp_server_next(s);
	smtp_server_accept(s, 0);
	for (int i = 0; i < 1000000 && smtp_server_room(s) >= 6; i++) {
		smtp_server_read(s, STR("NOOP\r\n"), 0);
		while (smtp_server_next(s).kind == SMTP_SERVER_NOOP) {
			smtp_server_accept(s, 0);
			n++;
		}
	}
	ok(smtp_server_room(s) < 6, "no more octets are taken");
	ok(smtp_server_output(s).n < 80 * 1024, "nor replies made");
	smtp_server_wrote(s, smtp_server_output(s).n);
	ok(smtp_server_next(s).kind == SMTP_SERVER_NOOP, "until some were written");
	smtp_server_free(s);
}

static void begin(struct smtp_server *s)
{
	ok(smtp_server_next(s).kind == SMTP_SERVER_GREET, "greets");
	smtp_server_accept(s, 0);
}

TEST(a_command_must_be_whole_in_time)
{
	struct smtp_server_options o = { .hostname = STR("mx"), .command_ms = 100 };
	struct smtp_server *s = smtp_server_new(&o, 0);

	begin(s);
	for (uint64_t now = 10; now < 100; now += 10) {
		smtp_server_read(s, STR("N"), now);
		ok(smtp_server_next(s).kind == SMTP_SERVER_NOTHING, "no whole line");
	}
	ok(smtp_server_deadline(s) == 100, "octets buy no time");
	smtp_server_read(s, STR("\r\n"), 95);
	ok(smtp_server_next(s).kind == SMTP_SERVER_NOTHING, "unknown command");
	ok(smtp_server_deadline(s) == 195, "a whole line does");
	smtp_server_free(s);
}

static void to_data(struct smtp_server *s)
{
	static const enum smtp_server_event_kind kinds_of[] = {
		SMTP_SERVER_GREET, SMTP_SERVER_HELO, SMTP_SERVER_MAIL,
		SMTP_SERVER_RCPT,  SMTP_SERVER_DATA,
	};

	smtp_server_read(s, STR("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n"), 0);
	FOR_EACH(k, kinds_of) {
		ok(smtp_server_next(s).kind == *k, "to DATA");
		smtp_server_accept(s, 0);
	}
	ok(smtp_server_next(s).kind == SMTP_SERVER_NOTHING, "waits for content");
}

TEST(content_must_come_fast_enough)
{
	struct smtp_server_options o = { .hostname = STR("mx"),
					 .data_ms = 1000,
					 .data_rate_min = 10 };
	struct smtp_server *s = smtp_server_new(&o, 0);

	to_data(s);
	ok(smtp_server_deadline(s) == 1000, "begins with data_ms");
	smtp_server_read(s, STR("x"), 900);
	ok(smtp_server_deadline(s) == 1100, "an octet buys a tenth of a second");
	smtp_server_read(s, STR("0123456789012345678901234567890123456789"), 1000);
	ok(smtp_server_deadline(s) == 2000, "never more than data_ms");
	smtp_server_tick(s, 2000);
	ok(smtp_server_next(s).kind == SMTP_SERVER_DROP, "the message is given up");
	ok(smtp_server_next(s).kind == SMTP_SERVER_CLOSED, "and the session");
	smtp_server_free(s);
}

TEST(sessions_end)
{
	struct smtp_server_options o = { .hostname = STR("mx"),
					 .command_ms = 100,
					 .session_ms = 250 };
	struct smtp_server *s = smtp_server_new(&o, 0);

	begin(s);
	for (uint64_t now = 50; now < 250; now += 50) {
		smtp_server_read(s, STR("X\r\n"), now);
		ok(smtp_server_next(s).kind == SMTP_SERVER_NOTHING, "an unknown command");
	}
	ok(smtp_server_deadline(s) == 250, "the session's end comes first");
	smtp_server_tick(s, 250);
	ok(smtp_server_next(s).kind == SMTP_SERVER_CLOSED, "closed");
	smtp_server_free(s);
}

static const struct {
	const char *rule;
	struct str said;
	bool is_early;
} early[] = {
	{ "MAIL and RCPT may follow each other",
	  STR_INIT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<a@c>\r\n"), false },
	{ "RSET may be followed", STR_INIT("RSET\r\nNOOP\r\n"), false },
	{ "a command in pieces", STR_INIT("NOOP"), false },
	{ "nothing follows NOOP", STR_INIT("NOOP\r\nN"), true },
	{ "nothing follows EHLO", STR_INIT("EHLO c\r\nMAIL FROM:<>\r\n"), true },
	{ "nothing follows DATA",
	  STR_INIT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nSubject: x\r\n"), true },
	{ "nothing follows AUTH", STR_INIT("AUTH PLAIN\r\nAA==\r\n"), true },
	{ "nothing follows another command after HELO",
	  STR_INIT("HELO c\r\n\0MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"), true },
	{ "QUIT may be followed", STR_INIT("QUIT\r\nx"), false },
};

/* Pieces of what the peer says are separated by NUL. */
static bool is_taken_for_early(struct str said)
{
	struct smtp_server_options o = { .hostname = STR("mx"),
					 .extensions = SMTP_EXT_PIPELINING,
					 .forbids_early = true };
	struct smtp_server *s = smtp_server_new(&o, 0);
	struct smtp_server_event e = { .kind = SMTP_SERVER_NOTHING };
	struct str piece = STR("EHLO c\r\n"), why = STR("");

	begin(s);
	for (bool has_more = true; has_more;) {
		smtp_server_read(s, piece, 0);
		while ((e = smtp_server_next(s)).kind != SMTP_SERVER_NOTHING)
			if (e.kind == SMTP_SERVER_CLOSED)
				why = e.argument;
			else if (e.kind != SMTP_SERVER_DROP)
				smtp_server_accept(s, 0);
		has_more = said.n > 0 && smtp_server_room(s) > 0;
		if (!str_cut(said, '\0', &piece, &said)) {
			piece = said;
			said = STR("");
		}
	}
	smtp_server_free(s);
	return str_eq(why, STR("the peer did not wait for a reply"));
}

TEST(early_talkers)
{
	FOR_EACH(c, early)
		ok(is_taken_for_early(c->said) == c->is_early, c->rule);

	struct smtp_server_options o = { .hostname = STR("mx"), .forbids_early = true };
	struct smtp_server *s = smtp_server_new(&o, 0);
	smtp_server_read(s, STR("EHLO c\r\n"), 0);
	begin(s);
	ok(smtp_server_next(s).kind == SMTP_SERVER_CLOSED, "not before the greeting");
	smtp_server_free(s);
}

TEST(auth_lines_may_be_long)
{
	struct smtp_server_options o = { .hostname = STR("mx"),
					 .extensions = SMTP_EXT_AUTH,
					 .mechanisms_in_clear = STR("X") };
	struct smtp_server *s = smtp_server_new(&o, 0);
	static char line[SMTP_AUTH_LINE_MAX + 100];

	memset(line, 'A', sizeof(line));
	begin(s);
	smtp_server_read(s, STR("EHLO c\r\nAUTH X\r\n"), 0);
	ok(smtp_server_next(s).kind == SMTP_SERVER_HELO, "HELO");
	smtp_server_accept(s, 0);
	ok(smtp_server_next(s).kind == SMTP_SERVER_AUTH, "AUTH");
	smtp_server_challenge(s, STR(""), 0);
	smtp_server_read(s, str_span(line, SMTP_AUTH_LINE_MAX - 2), 0);
	smtp_server_read(s, STR("\r\n"), 0);
	struct smtp_server_event e = smtp_server_next(s);
	ok(e.kind == SMTP_SERVER_AUTH_RESPONSE && e.response.n == (12 * 1024) / 4 * 3,
	   "as long as may be");
	smtp_server_challenge(s, STR(""), 0);
	smtp_server_read(s, str_span(line, SMTP_AUTH_LINE_MAX + 1), 0);
	ok(smtp_server_next(s).kind == SMTP_SERVER_AUTH_DROP, "longer is given up");
	smtp_server_read(s, STR("\r\nNOOP\r\n"), 0);
	ok(smtp_server_next(s).kind == SMTP_SERVER_NOOP, "and commands go on");
	smtp_server_free(s);
}

TEST_MAIN(RUN(a_command_must_be_whole_in_time), RUN(content_must_come_fast_enough),
	  RUN(sessions_end), RUN(early_talkers), RUN(auth_lines_may_be_long), RUN(scripts),
	  RUN(starttls_injection), RUN(long_lines), RUN(slow_reader_is_slowed_down))
