#include "listen/post_test.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static struct made leaf;
static char tls_conf[1024];

static int set_up(void **state)
{
	(void)state;
	leaf = make(&(struct recipe){ .cn = "mx.example" });
	struct str file = file_of(&leaf, NULL);
	snprintf(tls_conf, sizeof(tls_conf),
		 "smtpd_tls_cert_file = %s\nsmtpd_tls_security_level = may\n"
		 "smtpd_tls_received_header = yes\n",
		 file.p);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unmake(&leaf);
	files_remove();
	return 0;
}

#define ANY "hopseal_listeners = smtp:127.0.0.1:0\nsmtpd_error_sleep_time = 0\n"
#define STRANGER ANY "mynetworks = 192.0.2.0/24\n"
#define PASSWORDS                                                                                  \
	"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_authenticated_header = yes\n"                    \
	"hopseal_sasl_password_maps = inline:{ { me = secret } { odd = {CRYPT}x } }\n"
#define LOGINS                                                                                     \
	PASSWORDS "recipient_delimiter = +\nsmtpd_sender_login_maps = inline:{ "                   \
		  "{me@x.example = you, ME} {you@x.example = you} {@all.example = me} }\n"
#define HELLO "S 220 mx.example ESMTP Hopseal\nC EHLO c.example\nS 250\n"
#define TO_RCPT "C MAIL FROM:<a@x.example>\nS 250 2.1.0\nC RCPT TO:<b@y.example>\nS 250 2.1.5\n"
#define TO_DATA TO_RCPT "C DATA\nS 354\n"
#define DATE "Sun, 22 Nov 2026 11:20:00 +0000"
#define RECEIVED(protocol, id)                                                                     \
	"Received: from c.example ([127.0.0.1])\r\n\tby mx.example (Hopseal) with " protocol       \
	" id " id "\r\n\tfor <b@y.example>; " DATE "\r\n"
#define FROM_DATE_ID "From: x\r\nDate: y\r\nMessage-ID: z\r\n"

static const struct {
	const char *rule, *conf, *script;
	struct str content, envelope; /* of the last message; .p NULL: there is none */
} cases[] = {
	{ "a message", ANY,
	  HELLO TO_DATA "C From: x\nC Date: y\nC Message-ID: z\nC \nC ..hello\nC .\n"
			"S 250 2.0.0 Ok: queued as ID1\nC QUIT\nS 221\nE\n",
	  STR_INIT(RECEIVED("ESMTP", "ID1") FROM_DATE_ID "\r\n.hello\r\n"),
	  STR_INIT("<a@x.example> user= <b@y.example>") },
	{ "what is announced",
	  ANY,
	  "S 220\nC EHLO c\nS 250\n+ 250-PIPELINING\n+ 250-SIZE 10240000\n+ CHUNKING\n+ DSN\n"
	  "+ ENHANCEDSTATUSCODES\n+ 8BITMIME\n- STARTTLS\n- AUTH\n- BINARYMIME\n"
	  "- REQUIRETLS\n",
	  { NULL, 0 } },
	{ "what is not",
	  ANY "smtpd_discard_ehlo_keywords = chunking, dsn\n",
	  HELLO "- CHUNKING\n- DSN\n+ PIPELINING\nC BDAT 1\nS 502\n",
	  { NULL, 0 } },
	{ "what is missing is put in", ANY,
	  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\nS 250\nC DATA\nS 354\n"
		"C Subject: x\nC Bcc: y\nC  z\nC \nC .\nS 250\n",
	  STR_INIT(RECEIVED("ESMTP", "ID1") "Subject: x\r\nMessage-ID: <1795346400.ID1@mx.example>"
					    "\r\nDate: " DATE
					    "\r\nFrom: MAILER-DAEMON@mx.example\r\n\r\n"),
	  STR_INIT("<> user= <b@y.example>") },
	{ "what is missing for others is not", ANY "local_header_rewrite_clients =\n",
	  HELLO TO_DATA "C .\nS 250\n", STR_INIT(RECEIVED("ESMTP", "ID1")),
	  STR_INIT("<a@x.example> user= <b@y.example>") },
	{ "by BDAT, with HELO, parameters and facts", ANY,
	  HELLO "C MAIL FROM:<a@x.example> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=e\nS 250\n"
		"C RCPT TO:<b@y.example> NOTIFY=NEVER\nS 250\nC BDAT 18\nC TLS-Required: no\n"
		"S 250\nC BDAT 6 LAST\nC \nC \xe4x\nS 250 2.0.0 Ok: queued as ID1\n",
	  STR_INIT(RECEIVED("ESMTP", "ID1") "TLS-Required: no\r\n"
					    "Message-ID: <1795346400.ID1@mx.example>\r\nDate: " DATE
					    "\r\nFrom: a@x.example\r\n\r\n\xe4x\r\n"),
	  STR_INIT("<a@x.example> 8bitmime 8bit tlsrequiredno user= <b@y.example> notify=NEVER") },
	{ "names without domain, and no HELO", ANY,
	  "S 220\nC MAIL FROM:<root>\nS 250\nC RCPT TO:<me>\nS 250\nC RCPT TO:<\"a b\">\nS 250\n"
	  "C DATA\nS 354\nC From: x\nC Date: y\nC Message-ID: z\nC \nC .\nS 250\n",
	  STR_INIT("Received: from unknown ([127.0.0.1])\r\n\tby mx.example (Hopseal) with SMTP id "
		   "ID1; " DATE "\r\n" FROM_DATE_ID "\r\n"),
	  STR_INIT("<root@origin.example> user= <me@origin.example> <\"a b\"@origin.example>") },
	{ "no HELO where it is required",
	  ANY "smtpd_helo_required = yes\n",
	  "S 220\nC MAIL FROM:<>\nS 503\n",
	  { NULL, 0 } },
	{ "a banner of one's own, no VRFY",
	  ANY "smtpd_banner = hi there\n"
	      "disable_vrfy_command = yes\n",
	  "S 220 hi there\nC EHLO c\nS 250\nC VRFY x\nS 502\n",
	  { NULL, 0 } },
	{ "a recipient is refused",
	  ANY,
	  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<nobody@y.example>\nS 550 5.1.2 no such place\n"
		"C DATA\nS 554 5.5.1\n",
	  { NULL, 0 } },
	{ "strangers may not relay",
	  STRANGER,
	  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\n"
		"S 554 5.7.1 <b@y.example>: Relay access denied\n",
	  { NULL, 0 } },
	{ "users only, though of mynetworks",
	  ANY "smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n",
	  HELLO "C MAIL FROM:<a@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 554 5.7.1\n",
	  { NULL, 0 } },
	{ "nobody",
	  ANY "smtpd_client_restrictions = reject\n",
	  HELLO "C MAIL FROM:<a@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 554 5.7.1\n",
	  { NULL, 0 } },
	{ "nobody, for now",
	  ANY "smtpd_recipient_restrictions = defer\n",
	  HELLO "C MAIL FROM:<a@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 450 4.7.1\n",
	  { NULL, 0 } },
	{ "restrictions never make a relay",
	  STRANGER "smtpd_recipient_restrictions = permit\nsmtpd_relay_restrictions = permit\n",
	  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\nS 554 5.7.1\n",
	  { NULL, 0 } },
	{ "a warning only",
	  ANY "smtpd_client_restrictions = warn_if_reject reject, permit_mynetworks, reject\n",
	  HELLO "C MAIL FROM:<a@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 250\n",
	  { NULL, 0 } },
	{ "mynetworks cannot be asked",
	  ANY "mynetworks = texthash:/nowhere/x\n",
	  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\nS 451 4.3.0\n",
	  { NULL, 0 } },
	{ "mynetworks in a table",
	  ANY "mynetworks = inline:{127.0.0.1=x}\n",
	  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\nS 250\n",
	  { NULL, 0 } },
	{ "two messages", ANY,
	  HELLO TO_DATA "C .\nS 250\n" TO_DATA "C From: x\nC Date: y\nC Message-ID: z\nC \nC .\n"
			"S 250 2.0.0 Ok: queued as ID2\n",
	  STR_INIT(RECEIVED("ESMTP", "ID2") FROM_DATE_ID "\r\n"),
	  STR_INIT("<a@x.example> user= <b@y.example>") },
	{ "a loop", ANY "hopcount_limit = 2\n",
	  HELLO TO_DATA "C Received: a\nC Received: b\nC \nC .\nS 554 5.4.6 too many hops\n" TO_DATA
			"C Received: a\nC From: x\nC Date: y\nC Message-ID: z\nC \nC Received: b\n"
			"C .\nS 250\n",
	  STR_INIT(RECEIVED("ESMTP", "ID2") "Received: a\r\n" FROM_DATE_ID "\r\nReceived: b\r\n"),
	  STR_INIT("<a@x.example> user= <b@y.example>") },
	{ "too big",
	  ANY "message_size_limit = 20\n",
	  HELLO "C MAIL FROM:<> SIZE=21\nS 552 5.3.4\n" TO_DATA "C 12345678901234567890\nC .\n"
		"S 552 5.3.4\nC MAIL FROM:<>\nS 250\n",
	  { NULL, 0 } },
	{ "too many recipients",
	  ANY "smtpd_recipient_limit = 1\n",
	  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<a@y.example>\nS 250\nC RCPT TO:<b@y.example>\n"
		"S 452 4.5.3\n",
	  { NULL, 0 } },
	{ "too many errors",
	  ANY "smtpd_hard_error_limit = 2\n",
	  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<nobody@y.example>\nS 550\nC X\nS 500\nS 421 "
		"4.7.0\nE\n",
	  { NULL, 0 } },
	{ "early talkers", ANY, HELLO "C NOOP\nC NOOP\nS 554 5.5.0\nE\n", { NULL, 0 } },
	{ "early talkers where it does not matter",
	  ANY "smtpd_forbid_unauth_pipelining = no\n",
	  HELLO "C NOOP\nC NOOP\nS 250\nS 250\n",
	  { NULL, 0 } },
	{ "another protocol", ANY, HELLO "C get / HTTP/1.1\nS 221 2.7.0\nE\n", { NULL, 0 } },
	{ "a line that begins with no letter", ANY, HELLO "C {}\nS 221 2.7.0\nE\n", { NULL, 0 } },
	{ "other words are forbidden",
	  ANY "smtpd_forbidden_commands = HELP\n",
	  HELLO "C {}\nS 500 5.5.2\nC GET\nS 500\nC HELP\nS 221\nE\n",
	  { NULL, 0 } },
	{ "a recipient twice", ANY,
	  HELLO TO_RCPT "C RCPT TO:<B@y.example>\nS 250\nC RCPT TO:<b@Y.Example>\nS 250\n"
			"C RCPT TO:<b@y.example> NOTIFY=NEVER\nS 250\nC RCPT TO:<a@y.example>\n"
			"S 250\nC DATA\nS 354\nC From: x\nC Date: y\nC Message-ID: z\nC \nC .\n"
			"S 250\n",
	  STR_INIT("Received: from c.example ([127.0.0.1])\r\n\tby mx.example (Hopseal) with ESMTP "
		   "id ID1; " DATE "\r\n" FROM_DATE_ID "\r\n"),
	  STR_INIT("<a@x.example> user= <b@y.example> <B@y.example> <b@y.example> notify=NEVER "
		   "<a@y.example>") },
	{ "nothing is smuggled", ANY,
	  HELLO TO_DATA "C From: x\nC Date: y\nC Message-ID: z\nC \nC a\n"
			"C .\rMAIL FROM:<smuggled@x>\rb\nC .\nS 250\n",
	  STR_INIT(RECEIVED("ESMTP", "ID1") FROM_DATE_ID "\r\na\r\n MAIL FROM:<smuggled@x> b\r\n"),
	  STR_INIT("<a@x.example> user= <b@y.example>") },
	{ "a bare CR is refused where it shall be",
	  ANY "smtpd_forbid_bare_newline = reject\nsmtpd_forbid_bare_newline_exclusions =\n",
	  HELLO TO_DATA "C a\rb\nC .\nS 550 5.6.0\n",
	  { NULL, 0 } },
	{ "not from clients of mynetworks, when nothing else is said",
	  ANY "smtpd_forbid_bare_newline = reject\n",
	  HELLO TO_DATA "C From: x\nC Date: y\nC Message-ID: z\nC \nC a\rb\nC .\nS 250\n",
	  STR_INIT(RECEIVED("ESMTP", "ID1") FROM_DATE_ID "\r\na b\r\n"),
	  STR_INIT("<a@x.example> user= <b@y.example>") },
	{ "nor from those that are excluded, by a table, too",
	  ANY "smtpd_forbid_bare_newline = reject\n"
	      "smtpd_forbid_bare_newline_exclusions = !192.0.2.1, inline:{127.0.0.1=x}\n",
	  HELLO TO_DATA "C From: x\nC Date: y\nC Message-ID: z\nC \nC a\rb\nC .\nS 250\n",
	  STR_INIT(RECEIVED("ESMTP", "ID1") FROM_DATE_ID "\r\na b\r\n"),
	  STR_INIT("<a@x.example> user= <b@y.example>") },
	{ "but from the others",
	  ANY "smtpd_forbid_bare_newline = reject\n"
	      "smtpd_forbid_bare_newline_exclusions = inline:{192.0.2.1=x}\n",
	  HELLO TO_DATA "C a\rb\nC .\nS 550 5.6.0\n",
	  { NULL, 0 } },
	{ "the store says no",
	  ANY,
	  HELLO "C MAIL FROM:<unlucky@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 250\nC DATA\n"
		"S 354\nC .\nS 452 4.3.1 the disk is full\nC RSET\nS 250\n",
	  { "", 0 } },
};

static void play_case(size_t i, bool answers_later)
{
	struct post p;

	post_open(&p, cases[i].conf);
	p.answers_later = answers_later;
	post_play(&p, 0, cases[i].rule, cases[i].script);
	if (cases[i].content.n > 0) {
		ok_str(buf_str(&p.content), cases[i].content, cases[i].rule);
		ok_str(buf_str(&p.envelope), cases[i].envelope, cases[i].rule);
	}
	ok((p.n_kept > 0) == (cases[i].content.p != NULL), cases[i].rule);
	post_close(&p);
}

TEST(sessions)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (int later = 0; later < 2; later++)
			play_case(i, later);
}

/* "\0me\0secret", "\0me\0wrong", "\0odd\0x", "me", "secret" */
#define PLAIN_ME "AG1lAHNlY3JldA=="
#define PLAIN_WRONG "AG1lAHdyb25n"
#define PLAIN_ODD "AG9kZAB4"

static const struct {
	const char *rule, *conf, *script;
	struct str content;
} secure_cases[] = {
	{ "STARTTLS and AUTH", STRANGER PASSWORDS,
	  HELLO
	  "+ STARTTLS\n- AUTH\nC AUTH PLAIN " PLAIN_ME "\nS 538\nC STARTTLS\nS 220\nT\n"
	  "C EHLO c.example\nS 250\n- STARTTLS\n+ REQUIRETLS\n"
	  "+ AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN\n"
	  "C AUTH PLAIN " PLAIN_WRONG "\nS 535 5.7.8\nC AUTH PLAIN " PLAIN_ODD "\nS 454 4.7.0\n"
	  "C MAIL FROM:<a@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 554 5.7.1\nC RSET\nS 250\n"
	  "C AUTH LOGIN\nS 334\nC bWU=\nS 334\nC c2VjcmV0\nS 235 2.7.0\n" TO_DATA
	  "C From: x\nC Date: y\nC Message-ID: z\nC \nC .\nS 250\n",
	  STR_INIT("Received: from c.example ([127.0.0.1])\r\n"
		   "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits))\r\n"
		   "\t(Authenticated sender: me)\r\n"
		   "\tby mx.example (Hopseal) with ESMTPSA id ID1\r\n"
		   "\tfor <b@y.example>; " DATE "\r\n" FROM_DATE_ID "\r\n") },
	{ "AUTH is cancelled, and goes on",
	  STRANGER PASSWORDS,
	  HELLO
	  "C STARTTLS\nS 220\nT\nC EHLO c\nS 250\nC AUTH LOGIN\nS 334\nC *\nS 501\n"
	  "C AUTH LOGIN bWU=\nS 334\nC !\nS 501\nC AUTH LOGIN bWU=\nS 334\nC c2VjcmV0\nS 235\n"
	  "C AUTH LOGIN\nS 503\n",
	  { NULL, 0 } },
	{ "AUTH before a message that lacks all",
	  STRANGER PASSWORDS
	  "smtpd_tls_received_header = no\nsmtpd_sasl_authenticated_header = no\n"
	  "local_header_rewrite_clients =\n",
	  HELLO "C STARTTLS\nS 220\nT\nC EHLO c.example\nS 250\nC AUTH PLAIN\nS 334\nC " PLAIN_ME
		"\n"
		"S 235\n" TO_DATA "C .\nS 250\n",
	  STR_INIT(RECEIVED("ESMTPSA",
			    "ID1") "Message-ID: <1795346400.ID1@mx.example>\r\nDate: " DATE
				   "\r\nFrom: a@x.example\r\n") },
	{ "TLS is needed",
	  ANY "smtpd_tls_security_level = encrypt\n",
	  HELLO "C MAIL FROM:<>\nS 530 5.7.0\nC STARTTLS\nS 220\nT\nC EHLO c\nS 250\n"
		"C MAIL FROM:<> REQUIRETLS\nS 250\n",
	  { NULL, 0 } },
	{ "TLS from the first octet",
	  "hopseal_listeners = smtps:127.0.0.1:0\nsmtpd_tls_security_level = none\n",
	  "T\n" HELLO "- STARTTLS\nC QUIT\nS 221\nE\n",
	  { NULL, 0 } },
	{ "what comes behind STARTTLS is not believed",
	  ANY,
	  HELLO "C STARTTLS\nC MAIL FROM:<>\nS 421 4.7.0\nE\n",
	  { NULL, 0 } },
	{ "SCRAM is offered in the clear where it may",
	  STRANGER PASSWORDS "smtpd_tls_auth_only = no\n",
	  HELLO "+ AUTH SCRAM-SHA-256 SCRAM-SHA-1\nC AUTH PLAIN " PLAIN_ME "\nS 504\n",
	  { NULL, 0 } },
	{ "users send as themselves",
	  STRANGER LOGINS "smtpd_sender_restrictions = reject_sender_login_mismatch\n",
	  HELLO
	  "C MAIL FROM:<me@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 553 5.7.1\n"
	  "C STARTTLS\nS 220\nT\nC EHLO c\nS 250\nC AUTH PLAIN " PLAIN_ME "\nS 235\n"
	  "C MAIL FROM:<me@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 250\nC RSET\nS 250\n"
	  "C MAIL FROM:<ME+tag@X.example>\nS 250\nC RCPT TO:<b@y.example>\nS 250\nC RSET\nS 250\n"
	  "C MAIL FROM:<\"me\"@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 250\nC RSET\nS 250\n"
	  "C MAIL FROM:<any@all.example>\nS 250\nC RCPT TO:<b@y.example>\nS 250\nC RSET\nS 250\n"
	  "C MAIL FROM:<you@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 553 5.7.1\nC RSET\n"
	  "S 250\nC MAIL FROM:<none@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 553 5.7.1\n"
	  "C RSET\nS 250\nC MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\nS 250\n",
	  { NULL, 0 } },
	{ "known senders only are somebody's",
	  STRANGER LOGINS "smtpd_sender_restrictions = reject_known_sender_login_mismatch\n",
	  HELLO
	  "C STARTTLS\nS 220\nT\nC EHLO c\nS 250\nC AUTH PLAIN " PLAIN_ME "\nS 235\n"
	  "C MAIL FROM:<none@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 250\nC RSET\nS 250\n"
	  "C MAIL FROM:<\"you\"@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 553 5.7.1\n",
	  { NULL, 0 } },
	{ "owned senders need a login, where mynetworks do not",
	  ANY LOGINS "smtpd_sender_restrictions = reject_unauthenticated_sender_login_mismatch\n",
	  HELLO "C MAIL FROM:<none@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 250\nC RSET\n"
		"S 250\nC MAIL FROM:<you@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 553 5.7.1\n",
	  { NULL, 0 } },
	{ "owners that cannot be looked up",
	  ANY PASSWORDS "smtpd_sender_restrictions = reject_sender_login_mismatch\n"
			"smtpd_sender_login_maps = texthash:/nowhere/x\n",
	  HELLO "C MAIL FROM:<none@x.example>\nS 250\nC RCPT TO:<b@y.example>\nS 451 4.3.0\n",
	  { NULL, 0 } },
	{ "mechanisms that keep nothing up",
	  STRANGER PASSWORDS "smtpd_tls_auth_only = no\n"
			     "smtpd_sasl_security_options = noanonymous, mutual_auth\n"
			     "smtpd_sasl_tls_security_options = noplaintext\n",
	  HELLO "+ AUTH SCRAM-SHA-256 SCRAM-SHA-1\nC STARTTLS\nS 220\nT\nC EHLO c\nS 250\n"
		"+ AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1\n- PLAIN\n"
		"C AUTH PLAIN AG1lAHNlY3JldA==\nS 504\n",
	  { NULL, 0 } },
	{ "few mechanisms",
	  STRANGER PASSWORDS "hopseal_sasl_mechanisms = plain\n",
	  HELLO "C STARTTLS\nS 220\nT\nC EHLO c\nS 250\n+ AUTH plain\nC AUTH LOGIN\nS 504\n",
	  { NULL, 0 } },
};

TEST(secure_sessions)
{
	FOR_EACH(c, secure_cases)
		for (int later = 0; later < 2; later++) {
			char text[4096];
			struct post p;

			snprintf(text, sizeof(text), "%s%s", tls_conf, c->conf);
			post_open(&p, text);
			p.answers_later = later;
			post_play(&p, 0, c->rule, c->script);
			if (c->content.p)
				ok_str(buf_str(&p.content), c->content, c->rule);
			post_close(&p);
		}
}

TEST(lmtp_over_a_unix_socket)
{
	char folder[] = "/tmp/hopseal-listen-XXXXXX", text[512];
	struct post p;

	ok(mkdtemp(folder) != NULL, "a folder");
	snprintf(text, sizeof(text),
		 "mynetworks =\nhopseal_listeners = lmtp:unix:%s/lmtp { myhostname = lmtp.example "
		 "}\n",
		 folder);
	post_open(&p, text);
	post_play(&p, 0, "LMTP",
		  "S 220 lmtp.example ESMTP Hopseal\nC EHLO c\nS 500\nC LHLO c.example\nS 250\n"
		  "C MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\nS 250\n"
		  "C RCPT TO:<nobody@y.example>\nS 550\nC RCPT TO:<c@y.example>\nS 250\nC DATA\n"
		  "S 354\nC From: x\nC Date: y\nC Message-ID: z\nC \nC .\nS 250 2.0.0 Ok: queued\n"
		  "S 250 2.0.0 Ok: queued\nC QUIT\nS 221\nE\n");
	ok_str(buf_str(&p.content),
	       STR("Received: from c.example (localhost)\r\n\tby lmtp.example (Hopseal) with LMTP "
		   "id "
		   "ID1; " DATE "\r\n" FROM_DATE_ID "\r\n"),
	       "kept");
	ok_str(buf_str(&p.envelope), STR("<> user= <b@y.example> <c@y.example>"), "for both");
	post_close(&p);
	snprintf(text, sizeof(text), "%s/lmtp", folder);
	unlink(text);
	rmdir(folder);
}

TEST(no_room)
{
	struct post p;

	post_open(&p, ANY);
	p.is_short = true;
	post_play(&p, 0, "early", HELLO "C MAIL FROM:<>\nS 452 4.3.1\n");
	p.is_short = false;
	p.cannot_spool = true;
	post_play(&p, 0, "late", HELLO TO_DATA "C x\nC .\nS 452 4.3.1\nC MAIL FROM:<>\nS 250\n");
	p.cannot_spool = false;
	p.cannot_add = true;
	post_play(&p, 0, "very late", HELLO TO_DATA "C x\nC .\nS 451 4.3.0\n");
	ok(p.n_kept == 0 && p.n_dropped == 1, "nothing is kept");
	post_close(&p);
}

static bool is_logged(struct post *p, const char *text)
{
	size_t at;

	return str_search(buf_str(&p->log), str_of(text), &at);
}

TEST(no_room_any_more)
{
	struct post p;

	post_open(&p, ANY);
	p.n_rooms = 1;
	post_play(&p, 0, "DATA", HELLO TO_RCPT "C DATA\nS 452 4.3.1\nC RSET\nS 250\n");
	p.n_rooms = 1;
	p.is_short = false;
	post_play(&p, 0, "BDAT",
		  HELLO TO_RCPT "C BDAT 6 LAST\nC QUIT\nS 452 4.3.1\nC NOOP\nS 250\n");
	ok(p.n_kept == 0, "nothing is kept");
	post_close(&p);
}

static void play_named(const char *conf, const char *name, bool is_in_doubt, const char *script,
		       const char *log)
{
	struct post p;

	post_open(&p, conf);
	p.name = name;
	p.is_name_in_doubt = is_in_doubt;
	post_play(&p, 0, log, script);
	ok(is_logged(&p, log), log);
	post_close(&p);
}

#define TO_NOBODY HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\n"

TEST(names)
{
	const char *by_name = "hopseal_listeners = smtp:127.0.0.1:0\nmynetworks = x.example\n";

	play_named(by_name, "app.x.example", false, TO_NOBODY "S 250\n",
		   "connect from app.x.example[127.0.0.1]\n");
	play_named(by_name, NULL, false, TO_NOBODY "S 554 5.7.1\n",
		   "connect from unknown[127.0.0.1]\n");
	play_named(by_name, NULL, true, TO_NOBODY "S 451 4.3.0\n",
		   "connect from unknown[127.0.0.1]\n");
	play_named(by_name, "no name", false, TO_NOBODY "S 554 5.7.1\n",
		   "connect from unknown[127.0.0.1]\n");
	play_named(ANY "smtpd_peername_lookup = no\n", "app.x.example", false, TO_NOBODY "S 250\n",
		   "connect from unknown[127.0.0.1]\n");
	play_named(ANY "smtpd_client_connection_rate_limit = 1\n"
		       "smtpd_client_event_limit_exceptions = x.example\n",
		   "app.x.example", false, HELLO, "connect from app.x.example[127.0.0.1]\n");
	play_named("hopseal_listeners = smtp:127.0.0.1:0\nhopseal_connection_limit = 9\n"
		   "smtpd_client_connection_count_limit = 1\nmynetworks = !x.example\n",
		   NULL, false, HELLO, "connect from unknown[127.0.0.1]\n");
}

TEST(names_that_do_not_come)
{
	struct client c;
	struct post p;

	post_open(&p, ANY "hopseal_peername_timeout = 1s\n");
	p.is_name_lost = true;
	post_play(&p, 0, "after a while", HELLO "C QUIT\nS 221\nE\n");
	ok(is_logged(&p, "disconnect from unknown[127.0.0.1]"), "without a name");
	client_open(&c, &p, 0, "gone before", "X\n");
	post_run(&p, "gone before");
	client_close(&c);
	post_close(&p);
}

TEST(names_and_tables_that_do_not_come)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t length = sizeof(at);
	char conf[256];
	struct post p;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ok(bind(fd, (struct sockaddr *)&at, length) == 0 && listen(fd, 9) == 0 &&
		   getsockname(fd, (struct sockaddr *)&at, &length) == 0,
	   "a server that says nothing");
	snprintf(conf, sizeof(conf),
		 ANY "hopseal_peername_timeout = 1s\n"
		     "smtpd_client_event_limit_exceptions = tcp:127.0.0.1:%u\n",
		 (unsigned)ntohs(at.sin_port));
	post_open(&p, conf);
	p.is_name_lost = true;
	uint64_t before = net_loop_now(p.loop);
	post_play(&p, 0, "one time for both", HELLO);
	ok(net_loop_now(p.loop) - before < 3000, "and it is over");
	post_close(&p);
	close(fd);
}

TEST(rates)
{
	struct post p;

	post_open(&p, ANY "smtpd_client_event_limit_exceptions =\n"
			  "smtpd_client_message_rate_limit = 2\n"
			  "smtpd_client_recipient_rate_limit = 1\n"
			  "smtpd_client_connection_rate_limit = 3\n");
	post_play(&p, 0, "recipients",
		  HELLO "C MAIL FROM:<>\nS 250\nC RCPT TO:<b@y.example>\nS 250\n"
			"C RCPT TO:<c@y.example>\nS 450 4.7.1\n");
	post_play(&p, 0, "messages",
		  HELLO "C MAIL FROM:<>\nS 250\nC RSET\nS 250\nC MAIL FROM:<>\n"
			"S 450 4.7.1\n");
	post_play(&p, 0, "the third connection", HELLO);
	post_play(&p, 0, "the fourth", "S 421 4.7.0\nE\n");
	post_close(&p);

	post_open(&p, ANY "smtpd_client_connection_rate_limit = 1\n");
	post_play(&p, 0, "an exception", HELLO);
	post_play(&p, 0, "by default", HELLO);
	post_close(&p);
}

TEST(connections)
{
	struct post p;
	struct client first, second, third;

	post_open(&p, ANY "smtpd_client_event_limit_exceptions =\n"
			  "smtpd_client_connection_count_limit = 1\n");
	client_open(&first, &p, 0, "first", "S 220\nC NOOP\nS 250\nE\n");
	client_open(&second, &p, 0, "second", "S 421 4.7.0\nE\nX\n");
	p.n_clients--; /* the first one stays */
	post_run(&p, "one of a client");
	p.n_clients++;
	client_close(&second);
	client_close(&first);
	post_close(&p);

	post_open(&p, ANY "hopseal_connection_limit = 1\n");
	client_open(&first, &p, 0, "first", "S 220\nE\n");
	client_open(&third, &p, 0, "third", "S 421 4.3.2\nE\nX\n");
	p.n_clients--;
	post_run(&p, "one of all");
	p.n_clients++;
	client_close(&third);
	client_close(&first);
	post_close(&p);
}

TEST(clients_that_are_gone)
{
	struct post p;

	post_open(&p, ANY);
	p.answers_later = true;
	post_play(&p, 0, "while a recipient is looked at",
		  HELLO "C MAIL FROM:<>\nS 250\n"
			"C RCPT TO:<b@y.example>\nX\n");
	post_play(&p, 0, "while the store works", HELLO TO_DATA "C x\nC .\nX\n");
	post_play(&p, 0, "in mid-message", HELLO TO_DATA "C x\nX\n");
	post_play(&p, 0, "and another comes", HELLO TO_DATA "C .\nS 250\nC QUIT\nS 221\nE\n");
	post_close(&p);
}

/* The kernel no longer knows who it was, and still has what it said. */
TEST(clients_that_were_gone_before_they_came)
{
	static const char all[] = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"
				  "x\r\n.\r\n";
	const struct linger reset = { .l_onoff = 1 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct post p;

	post_open(&p, STRANGER "smtpd_forbid_unauth_pipelining = no\n");
	to.sin_port = htons(listen_endpoint(p.listen, 0).port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ok(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "a client");
	ok(write(fd, all, sizeof(all) - 1) == sizeof(all) - 1, "says all at once");
	ok(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0, "and");
	close(fd);
	net_timer_set(p.patience, net_loop_now(p.loop) + 200);
	net_loop_run(p.loop);
	ok(p.n_kept == 0 && !is_logged(&p, "localhost[unix]"), "is no client of this machine");
	post_close(&p);
}

TEST(the_listener_goes_first)
{
	struct post p;
	struct client c;

	post_open(&p, ANY);
	client_open(&c, &p, 0, "idle", HELLO "C NOOP\nS 250\nX\n");
	post_run(&p, "connected");
	client_close(&c);
	client_open(&c, &p, 0, "told to go", HELLO "S 421 4.3.2\nE\n");
	while (!str_has_prefix(c.script, STR("S 421"))) {
		net_timer_set(p.patience, net_loop_now(p.loop) + 20);
		net_loop_run(p.loop);
	}
	p.is_impatient = false;
	listen_stop(p.listen);
	post_run(&p, "stopped");
	client_close(&c);
	ok(listen_sessions(p.listen) == 0, "nobody is left");
	post_close(&p);
}

TEST(another_takes_over)
{
	struct post p;
	struct client c;
	struct error e = { 0 };

	post_open(&p, ANY);
	struct net_endpoint at = listen_endpoint(p.listen, 0);
	struct listen_sockets *sockets = listen_bind(p.setup, p.sockets, &e);
	struct listen_options o = { .loop = p.loop,
				    .setup = p.setup,
				    .sockets = sockets,
				    .clients = p.clients,
				    .origin = STR("origin.example"),
				    .calls = &post_calls,
				    .arg = &p,
				    .utc_ms = post_utc_ms };
	struct listen *old = p.listen, *new = listen_new(&o, &e);
	ok(new != NULL, e.text);
	ok(listen_endpoint(new, 0).port == at.port, "the same port, though any was asked for");
	client_open(&c, &p, 0, "in the old one", HELLO TO_DATA "C .\nS 250\n");
	listen_retire(old);
	p.listen = new;
	post_run(&p, "served");
	client_close(&c);
	post_play(&p, 0, "in the new one", HELLO TO_DATA "C .\nS 250\n");
	listen_free(old);
	post_close(&p);
	listen_sockets_free(sockets);
}

/* Clients without manners: they say anything in any order, wait for nothing, and go at any time. */

static const char *const said[] = {
	"EHLO c\r\n",
	"HELO c\r\n",
	"MAIL FROM:<a@x.example>\r\n",
	"RCPT TO:<b@y.example>\r\n",
	"RCPT TO:<nobody@y.example>\r\n",
	"DATA\r\n",
	"Subject: x\r\n\r\nhello\r\n",
	".\r\n",
	"BDAT 10\r\n0123456789",
	"BDAT 3 LAST\r\nabc",
	"BDAT 99999\r\n",
	"RSET\r\n",
	"NOOP\r\n",
	"QUIT\r\n",
	"STARTTLS\r\n",
	"AUTH SCRAM-SHA-256 biwsbj1tZSxyPXg=\r\n",
	"AUTH LOGIN\r\n",
	"bWU=\r\n",
	"*\r\n",
	"\r\n",
	"\n",
	"VRFY x\r\n",
	"x",
	"\x16\x03\x01\x02",
};

struct rude {
	struct post *post;
	struct net_stream *stream;
	uint32_t seed;
};

static uint32_t roll(struct rude *k, uint32_t n)
{
	k->seed = k->seed * 1664525u + 1013904223u;
	return (k->seed >> 16) % n;
}

static void rude_over(struct rude *k, bool is_reset)
{
	if (is_reset)
		net_stream_reset(k->stream);
	else
		net_stream_free(k->stream);
	k->stream = NULL;
	if (--k->post->n_clients == 0)
		net_loop_stop(k->post->loop);
}

static void rude_says(void *arg)
{
	struct rude *k = arg;

	for (uint32_t n = roll(k, 6); n > 0; n--)
		net_stream_write(k->stream, str_of(said[roll(k, ARRAY_LEN(said))]));
	if (roll(k, 8) == 0)
		rude_over(k, roll(k, 2));
}

static void rude_hears(void *arg, struct str octets)
{
	(void)octets;
	rude_says(arg);
}

static void rude_ends(void *arg)
{
	rude_over(arg, false);
}

static void rude_fails(void *arg, const struct net_failure *why)
{
	(void)why;
	rude_over(arg, false);
}

static const struct net_stream_calls rude_calls = {
	.connected = rude_says, .read = rude_hears, .ended = rude_ends, .failed = rude_fails
};

TEST(clients_without_manners)
{
	char text[4096];
	struct rude crowd[500];
	struct post p;

	snprintf(text, sizeof(text), "%s%s", tls_conf,
		 ANY PASSWORDS "smtpd_forbid_unauth_pipelining = no\nsmtpd_tls_auth_only = no\n"
			       "smtpd_client_connection_count_limit = 0\n"
			       "smtpd_timeout = 1\nsmtpd_starttls_timeout = 1\n");
	post_open(&p, text);
	struct net_endpoint at = listen_endpoint(p.listen, 0);
	p.answers_later = p.is_moody = true;
	for (uint32_t i = 0; i < ARRAY_LEN(crowd); i++) {
		struct rude *k = &crowd[i];

		*k = (struct rude){ .post = &p, .seed = i };
		k->stream = net_stream_connect(p.loop, &at, NULL, &rude_calls, k);
		p.n_clients++;
	}
	post_run(&p, "a crowd");
	post_play(&p, 0, "and one with manners", HELLO TO_DATA "C .\nS 250\n");
	post_close(&p);
}

TEST(silent_clients)
{
	struct post p;

	post_open(&p, ANY "smtpd_timeout = 1\n");
	post_play(&p, 0, "a silent client", HELLO "S 421 4.4.2\nE\n");
	post_close(&p);
}

TEST(a_big_message)
{
	char *big = malloc(3 * 1024 * 1024 + 4096), *at = big;
	struct post p;

	post_open(&p, ANY);
	at += sprintf(at, HELLO TO_DATA "C From: x\nC Date: y\nC Message-ID: z\nC \n");
	for (int i = 0; i < 30000; i++)
		at += sprintf(
			at, "C 0123456789012345678901234567890123456789012345678901234567890123456"
			    "78901234567890\n");
	sprintf(at, "C .\nS 250\n");
	post_play(&p, 0, "a big message", big);
	ok(buf_len(&p.content) > 30000 * 82, "has come");
	post_close(&p);
	free(big);
}

TEST(the_log)
{
	struct post p;

	post_open(&p, STRANGER);
	post_play(&p, 0, "refused",
		  HELLO "C MAIL FROM:<a@x.example>\nS 250\n"
			"C RCPT TO:<b@y.example>\nS 554\nC QUIT\nS 221\nE\n");
	ok(is_logged(&p, "connect from unknown[127.0.0.1]\n"), "connected");
	ok(is_logged(&p, "NOQUEUE: reject: RCPT from unknown[127.0.0.1]: 554 5.7.1 <b@y.example>: "
			 "Relay access denied; from=<a@x.example> to=<b@y.example> proto=ESMTP "
			 "helo=<c.example>\n"),
	   "rejected");
	ok(is_logged(&p,
		     "disconnect from unknown[127.0.0.1] ehlo=1 mail=1 rcpt=1 quit=1 commands=4"),
	   "disconnected");
	post_close(&p);
	post_open(&p, ANY);
	post_play(&p, 0, "accepted", HELLO TO_DATA "C .\nS 250\nX\n");
	post_play(&p, 0, "another", HELLO "C QUIT\nS 221\nE\n");
	ok(is_logged(&p, "ID1: client=unknown[127.0.0.1]\n"), "accepted");
	ok(is_logged(&p, "lost connection after DATA from unknown[127.0.0.1]\n"), "lost");
	post_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(sessions),
		RUN(secure_sessions),
		RUN(lmtp_over_a_unix_socket),
		RUN(no_room),
		RUN(no_room_any_more),
		RUN(names),
		RUN(names_that_do_not_come),
		RUN(names_and_tables_that_do_not_come),
		RUN(rates),
		RUN(connections),
		RUN(clients_that_are_gone),
		RUN(clients_that_were_gone_before_they_came),
		RUN(the_listener_goes_first),
		RUN(another_takes_over),
		RUN(clients_without_manners),
		RUN(silent_clients),
		RUN(a_big_message),
		RUN(the_log),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
