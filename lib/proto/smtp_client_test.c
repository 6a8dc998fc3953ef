/* The client engine against scripts. A line of a script is
 *
 *	S text     the peer sends it, with CRLF
 *	C text     the engine has written exactly this line
 *	E event    what smtp_client_next gives: READY, RCPT 0 bounced 5.1.1, FAILED deferred;
 *	           each word is looked for in a rendering of the event, and what follows " | "
 *	! action   mail, quit, tls_up, content TEXT, end, unreadable, eof, lost, tick (to the
 *	           deadline)
 *
 * Every script runs twice: lines that follow each other in one piece, and octet by octet. */

#include "proto/smtp_client.h"

#include "base/test.h"
#include "proto/smtp_client_inside.h"

#define TIMEOUTS                                                                                   \
	{                                                                                          \
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10                                                      \
	}

static const struct smtp_client_options plain = { .helo_name = STR_INIT("me.example"),
						  .line_length_limit = 998,
						  .timeouts = TIMEOUTS };
static const struct smtp_client_options with_tls = { .helo_name = STR_INIT("me.example"),
						     .starttls = SMTP_STARTTLS_IF_OFFERED,
						     .timeouts = TIMEOUTS };
static const struct smtp_client_options lmtp = { .dialect = SMTP_DIALECT_LMTP,
						 .helo_name = STR_INIT("me.example"),
						 .timeouts = TIMEOUTS };
static const struct smtp_client_options helo_only = { .helo_name = STR_INIT("me.example"),
						      .helo_only = true,
						      .timeouts = TIMEOUTS };
static const struct smtp_client_options if_esmtp = { .helo_name = STR_INIT("me.example"),
						     .ehlo_only_if_esmtp = true,
						     .timeouts = TIMEOUTS };
static const struct smtp_client_options skips_5xx = { .helo_name = STR_INIT("me.example"),
						      .greeting_5xx_defers = true,
						      .quits_without_waiting = true,
						      .timeouts = TIMEOUTS };
static const struct smtp_client_options discards = {
	.helo_name = STR_INIT("me.example"),
	.discarded = SMTP_EXT_PIPELINING | SMTP_EXT_DSN,
	.timeouts = TIMEOUTS,
};
static const struct smtp_client_options no_downgrade = { .helo_name = STR_INIT("me.example"),
							 .no_downgrade = true,
							 .timeouts = TIMEOUTS };

static const struct smtp_rcpt rcpts[] = {
	{ .address = STR_INIT("a@x.example"), .notify = STR_INIT("NEVER") },
	{ .address = STR_INIT("b@x.example"), .orcpt = STR_INIT("rfc822;b@y") },
	{ .address = STR_INIT("c@x.example") },
};
static const struct smtp_rcpt bad_rcpts[] = {
	{ .address = STR_INIT("a@x.example>\r\nDATA") },
	{ .address = STR_INIT("b@x.example") },
	{ .address = STR_INIT("c@x.example> NOTIFY=NEVER") },
	{ .address = STR_INIT("d@x.example"), .orcpt = STR_INIT("x;y RET=FULL") },
};

static const struct smtp_mail one = {
	.sender = STR_INIT("s@me.example"), .size_octets = 1000, .rcpts = rcpts, .n_rcpts = 1
};
static const struct smtp_mail dummy = {
	.sender = STR_INIT("s@me.example"), .has_dummy_auth = true, .rcpts = rcpts, .n_rcpts = 1
};
static const struct smtp_mail three = { .sender = STR_INIT("s@me.example"),
					.ret = STR_INIT("HDRS"),
					.envid = STR_INIT("id+2B1"),
					.rcpts = rcpts,
					.n_rcpts = 3 };
static const struct smtp_mail guarded = { .sender = STR_INIT("s@me.example"),
					  .size_octets = 1000,
					  .is_requiretls = true,
					  .rcpts = rcpts,
					  .n_rcpts = 1 };
static const struct smtp_mail bounce = { .rcpts = rcpts, .n_rcpts = 1 };
static const struct smtp_mail utf8 = {
	.is_8bit = true, .is_smtputf8 = true, .rcpts = rcpts, .n_rcpts = 1
};
static const struct smtp_mail eight = { .is_8bit = true, .rcpts = rcpts, .n_rcpts = 1 };
static const struct smtp_mail eight_in_header = {
	.is_8bit = true, .has_8bit_header = true, .rcpts = rcpts, .n_rcpts = 1
};
static const struct smtp_mail injected = { .rcpts = bad_rcpts, .n_rcpts = 4 };

#define HELLO "S 220 mx.example ESMTP\nC EHLO me.example\nS 250 mx.example\nE READY\n"
#define HELLO_AUTH                                                                                 \
	"S 220 mx.example ESMTP\nC EHLO me.example\nS 250-mx.example\nS 250 AUTH PLAIN LOGIN\n"    \
	"E READY\n"
#define ROUND "S 334\nE CHALLENGE\n! say x\nC eA==\n"
#define A40 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define A120 A40 A40 A40
#define LONG_BASE64 A120 A120 A120 A120 A40 "AAAAAAAAAAAAAA==" /* of 400 octets */
#define HELLO_PIPE                                                                                 \
	"S 220 mx.example ESMTP\nC EHLO me.example\nS 250-mx.example\n"                            \
	"S 250-pipelining\nS 250-DSN\nS 250-8BITMIME\nS 250-SMTPUTF8\nS 250 SIZE 1000\nE READY\n"
#define THREE_AHEAD                                                                                \
	"! mail\nC MAIL FROM:<s@me.example> RET=HDRS ENVID=id+2B1\n"                               \
	"C RCPT TO:<a@x.example> NOTIFY=NEVER\nC RCPT TO:<b@x.example> ORCPT=rfc822;b@y\n"         \
	"C RCPT TO:<c@x.example>\nC DATA\n"

static const struct {
	const char *rule;
	const struct smtp_client_options *options;
	const struct smtp_mail *mail;
	const char *script;
} cases[] = {
	{ "one by one without PIPELINING", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nE CONTENT\n! content .a\n! end\nC ..a\nC .\nS 250 2.6.0 kept\n"
		"E RCPT 0 delivered 2.6.0 | 250 2.6.0 kept (in reply to the end of the message)\n"
		"E DONE\n! quit\nC QUIT\nS 221 bye\nE CLOSED\n" },
	{ "all ahead with PIPELINING, each recipient its own outcome", &plain, &three,
	  HELLO_PIPE THREE_AHEAD
	  "S 250 ok\nS 250 ok\nS 550 5.1.1 no such user\nS 451-4.2.1 later\nS 451 4.2.1 please\n"
	  "S 354 go\n"
	  "E RCPT 1 bounced 5.1.1 REPLY | 550 5.1.1 no such user (in reply to RCPT TO)\n"
	  "E RCPT 2 deferred 4.2.1 next | 451 4.2.1 later please\nE CONTENT\n! end\nC .\n"
	  "S 250 kept\nE RCPT 0 delivered 2.0.0\nE DONE\n" },
	{ "SIZE and the null sender", &plain, &bounce,
	  HELLO_PIPE "! mail\nC MAIL FROM:<>\nC RCPT TO:<a@x.example> NOTIFY=NEVER\nC DATA\n" },
	{ "SIZE= when the size is known", &plain, &one,
	  HELLO_PIPE "! mail\nC MAIL FROM:<s@me.example> SIZE=1000\n"
		     "C RCPT TO:<a@x.example> NOTIFY=NEVER\nC DATA\n" },
	{ "keywords can be discarded", &discards, &three,
	  HELLO_PIPE "! mail\nC MAIL FROM:<s@me.example>\n" },
	{ "a message over the limit is not even tried", &plain, &one,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 SIZE 999\nE READY\n! mail\n"
	  "E RCPT 0 bounced 5.3.4 LOCAL | 1000 octets and the server takes 999\nE DONE\n"
	  "! quit\nC QUIT\n" },
	{ "SIZE 0 and SIZE without a number are no limit", &plain, &one,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250-SIZE\nS 250 SIZE 0\nE READY\n! mail\n"
	  "C MAIL FROM:<s@me.example> SIZE=1000\n" },
	{ "SMTPUTF8 needed and offered", &plain, &utf8,
	  HELLO_PIPE "! mail\nC MAIL FROM:<> BODY=8BITMIME SMTPUTF8\n"
		     "C RCPT TO:<a@x.example> NOTIFY=NEVER\nC DATA\n" },
	{ "SMTPUTF8 needed and not offered", &plain, &utf8,
	  HELLO "! mail\nE RCPT 0 bounced 5.6.7 LOCAL\nE DONE\n" },
	{ "no conversion wished: sent as it is", &no_downgrade, &eight,
	  HELLO "! mail\nC MAIL FROM:<>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\nC DATA\n"
		"S 354 go\nE CONTENT\n! content \xe4\n! end\nC \xe4\nC .\n" },
	{ "8BITMIME offered: sent as it is", &plain, &eight,
	  HELLO_PIPE "! mail\nC MAIL FROM:<> BODY=8BITMIME\nC RCPT TO:<a@x.example> NOTIFY=NEVER\n"
		     "C DATA\nS 250 ok\nS 250 ok\nS 354 go\nE CONTENT\n! content \xe4\n! end\n"
		     "C \xe4\nC .\n" },
	{ "8BITMIME not offered: converted", &plain, &eight,
	  HELLO "! mail\nC MAIL FROM:<>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\nC DATA\n"
		"S 354 go\nE CONTENT\n! content X: y\n! content \n! content .\xe4\n! end\nC X: y\n"
		"C MIME-Version: 1.0\nC Content-Type: text/plain; charset=unknown-8bit\n"
		"C Content-Transfer-Encoding: quoted-printable\nC \nC ..=E4\nC .\nS 250 ok\n"
		"E RCPT 0 delivered\nE DONE\n" },
	{ "8BITMIME not offered and the header is known to be 8-bit", &plain, &eight_in_header,
	  HELLO "! mail\nE RCPT 0 bounced 5.6.3 LOCAL | does not offer 8BITMIME, and a header\n"
		"E DONE\n" },
	{ "8BITMIME not offered and the header turns out to be 8-bit", &plain, &eight,
	  HELLO "! mail\nC MAIL FROM:<>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\nC DATA\n"
		"S 354 go\nE CONTENT\n! content X: \xe4\nE RCPT 0 bounced 5.6.3 LOCAL\n"
		"E FAILED bounced 5.6.3 LOCAL\n" },
	{ "an address can become neither a command nor a parameter", &plain, &injected,
	  HELLO "! mail\nC MAIL FROM:<>\nE RCPT 0 bounced 5.1.3 LOCAL\n"
		"E RCPT 2 bounced 5.1.3 LOCAL\nE RCPT 3 bounced 5.1.3 LOCAL\nS 250 ok\n"
		"C RCPT TO:<b@x.example>\nS 250 ok\nC DATA\n" },

	{ "MAIL refused under PIPELINING, DATA refused too", &plain, &three,
	  HELLO_PIPE THREE_AHEAD
	  "S 550 5.7.1 not you\nS 503 no\nS 503 no\nS 503 no\nS 503 no\n"
	  "E RCPT 0 bounced 5.7.1 | (in reply to MAIL FROM)\nE RCPT 1 bounced 5.7.1\n"
	  "E RCPT 2 bounced 5.7.1\nE DONE\n! quit\nC QUIT\n" },
	{ "MAIL deferred: another host may do better", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 451 busy\nE RCPT 0 deferred 4.0.0 next\n"
		"E DONE\n" },
	{ "all recipients refused, yet 354: a lone dot ends it", &plain, &three,
	  HELLO_PIPE THREE_AHEAD
	  "S 250 ok\nS 550 no\nS 551 no\nS 553 no\nS 354 go\nC .\n"
	  "E RCPT 0 bounced 5.0.0\nE RCPT 1 bounced 5.0.0\nE RCPT 2 bounced 5.0.0\n"
	  "S 554 no valid recipients\nE DONE\n! mail\nC MAIL FROM:<s@me.example> RET=HDRS "
	  "ENVID=id+2B1\nC RCPT TO:<a@x.example> NOTIFY=NEVER\n"
	  "C RCPT TO:<b@x.example> ORCPT=rfc822;b@y\nC RCPT TO:<c@x.example>\nC DATA\n" },
	{ "all recipients refused one by one: no DATA, RSET before the next", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\n"
		"S 550 5.1.1 no\nE RCPT 0 bounced 5.1.1\nE DONE\n! mail\nC RSET\nS 250 ok\n"
		"C MAIL FROM:<s@me.example>\n" },
	{ "RSET goes ahead with the others", &plain, &three,
	  HELLO_PIPE THREE_AHEAD
	  "S 250 ok\nS 550 no\nS 550 no\nS 550 no\nS 554 no\nE RCPT 0 bounced\nE RCPT 1 bounced\n"
	  "E RCPT 2 bounced\nE DONE\n! mail\nC RSET\nC MAIL FROM:<s@me.example> RET=HDRS "
	  "ENVID=id+2B1\nC RCPT TO:<a@x.example> NOTIFY=NEVER\n"
	  "C RCPT TO:<b@x.example> ORCPT=rfc822;b@y\nC RCPT TO:<c@x.example>\nC DATA\n"
	  "S 250 reset\nS 250 ok\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\nE CONTENT\n" },
	{ "a refused RSET defers, it does not bounce", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 550 no\nE RCPT 0 bounced\nE DONE\n"
		"! mail\nC RSET\nS 554 no\nC QUIT\nE RCPT 0 deferred 4.0.0\nE FAILED deferred\n" },
	{ "too many recipients: 452, and 552 of an old server", &plain, &three,
	  HELLO_PIPE THREE_AHEAD "S 250 ok\nS 250 ok\nS 452 4.5.3 too many\nS 552 too many\n"
				 "S 354 go\nE RCPT 1 deferred 4.5.3\nE RCPT 2 deferred 4.5.3\n"
				 "E CONTENT\n" },
	{ "552 of a full mailbox is what it is", &plain, &three,
	  HELLO_PIPE THREE_AHEAD "S 250 ok\nS 250 ok\nS 552 5.2.2 full\nS 250 ok\nS 354 go\n"
				 "E RCPT 1 bounced 5.2.2\nE CONTENT\n" },
	{ "DATA refused", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 451 4.3.1 disk\nE RCPT 0 deferred 4.3.1\nE DONE\n" },
	{ "message refused", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nE CONTENT\n! end\nC .\nS 554 5.7.1 spam\n"
		"E RCPT 0 bounced 5.7.1\nE DONE\n! mail\nC MAIL FROM:<s@me.example>\n" },
	{ "refused in the midst of the message: the session is over", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nE CONTENT\n! content x\nC x\nS 552 5.3.4 too big\n"
		"E RCPT 0 bounced 5.3.4 | before the end\nE FAILED bounced 5.3.4\n" },
	{ "the message cannot be read on", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nE CONTENT\n! content x\n! unreadable\nE RCPT 0 deferred 4.3.0 "
		"LOCAL known | cannot be read: I/O error\nE FAILED deferred 4.3.0\n" },
	{ "250 before the end of the message is no delivery", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nS 250 kept\nE CONTENT\nE RCPT 0 deferred 4.5.0 PROTOCOL\n"
		"E FAILED deferred 4.5.0\n" },
	{ "250 before the dot has left is no delivery", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nE CONTENT\n! content x\n! end\nS 250 kept\n"
		"E RCPT 0 deferred 4.5.0 PROTOCOL known\nE FAILED deferred 4.5.0\n" },
	{ "lost before the dot has left: the fate is known", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nE CONTENT\n! content x\n! end\n! eof\n"
		"E RCPT 0 deferred 4.4.2 LOST known\nE FAILED deferred 4.4.2\n" },
	{ "250 to DATA fits no command", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 250 go\nE RCPT 0 deferred 4.5.0 PROTOCOL\nE FAILED deferred 4.5.0\n" },
	{ "354 to MAIL fits no command", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 354 ok\nE RCPT 0 deferred 4.5.0 PROTOCOL\n"
		"E FAILED deferred 4.5.0\n" },

	{ "greeting 4xx", &plain, NULL,
	  "S 421 4.3.2 later\nC QUIT\nE FAILED deferred 4.3.2 REPLY next | (as its greeting)\n" },
	{ "greeting 5xx bounces", &plain, NULL,
	  "S 554 no mail here\nC QUIT\nE FAILED bounced 5.0.0 | 554 no mail here\n" },
	{ "greeting 5xx defers by option", &skips_5xx, NULL,
	  "S 554 5.3.2 no mail here\nC QUIT\nE FAILED deferred 4.3.2 next\n" },
	{ "greeting 3xx", &plain, NULL, "S 354 go\nE FAILED deferred 4.5.0 PROTOCOL\n" },
	{ "EHLO refused: HELO", &plain, NULL,
	  "S 220 x\nC EHLO me.example\nS 502 what\nC HELO me.example\nS 250 hi\nE READY\n" },
	{ "EHLO and HELO refused", &plain, NULL,
	  "S 220 x\nC EHLO me.example\nS 502 what\nC HELO me.example\nS 550 5.7.1 no\nC QUIT\n"
	  "E FAILED bounced 5.7.1 | (in reply to HELO)\n" },
	{ "no HELO in LMTP", &lmtp, NULL,
	  "S 220 x\nC LHLO me.example\nS 451 4.3.0 no\nC QUIT\nE FAILED deferred 4.3.0 next | "
	  "LHLO\n" },
	{ "HELO only", &helo_only, NULL, "S 220 x\nC HELO me.example\nS 250 SIZE\nE READY\n" },
	{ "EHLO only after ESMTP: without", &if_esmtp, NULL, "S 220 x\nC HELO me.example\n" },
	{ "EHLO only after ESMTP: with", &if_esmtp, NULL, "S 220 x esmtp y\nC EHLO me.example\n" },
	{ "421 to EHLO", &plain, NULL,
	  "S 220 x\nC EHLO me.example\nS 421 later\nC QUIT\nE FAILED deferred 4.0.0 next\n" },
	{ "421 while idle", &plain, NULL,
	  HELLO "S 421 4.4.2 too slow\nE FAILED deferred 4.4.2 REPLY next | unasked\n" },
	{ "other replies while idle", &plain, NULL,
	  HELLO "S 250 hi\nE FAILED deferred 4.5.0 PROTOCOL | nobody asked for, \"250 hi\"\n" },
	{ "421 in mid transaction ends it for the rest", &plain, &three,
	  HELLO_PIPE THREE_AHEAD
	  "S 250 ok\nS 550 5.1.1 no\nS 421 4.3.2 shutdown\nE RCPT 0 bounced 5.1.1\n"
	  "E RCPT 1 deferred 4.3.2 next\nE RCPT 2 deferred 4.3.2 next\nE FAILED deferred 4.3.2\n" },
	{ "421 after the dot: the fate is known", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nE CONTENT\n! end\nC .\nS 421 4.3.2 later\n"
		"E RCPT 0 deferred 4.3.2 known\nE FAILED deferred 4.3.2\n" },
	{ "more replies than commands", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 451 no\nS 250 ok\nE RCPT 0 deferred\n"
		"E DONE\nE FAILED deferred 4.5.0 PROTOCOL\n! mail\nE RCPT 0 deferred 4.5.0\n"
		"E FAILED deferred 4.5.0\n" },

	{ "STARTTLS and everything anew", &with_tls, NULL,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250-PIPELINING\nS 250 STARTTLS\nC STARTTLS\n"
	  "S 220 go\nE START_TLS\n! tls_up\nC EHLO me.example\nS 250-x\nS 250 STARTTLS\nE READY\n"
	  "! quit\nC QUIT\n" },
	{ "what was announced before TLS is forgotten", &with_tls, &one,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250-PIPELINING\nS 250-SIZE 10\nS 250 STARTTLS\n"
	  "C STARTTLS\nS 220 go\nE START_TLS\n! tls_up\nC EHLO me.example\nS 250-x\nS 250 DSN\n"
	  "E READY\n! mail\nC MAIL FROM:<s@me.example>\n" },
	{ "and if EHLO is refused inside TLS as well", &with_tls, &one,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250-PIPELINING\nS 250-SIZE 10\nS 250 STARTTLS\n"
	  "C STARTTLS\nS 220 go\nE START_TLS\n! tls_up\nC EHLO me.example\nS 502 no\n"
	  "C HELO me.example\nS 250 x\nE READY\n! mail\nC MAIL FROM:<s@me.example>\n" },
	{ "REQUIRETLS inside TLS", &with_tls, &guarded,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 STARTTLS\nC STARTTLS\nS 220 go\n"
	  "E START_TLS\n! tls_up\nC EHLO me.example\nS 250-x\nS 250-SIZE\nS 250 REQUIRETLS\n"
	  "E READY\n! mail\nC MAIL FROM:<s@me.example> SIZE=1000 REQUIRETLS\n" },
	{ "REQUIRETLS announced before TLS only", &with_tls, &guarded,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250-REQUIRETLS\nS 250 STARTTLS\nC STARTTLS\n"
	  "S 220 go\nE START_TLS\n! tls_up\nC EHLO me.example\nS 250 x\nE READY\n! mail\n"
	  "E RCPT 0 bounced 5.7.30\nE DONE\n" },
	{ "REQUIRETLS never in the clear", &plain, &guarded,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 REQUIRETLS\nE READY\n! mail\n"
	  "E RCPT 0 bounced 5.7.30\nE DONE\n" },
	{ "STARTTLS not offered", &with_tls, NULL,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 XXXXXXXA\nE READY\n" },
	{ "STARTTLS refused", &with_tls, NULL,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 STARTTLS\nC STARTTLS\nS 454 4.7.0 no\n"
	  "E READY\n! quit\nC QUIT\nS 221 bye\nE CLOSED\n" },
	{ "STARTTLS not asked for", &plain, NULL,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 STARTTLS\nE READY\n" },
	{ "octets behind the 220 to STARTTLS", &with_tls, NULL,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 STARTTLS\nC STARTTLS\nS 220 go\nS 250 x\n"
	  "E FAILED deferred 4.7.5 INJECTION next\n" },
	{ "a 220 before STARTTLS has left", &with_tls, NULL,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 STARTTLS\nS 220 go\n"
	  "E FAILED deferred 4.7.5 INJECTION next\n" },
	{ "connection lost in the handshake", &with_tls, NULL,
	  "S 220 x\nC EHLO me.example\nS 250-x\nS 250 STARTTLS\nC STARTTLS\nS 220 go\n"
	  "E START_TLS\n! lost\nE FAILED deferred 4.4.2 LOST | was lost while negotiating TLS: "
	  "reset\n" },

	{ "AUTH with an initial response, and AUTH=<> behind it", &plain, &dummy,
	  HELLO_AUTH "! auth\nC AUTH PLAIN AG1lAHNlY3JldA==\nS 235 2.7.0 welcome\n"
		     "E AUTH delivered 2.7.0\n! mail\nC MAIL FROM:<s@me.example> AUTH=<>\n" },
	{ "no AUTH=<> where AUTH is not offered", &plain, &dummy,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\n" },
	{ "AUTH with challenges", &plain, &one,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334 VXNlcm5hbWU6\nE CHALLENGE <Username:>\n"
		     "! say me\nC bWU=\nS 334\nE CHALLENGE <>\n! say secret\nC c2VjcmV0\n"
		     "S 235 ok\nE AUTH delivered 2.0.0\n! mail\nC MAIL FROM:<s@me.example>\n" },
	{ "AUTH with an empty initial response", &plain, NULL,
	  HELLO_AUTH "! auth empty\nC AUTH EXTERNAL =\nS 235 ok\nE AUTH delivered\n" },
	{ "an empty response to a challenge", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334 \nE CHALLENGE <>\n! say \nC \nS 235 ok\n"
		     "E AUTH delivered\n" },
	{ "an initial response that is too long for the command", &plain, NULL,
	  HELLO_AUTH "! auth long\nC AUTH PLAIN\nS 334 \nC " LONG_BASE64 "\nS 235 ok\n"
		     "E AUTH delivered\n" },
	{ "AUTH refused: the session goes on", &plain, NULL,
	  HELLO_AUTH "! auth\nC AUTH PLAIN AG1lAHNlY3JldA==\nS 535 5.7.8 who are you\n"
		     "E AUTH bounced 5.7.8 REPLY | 535 5.7.8 who are you (in reply to AUTH)\n"
		     "! quit\nC QUIT\nS 221 bye\nE CLOSED\n" },
	{ "AUTH refused for now", &plain, NULL,
	  HELLO_AUTH "! auth\nC AUTH PLAIN AG1lAHNlY3JldA==\nS 454 4.7.0 later\n"
		     "E AUTH deferred 4.7.0 REPLY next\n" },
	{ "421 ends it", &plain, NULL,
	  HELLO_AUTH "! auth\nC AUTH PLAIN AG1lAHNlY3JldA==\nS 421 4.3.2 bye\n"
		     "E FAILED deferred 4.3.2 REPLY next | (in reply to AUTH)\n" },
	{ "a reply that quotes our secret is not quoted", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334\nE CHALLENGE <>\n! say secret\n"
		     "C c2VjcmV0\nS 500 5.5.1 unknown command: c2VjcmV0\n"
		     "E AUTH bounced 5.0.0 | 500 (a text that repeats what was said to "
		     "authenticate) (in reply to AUTH)\n" },
	{ "nor one that quotes a part of it", &plain, NULL,
	  HELLO_AUTH
	  "! auth\nC AUTH PLAIN AG1lAHNlY3JldA==\nS 500 5.5.1 what is \"lAHNlY3Jld...\"\n"
	  "E AUTH bounced 5.0.0 | 500 (a text that repeats what was said to "
	  "authenticate) (in reply to AUTH)\n" },
	{ "a challenge that is no base 64", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334 ???\nC *\nS 501 5.7.0 cancelled\n"
		     "E AUTH deferred 4.7.0 LOCAL next | no base 64\n" },
	{ "a challenge of several lines", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334-bWU=\nS 334 bWU=\nC *\nS 501 bye\n"
		     "E AUTH deferred 4.7.0 LOCAL\n" },
	{ "what we say fits into a line, or is not said", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334\nE CHALLENGE\n! say too much\nC *\n"
		     "S 501 bye\nE AUTH deferred 4.7.0 LOCAL\n" },
	{ "we cancel", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334\nE CHALLENGE\n! cancel\nC *\n"
		     "S 501 bye\nE AUTH deferred 4.7.0 LOCAL next | we do not like it\n" },
	{ "a server that will not let us cancel", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334\nE CHALLENGE\n! cancel\nC *\nS 334\n"
		     "E FAILED deferred 4.5.0 PROTOCOL\n" },
	{ "and one that takes us all the same", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334\nE CHALLENGE\n! cancel\nC *\nS 235 ok\n"
		     "E AUTH deferred 4.7.0 LOCAL\n" },
	{ "a server that never has enough", &plain, NULL,
	  HELLO_AUTH
	  "! auth LOGIN\nC AUTH LOGIN\n" ROUND ROUND ROUND ROUND ROUND ROUND ROUND ROUND
	  "S 334\nC *\nS 501 bye\nE AUTH deferred 4.7.0 LOCAL | the server asks and asks\n" },
	{ "a reply before AUTH has left", &plain, NULL,
	  HELLO_AUTH "! auth\nS 235 ok\nE FAILED deferred 4.5.0 PROTOCOL\n" },
	{ "two challenges at once", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 334\nS 334\nE CHALLENGE\n"
		     "E FAILED deferred 4.5.0 PROTOCOL\n" },
	{ "a reply of another kind", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\nS 354 go\nE FAILED deferred 4.5.0 PROTOCOL\n" },
	{ "time-out of AUTH", &plain, NULL,
	  HELLO_AUTH "! auth LOGIN\nC AUTH LOGIN\n! tick\n"
		     "E FAILED deferred 4.4.2 TIMEOUT next | while sending AUTH\n" },

	{ "LMTP: a reply for each accepted recipient", &lmtp, &three,
	  "S 220 x\nC LHLO me.example\nS 250-x\nS 250-PIPELINING\nS 250 DSN\nE READY\n" THREE_AHEAD
	  "S 250 ok\nS 250 ok\nS 550 5.1.1 no\nS 250 ok\nS 354 go\nE RCPT 1 bounced 5.1.1\n"
	  "E CONTENT\n! content x\n! end\nC x\nC .\nS 250 2.0.0 kept\nS 452 4.2.2 full\n"
	  "E RCPT 0 delivered 2.0.0\nE RCPT 2 deferred 4.2.2\nE DONE\n" },
	{ "LMTP: lost between the replies", &lmtp, &three,
	  "S 220 x\nC LHLO me.example\nS 250-x\nS 250-PIPELINING\nS 250 DSN\nE READY\n" THREE_AHEAD
	  "S 250 ok\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\nE CONTENT\n! end\nC .\n"
	  "S 250 2.0.0 kept\n! eof\nE RCPT 0 delivered 2.0.0 known\nE RCPT 1 deferred 4.4.2 "
	  "unknown\n"
	  "E RCPT 2 deferred 4.4.2 unknown\nE FAILED deferred 4.4.2\n" },
	{ "LMTP: 421 between the replies", &lmtp, &three,
	  "S 220 x\nC LHLO me.example\nS 250-x\nS 250-PIPELINING\nS 250 DSN\nE READY\n" THREE_AHEAD
	  "S 250 ok\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\nE CONTENT\n! end\nC .\n"
	  "S 250 2.0.0 kept\nS 421 4.3.2 bye\nE RCPT 0 delivered 2.0.0 known\n"
	  "E RCPT 1 deferred 4.3.2 known\nE RCPT 2 deferred 4.3.2 unknown\nE FAILED deferred "
	  "4.3.2\n" },
	{ "LMTP: 354 without a recipient", &lmtp, &bounce,
	  "S 220 x\nC LHLO me.example\nS 250-x\nS 250 PIPELINING\nE READY\n! mail\nC MAIL FROM:<>\n"
	  "C RCPT TO:<a@x.example>\nC DATA\nS 250 ok\nS 550 no\nS 354 go\nE RCPT 0 bounced\n"
	  "E FAILED deferred 4.5.0 PROTOCOL\n" },

	{ "time-out of the greeting", &plain, NULL,
	  "! tick\nE FAILED deferred 4.4.2 TIMEOUT next | timed out while waiting for the "
	  "greeting\n" },
	{ "time-out of EHLO", &plain, NULL,
	  "S 220 x\nC EHLO me.example\n! tick\nE FAILED deferred 4.4.2 | while sending EHLO\n" },
	{ "time-out of RCPT under PIPELINING", &plain, &three,
	  HELLO_PIPE THREE_AHEAD "S 250 ok\nS 250 ok\n! tick\n"
				 "E RCPT 0 deferred 4.4.2 next | while sending RCPT TO\n"
				 "E RCPT 1 deferred 4.4.2\nE RCPT 2 deferred 4.4.2\n"
				 "E FAILED deferred 4.4.2 TIMEOUT\n" },
	{ "time-out in the message", &plain, &one,
	  HELLO "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
		"C DATA\nS 354 go\nE CONTENT\n! tick\nE RCPT 0 deferred 4.4.2 known | while "
		"sending the message\nE FAILED deferred 4.4.2\n" },
	{ "time-out after the dot: the fate is not known", &plain, &one,
	  HELLO
	  "! mail\nC MAIL FROM:<s@me.example>\nS 250 ok\nC RCPT TO:<a@x.example>\nS 250 ok\n"
	  "C DATA\nS 354 go\nE CONTENT\n! end\nC .\n! tick\n"
	  "E RCPT 0 deferred 4.4.2 unknown | may arrive more than once\nE FAILED deferred\n" },
	{ "idle sessions have no time-out of ours", &plain, NULL, HELLO "! tick\n" },
	{ "connection lost", &plain, &one,
	  HELLO
	  "! mail\nC MAIL FROM:<s@me.example>\n! eof\nE RCPT 0 deferred 4.4.2 LOST next | was "
	  "lost while sending MAIL FROM\nE FAILED deferred 4.4.2\n" },
	{ "QUIT hears no reply", &plain, NULL, HELLO "! quit\nC QUIT\n! tick\nE CLOSED\n" },
	{ "QUIT hears the end", &plain, NULL, HELLO "! quit\nC QUIT\n! eof\nE CLOSED\n" },
	{ "QUIT hears rubbish", &plain, NULL, HELLO "! quit\nC QUIT\nS rubbish\nE CLOSED\n" },
	{ "QUIT does not wait", &skips_5xx, NULL, HELLO "! quit\nC QUIT\nE CLOSED\n" },
	{ "garbage", &plain, NULL,
	  "S HTTP/1.1 400 Bad Request\nE FAILED deferred 4.5.0 PROTOCOL next | sent a line that is "
	  "not an SMTP reply (while waiting for the greeting)\n" },
	{ "codes that differ", &plain, NULL,
	  "S 220-x\nS 250 y\nE FAILED deferred 4.5.0 PROTOCOL | lines have different codes\n" },
};

struct run {
	struct smtp_client *c;
	const char *rule;
	const struct smtp_mail *mail;
	bool by_octet;
	uint64_t now;
	char fed[4096]; /* lines of the peer that wait to be fed in one piece */
	size_t n_fed;
};

static void flush(struct run *r)
{
	size_t step = r->by_octet ? 1 : r->n_fed;

	for (size_t at = 0; at < r->n_fed; at += step) {
		struct str piece = test_exact(str_span(r->fed + at, step));
		smtp_client_read(r->c, piece, r->now);
		free((void *)(uintptr_t)piece.p);
	}
	r->n_fed = 0;
}

static void peer_says(struct run *r, struct str line)
{
	memcpy(r->fed + r->n_fed, line.p, line.n);
	memcpy(r->fed + r->n_fed + line.n, "\r\n", 2);
	r->n_fed += line.n + 2;
}

static void want_written(struct run *r, struct str line)
{
	struct str got = smtp_client_output(r->c);
	size_t at = 0;

	ok(str_search(got, STR("\r\n"), &at), r->rule);
	ok_str(str_first(got, at), line, r->rule);
	smtp_client_wrote(r->c, at + 2, r->now);
}

static const char *const kinds[] = { "NOTHING", "START_TLS", "READY", "CHALLENGE", "AUTH",
				     "CONTENT", "RCPT",      "DONE",  "FAILED",    "CLOSED" };
static const char *const causes[] = {
	"REPLY", "TIMEOUT", "LOST", "PROTOCOL", "INJECTION", "LOCAL"
};

static void render(struct smtp_client_event e, char *out, size_t size)
{
	bool has_outcome = e.kind == SMTP_CLIENT_RCPT || e.kind == SMTP_CLIENT_FAILED ||
			   e.kind == SMTP_CLIENT_AUTH;
	char number[24] = "";

	if (e.kind == SMTP_CLIENT_RCPT)
		snprintf(number, sizeof(number), " %zu", e.index);
	if (e.kind == SMTP_CLIENT_CHALLENGE)
		snprintf(out, size, "CHALLENGE <" STR_FMT ">", STR_ARG(e.octets));
	else if (!has_outcome)
		snprintf(out, size, "%s", kinds[e.kind]);
	else
		snprintf(out, size, "%s%s " STR_FMT " %u.%u.%u %s%s%s | " STR_FMT, kinds[e.kind],
			 number, STR_ARG(outcome_kind_name(e.outcome.kind)), e.outcome.status.class,
			 e.outcome.status.subject, e.outcome.status.detail, causes[e.cause],
			 e.may_try_next_host ? " next" : "",
			 e.is_fate_unknown ? " unknown" : " known", STR_ARG(e.outcome.reason));
}

/* The words before " | " in order, then the rest as one piece of text. */
static void want_event(struct run *r, struct str want)
{
	char text[4096];
	struct str words = want, quote = STR_NONE, word;
	size_t at;

	render(smtp_client_next(r->c), text, sizeof(text));
	struct str got = str_of(text);
	if (str_search(want, STR(" | "), &at)) {
		words = str_first(want, at);
		quote = str_from(want, at + 3);
	}
	while (str_token(&words, STR(" "), &word)) {
		if (!str_search(got, word, &at))
			fail_msg("%s: got \"%s\", want \"" STR_FMT "\"", r->rule, text,
				 STR_ARG(want));
		got = str_from(got, at + word.n);
	}
	if (!str_search(str_of(text), quote, &at))
		fail_msg("%s: got \"%s\", want \"" STR_FMT "\"", r->rule, text, STR_ARG(want));
}

static const char many_octets[12 * 1024];

static void act(struct run *r, struct str what)
{
	if (str_eq(what, STR("mail")))
		smtp_client_mail(r->c, r->mail, r->now);
	else if (str_eq(what, STR("quit")))
		smtp_client_quit(r->c, r->now);
	else if (str_eq(what, STR("tls_up")))
		smtp_client_tls_up(r->c, r->now);
	else if (str_eq(what, STR("end")))
		smtp_client_content_end(r->c, r->now);
	else if (str_eq(what, STR("auth")))
		smtp_client_auth(r->c, STR("PLAIN"), STR("\0me\0secret"), r->now);
	else if (str_eq(what, STR("auth long")))
		smtp_client_auth(r->c, STR("PLAIN"), str_span(many_octets, 400), r->now);
	else if (str_eq(what, STR("auth empty")))
		smtp_client_auth(r->c, STR("EXTERNAL"), STR(""), r->now);
	else if (str_eq(what, STR("auth LOGIN")))
		smtp_client_auth(r->c, STR("LOGIN"), STR_NONE, r->now);
	else if (str_eq(what, STR("say too much")))
		smtp_client_auth_response(r->c, str_span(many_octets, sizeof(many_octets)), r->now);
	else if (str_has_prefix(what, STR("say ")))
		smtp_client_auth_response(r->c, str_from(what, 4), r->now);
	else if (str_eq(what, STR("cancel")))
		smtp_client_auth_cancel(r->c, STR("we do not like it"), r->now);
	else if (str_eq(what, STR("unreadable")))
		smtp_client_content_failed(r->c, STR("I/O error"), r->now);
	else if (str_eq(what, STR("eof")))
		smtp_client_read_end(r->c, r->now);
	else if (str_eq(what, STR("lost")))
		smtp_client_lost(r->c, STR("reset"), r->now);
	else if (str_eq(what, STR("tick")) && smtp_client_deadline(r->c) != UINT64_MAX) {
		smtp_client_tick(r->c, smtp_client_deadline(r->c) - 1);
		smtp_client_tick(r->c, smtp_client_deadline(r->c));
	} else if (str_has_prefix(what, STR("content "))) {
		smtp_client_content(r->c, str_from(what, 8), r->now);
		smtp_client_content(r->c, STR("\n"), r->now);
	}
}

static void play(struct run *r, const char *script)
{
	struct str rest = str_of(script), line;

	while (str_cut(rest, '\n', &line, &rest)) {
		struct str text = str_from(line, 2);
		if (line.p[0] != 'S')
			flush(r);
		if (line.p[0] == 'S')
			peer_says(r, text);
		else if (line.p[0] == 'C')
			want_written(r, text);
		else if (line.p[0] == 'E')
			want_event(r, text);
		else
			act(r, text);
	}
	flush(r);
	want_event(r, STR("NOTHING"));
	ok_str(smtp_client_output(r->c), STR_NONE, r->rule);
}

TEST(scripts)
{
	FOR_EACH(c, cases)
		for (int split = 0; split < 2; split++) {
			struct run r = { .c = smtp_client_new(c->options, 100),
					 .rule = c->rule,
					 .mail = c->mail,
					 .by_octet = split == 1,
					 .now = 100 };
			play(&r, c->script);
			smtp_client_free(r.c);
		}
}

/* Octets that no script line can hold. */
static void want_bad(const char *octets, size_t n, const char *reason)
{
	struct smtp_client *c = smtp_client_new(&plain, 0);

	smtp_client_read(c, str_span(octets, n), 0);
	struct smtp_client_event e = smtp_client_next(c);
	ok(e.kind == SMTP_CLIENT_FAILED, reason);
	ok(str_search(e.outcome.reason, str_of(reason), &n), reason);
	ok(e.may_try_next_host, reason);
	smtp_client_free(c);
}

TEST(bad_octets)
{
	char *line = malloc(64 * 1024);

	memset(line, 'x', 64 * 1024);
	memcpy(line, "220 ", 4);
	memcpy(line + 64 * 1024 - 2, "\r\n", 2);
	want_bad(line, 64 * 1024, "sent a reply line of more than 2048 octets");
	for (size_t i = 0; i + 1024 <= 64 * 1024; i += 1024) {
		memcpy(line + i, "220-", 4);
		memcpy(line + i + 1022, "\r\n", 2);
	}
	want_bad(line, 64 * 1024, "sent a reply with more than 16 KiB of text");
	free(line);
	want_bad("220 a\0b\r\n", 9, "a NUL octet");
	want_bad("220 a\n", 6, "ends with LF without CR");
	want_bad("\r\n", 2, "not an SMTP reply");
}

TEST(records)
{
	struct smtp_client *c = smtp_client_new(&with_tls, 0);

	smtp_client_read(c, STR("220 mx ESMTP\r\n"), 0);
	smtp_client_read(c, STR("250-mx\r\n250-SIZE 77\r\n250 STARTTLS\r\n"), 0);
	ok_str(smtp_client_greeting(c), STR("mx ESMTP"), "greeting");
	ok_str(smtp_client_hello_name(c), STR("mx"), "name");
	ok(smtp_client_was_starttls_offered(c), "offered");
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("454 4.7.0 no\r\n"), 0);
	ok(smtp_client_starttls_reply(c).code == 454, "reply to STARTTLS");
	ok_str(smtp_client_starttls_reply(c).text, STR("no"), "its text without the status");
	ok_str(smtp_client_transcript(c),
	       STR("S: 220 mx ESMTP\nC: EHLO me.example\nS: 250-mx\nS: 250-SIZE 77\n"
		   "S: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 no\n"),
	       "transcript");
	smtp_client_free(c);
}

static void meet(struct smtp_client *c, struct str hello)
{
	smtp_client_read(c, STR("220 mx.example\r\n"), 0);
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, hello, 0);
	ok(smtp_client_next(c).kind == SMTP_CLIENT_READY, "ready");
}

TEST(mechanisms_of_the_last_hello)
{
	struct smtp_client *c = smtp_client_new(&with_tls, 0);

	smtp_client_read(c, STR("220 x\r\n"), 0);
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("250-x\r\n250-AUTH GSSAPI\r\n250 STARTTLS\r\n"), 0);
	ok_str(smtp_client_mechanisms(c), STR("GSSAPI"), "before TLS");
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("220 go\r\n"), 0);
	ok(smtp_client_next(c).kind == SMTP_CLIENT_START_TLS, "TLS");
	smtp_client_tls_up(c, 0);
	ok_str(smtp_client_mechanisms(c), STR(""), "forgotten");
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("250-x\r\n250-auth=PLAIN\r\n250 AUTH \tLOGIN  X\r\n"), 0);
	ok_str(smtp_client_mechanisms(c), STR("PLAIN LOGIN X"), "in both spellings");
	smtp_client_free(c);
}

/* As many words as a reply has room for. */
static void add_many_mechanisms(struct buf *b)
{
	for (int line = 0; line < 8; line++) {
		ok(buf_add(b, STR("250-AUTH")), "a line");
		for (int word = 0; word < 1010; word++)
			ok(buf_add(b, STR(" X")), "a word");
		ok(buf_add(b, STR("\r\n")), "its end");
	}
	ok(buf_add(b, STR("250 STARTTLS\r\n")), "the last line");
}

TEST(mechanisms_are_bounded)
{
	struct smtp_client *c = smtp_client_new(&with_tls, 0);
	struct buf many;

	buf_init(&many, 32 * 1024);
	add_many_mechanisms(&many);
	smtp_client_read(c, STR("220 x\r\n"), 0);
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("250-x\r\n250-AUTH PLAIN\r\n"), 0);
	smtp_client_read(c, buf_str(&many), 0);
	ok(smtp_client_mechanisms(c).n <= SMTP_MECHANISMS_MAX, "before TLS");
	ok(str_has_prefix(smtp_client_mechanisms(c), STR("PLAIN X X")), "the first ones count");
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("220 go\r\n"), 0);
	ok(smtp_client_next(c).kind == SMTP_CLIENT_START_TLS, "TLS");
	smtp_client_tls_up(c, 0);
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("250-x\r\n"), 0);
	smtp_client_read(c, buf_str(&many), 0);
	ok(smtp_client_next(c).kind == SMTP_CLIENT_READY, "ready");
	ok(smtp_client_mechanisms(c).n <= SMTP_MECHANISMS_MAX, "within TLS");
	ok(str_has_prefix(smtp_client_mechanisms(c), STR("X X")), "of this reply alone");
	ok(arena_used(c->own) < 4096, "they take no memory");
	smtp_client_free(c);
	buf_fini(&many);
}

TEST(half_a_reply_before_auth)
{
	struct smtp_client *c = smtp_client_new(&plain, 0);
	struct smtp_client_event e;
	size_t at;

	meet(c, STR("250-x\r\n250 AUTH PLAIN\r\n"));
	smtp_client_read(c, STR("23"), 0);
	smtp_client_auth(c, STR("PLAIN"), STR("\0me\0secret"), 0);
	ok(smtp_client_output(c).n == 0, "nothing is said");
	e = smtp_client_next(c);
	ok(e.kind == SMTP_CLIENT_FAILED && e.cause == SMTP_CAUSE_PROTOCOL, "the session ends");
	ok(str_search(e.outcome.reason, STR("octets before the command"), &at), "why");
	smtp_client_free(c);
}

/* What is no reply is quoted in part; the end of that part hides nothing. */
TEST(bad_replies_show_no_part_of_a_secret)
{
	struct smtp_client *c = smtp_client_new(&plain, 0);
	char line[300];
	size_t at;

	meet(c, STR("250-x\r\n250 AUTH PLAIN\r\n"));
	smtp_client_auth(c, STR("PLAIN"), STR("\0me\0secret"), 0);
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	memset(line, 'x', sizeof(line));
	memcpy(line + 247, "AG1lAHNlY3JldA==", 16); /* across the cut */
	memcpy(line + 298, "\r\n", 2);
	smtp_client_read(c, str_span(line, sizeof(line)), 0);
	ok(smtp_client_next(c).kind == SMTP_CLIENT_FAILED, "no reply");
	ok(!str_search(smtp_client_transcript(c), STR("AG1lAHNl"), &at), "not a part of it");
	smtp_client_free(c);
}

TEST(transcripts_have_no_secrets)
{
	static const char *const secrets[] = { "secret", "c2VjcmV0", "Y2hhbGxlbmdl", "Z29lcw" };
	struct smtp_client *c = smtp_client_new(&plain, 0);
	size_t at;

	meet(c, STR("250-x\r\n250 AUTH LOGIN\r\n"));
	smtp_client_auth(c, STR("SCRAM"), STR("goes"), 0);
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("334 Y2hhbGxlbmdl\r\n"), 0);
	ok(smtp_client_next(c).kind == SMTP_CLIENT_CHALLENGE, "asked");
	smtp_client_auth_response(c, STR("secret"), 0);
	smtp_client_wrote(c, smtp_client_output(c).n, 0);
	smtp_client_read(c, STR("535-5.7.8 no\r\n535 5.7.8 not c2VjcmV0\r\n"), 0);
	ok(smtp_client_next(c).kind == SMTP_CLIENT_AUTH, "over");
	ok(str_search(smtp_client_transcript(c),
		      STR("C: AUTH SCRAM ***\nS: 334 (a challenge)\n"
			  "C: ***\nS: 535 (a text that"),
		      &at),
	   "the steps are there");
	FOR_EACH(s, secrets)
		ok(!str_search(smtp_client_transcript(c), str_of(*s), &at), *s);
	smtp_client_free(c);
}

TEST(transcript_is_bounded)
{
	struct smtp_client *c = smtp_client_new(&plain, 0);
	struct smtp_client_event e;

	smtp_client_read(c, STR("220 x\r\n250 x\r\n"), 0);
	e = smtp_client_next(c);
	for (int i = 0; i < 3000; i++) {
		smtp_client_mail(c, &one, 0);
		smtp_client_read(c, STR("550 no\r\n"), 0);
		if (i > 0)
			smtp_client_read(c, STR("550 no\r\n"), 0);
		do
			e = smtp_client_next(c);
		while (e.kind == SMTP_CLIENT_RCPT);
		if (e.kind != SMTP_CLIENT_DONE)
			break;
	}
	ok(smtp_client_transcript(c).n <= SMTP_TRANSCRIPT_MAX, "limit");
	smtp_client_free(c);
}

TEST(many_recipients)
{
	enum { N = 20000 };
	struct smtp_rcpt *many = calloc(N, sizeof(*many));
	struct smtp_mail m = { .rcpts = many, .n_rcpts = N };
	struct smtp_client *c = smtp_client_new(&plain, 0);
	size_t replied = 0, seen = 0;
	struct smtp_client_event e;

	for (size_t i = 0; i < N; i++)
		many[i].address = STR("someone@a-longer-name.example");
	smtp_client_read(c, STR("220 x\r\n250-x\r\n250 PIPELINING\r\n"), 0);
	e = smtp_client_next(c);
	smtp_client_mail(c, &m, 0);
	while (replied < N + 2) { /* MAIL, each RCPT, DATA */
		struct str out = smtp_client_output(c);
		size_t lines = 0;
		ok(out.n > 0 && out.n <= SMTP_PIPELINE_MAX + 1024, "commands ahead are bounded");
		for (size_t i = 0; i < out.n; i++)
			lines += out.p[i] == '\n';
		smtp_client_wrote(c, out.n, 0);
		for (; lines > 0; lines--, replied++) {
			if (replied == N + 1)
				smtp_client_read(c, STR("354 go\r\n"), 0);
			else if (replied % 2 == 1)
				smtp_client_read(c, STR("550 no\r\n"), 0);
			else
				smtp_client_read(c, STR("250 ok\r\n"), 0);
		}
	}
	for (e = smtp_client_next(c); e.kind == SMTP_CLIENT_RCPT; e = smtp_client_next(c))
		ok(e.index == 2 * seen++ && e.outcome.kind == OUTCOME_BOUNCED, "refused");
	ok(e.kind == SMTP_CLIENT_CONTENT && seen == N / 2, "the others are to be sent");
	smtp_client_read_end(c, 0);
	for (e = smtp_client_next(c); e.kind == SMTP_CLIENT_RCPT; e = smtp_client_next(c))
		seen++;
	ok(e.kind == SMTP_CLIENT_FAILED && seen == N, "one outcome for each");
	smtp_client_free(c);
	free(many);
}

TEST(progress_extends_the_deadline)
{
	struct smtp_client *c = smtp_client_new(&plain, 0);

	smtp_client_read(c, STR("220 x\r\n250 x\r\n"), 0);
	(void)smtp_client_next(c);
	smtp_client_mail(c, &one, 0);
	smtp_client_read(c, STR("250 x\r\n250 x\r\n354 x\r\n"), 0);
	(void)smtp_client_next(c);
	ok(smtp_client_deadline(c) == 7, "data_xfer");
	smtp_client_content(c, STR("x\n"), 20);
	ok(smtp_client_deadline(c) == 27, "content came");
	smtp_client_content_end(c, 30);
	smtp_client_wrote(c, 1, 40);
	ok(smtp_client_deadline(c) == 47, "still writing");
	smtp_client_wrote(c, smtp_client_output(c).n, 50);
	ok(smtp_client_deadline(c) == 58, "data_done counts from the last octet");
	smtp_client_free(c);
}

static void exchange(struct smtp_client *c, struct str reply, uint64_t now)
{
	smtp_client_wrote(c, smtp_client_output(c).n, now);
	smtp_client_read(c, reply, now);
}

TEST(content_must_keep_a_rate_where_one_is_asked_for)
{
	struct smtp_client_options o = plain;

	o.data_rate_min = 500;
	struct smtp_client *c = smtp_client_new(&o, 0);
	smtp_client_read(c, STR("220 x\r\n250 x\r\n"), 0);
	(void)smtp_client_next(c);
	for (int i = 0; i < 2; i++) { /* a second message counts from its own beginning */
		uint64_t now = (uint64_t)i * 1000;
		smtp_client_mail(c, &one, now);
		exchange(c, STR("250 x\r\n"), now);
		exchange(c, STR("250 x\r\n"), now);
		exchange(c, STR("354 x\r\n"), now);
		(void)smtp_client_next(c);
		smtp_client_content(c, STR("12345678\n"), now + 5);
		ok(smtp_client_deadline(c) <= now + 5 + 7, "about data_xfer");
		uint64_t before = smtp_client_deadline(c);
		smtp_client_wrote(c, 2, now + 6);
		ok(smtp_client_deadline(c) == before + 4, "two octets are 4 ms at that rate");
		smtp_client_content_end(c, now + 7);
		smtp_client_wrote(c, smtp_client_output(c).n, now + 8);
		ok(smtp_client_deadline(c) == now + 16, "data_done");
		smtp_client_read(c, STR("250 x\r\n"), now + 9);
		while (smtp_client_next(c).kind != SMTP_CLIENT_DONE)
			;
	}
	smtp_client_free(c);
}

TEST(content_that_went_fast_buys_no_long_silence)
{
	struct smtp_client_options o = plain;

	o.data_rate_min = 1;
	struct smtp_client *c = smtp_client_new(&o, 0);
	smtp_client_read(c, STR("220 x\r\n250 x\r\n"), 0);
	(void)smtp_client_next(c);
	smtp_client_mail(c, &one, 0);
	exchange(c, STR("250 x\r\n"), 0);
	exchange(c, STR("250 x\r\n"), 0);
	exchange(c, STR("354 x\r\n"), 0);
	(void)smtp_client_next(c);
	for (uint64_t now = 1; now < 4; now++) {
		smtp_client_content(c, STR("12345678\n"), now);
		smtp_client_wrote(c, 9, now);
		ok(smtp_client_deadline(c) == now + 7, "data_xfer from the last progress");
	}
	smtp_client_free(c);
}

TEST_MAIN(RUN(scripts), RUN(bad_octets), RUN(records), RUN(mechanisms_of_the_last_hello),
	  RUN(mechanisms_are_bounded), RUN(half_a_reply_before_auth),
	  RUN(bad_replies_show_no_part_of_a_secret), RUN(transcripts_have_no_secrets),
	  RUN(transcript_is_bounded), RUN(many_recipients), RUN(progress_extends_the_deadline),
	  RUN(content_must_keep_a_rate_where_one_is_asked_for),
	  RUN(content_that_went_fast_buys_no_long_silence))
