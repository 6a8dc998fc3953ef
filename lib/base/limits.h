/* Every bound on memory or work that a peer, a file or a message can claim, on one screen.
 * Octets unless the name says otherwise. */

#ifndef HOPSEAL_BASE_LIMITS_H
#define HOPSEAL_BASE_LIMITS_H

/* SMTP, RFC 5321 section 4.5.3.1 asks for at least 512 (lines), 64 + 255 (paths), 998 +
 * CRLF (text) */
#define SMTP_REPLY_LINE_MAX 2048            /* one reply line with CRLF */
#define SMTP_REPLY_TEXT_MAX (16 * 1024)     /* all lines of one reply together */
#define SMTP_COMMAND_LINE_MAX 4096          /* one command line with CRLF, all extensions */
#define SMTP_AUTH_LINE_MAX (12 * 1024 + 2)  /* AUTH and its responses; RFC 4954 section 4 */
#define SMTP_AUTH_ROUNDS_MAX 8              /* challenges that a client answers */
#define SMTP_MECHANISMS_MAX 1024            /* of the AUTH lines in a reply to EHLO */
#define SASL_ITERATIONS_MIN 4096            /* of SCRAM, of a server; RFC 7677 section 4 */
#define SASL_ITERATIONS_MAX 100000          /* of the same: a tenth of a second */
#define SMTP_PATH_MAX 320                   /* local-part 64, "@", domain 255 */
#define SMTP_PIPELINE_MAX (64 * 1024)       /* commands sent ahead of their replies */
#define SMTP_RECIPIENTS_MAX 50000           /* of one transaction */
#define SMTP_CONTENT_PIECE_MAX (64 * 1024)  /* of a message, given to an engine at once */
#define SMTP_CONTENT_AHEAD_MAX (128 * 1024) /* content that waits to be written */
#define SMTP_OUTPUT_MAX (4 * 1024 * 1024)   /* all that waits to be written */
#define SMTP_SERVER_INPUT_MAX (64 * 1024)   /* octets a server holds while it waits for an answer */
#define SMTP_TRANSCRIPT_MAX (64 * 1024)     /* of one session, kept for the record */
/* Milliseconds that one session may take, however the peer spreads its replies within the limits of
 * each: as long as Postfix lets a process work (daemon_timeout). */
#define SMTP_SESSION_MS_MAX (5ull * 60 * 60 * 1000)
#define SMTP_REASON_MAX 1000 /* of a reply, quoted in a reason */

/* Messages that recipients are taken from */
#define MESSAGE_SECTION_MAX (4 * 1024 * 1024) /* octets of the header section */

/* MIME, while converting to 7 bit */
#define MIME_DEPTH_MAX 100         /* multipart in multipart; mime_nesting_limit */
#define MIME_BOUNDARY_MAX 2048     /* compared of a boundary; mime_boundary_length_limit */
#define MIME_FIELD_MAX (16 * 1024) /* looked at of a Content-Type field */
#define MIME_PEEK_MAX (64 * 1024)  /* of a part held back to see whether it is 8-bit */

/* names and addresses */
#define DOMAIN_NAME_MAX 255 /* RFC 1035 section 2.3.4 */
#define DOMAIN_LABEL_MAX 63
#define NEXTHOP_MAX 1024 /* a next-hop text from a table or main.cf */

/* routing and DNS */
#define ROUTE_MX_HOSTS_MAX 128  /* MX records looked at, in the order of preference */
#define ROUTE_ADDRESSES_MAX 512 /* over all hosts of one next-hop */
#define ROUTE_CNAME_HOPS_MAX 16
#define ROUTE_LOGIN_MAX 4096     /* of a user name and of a password */
#define ROUTE_ASKS_MAX 256       /* questions that one step hands out at once */
#define DNS_RECORDS_MAX 512      /* of one answer */
#define DNS_ANCHOR_LINE_MAX 8192 /* a line of a trust anchor file */

/* asking */
#define ASK_ENTRIES_MAX 16384 /* questions in flight and answers kept */
#define ASK_RUN_MAX 1024      /* questions for one destination */

/* delivery */
#define POOL_SESSIONS_MAX 500 /* idle ones kept for further mail, of one thread */

/* policy */
#define POLICY_REQUIRETLS_TABLES_MAX 6 /* in smtp_requiretls_policy */
#define POLICY_ASKS_MAX 960   /* questions one decision may ask; a parent walk asks one a label */
#define POLICY_TRACE_MAX 128  /* steps of a trace */
#define POLICY_CACHE_MAX 1024 /* decisions kept for use again */
#define POLICY_CACHE_ENTRY_MAX (16 * 1024) /* of one of them; a larger one is made anew */

/* configuration and tables */
#define CONF_FILE_MAX (4 * 1024 * 1024)
#define CONF_VALUE_MAX (256 * 1024)          /* one parameter, expanded */
#define CONF_EXPAND_DEPTH_MAX 100            /* references inside each other, as Postfix */
#define CONF_EXPANDED_MAX (64 * 1024 * 1024) /* all values together */
#define CONF_TABLE_NAMES_MAX 64  /* tables with parameters in main.cf that are recognised */
#define CONF_FINDINGS_MAX 10000  /* kept of one configuration */
#define CONF_SUGGESTIONS_MAX 100 /* unknown names that get a nearest one */
#define CONF_NEAREST_NAME_MAX 80 /* a longer name gets none */
#define CONF_NEAREST_MAX 4       /* changes between a name and its nearest */
#define TABLE_FILE_MAX (1024 * 1024 * 1024)
#define TABLE_VALUE_MAX (1024 * 1024)
#define TABLE_PGSQL_HOSTS_MAX 64     /* of one table */
#define TABLE_SQLITE_MS_MAX 1000     /* milliseconds of one query; the loop waits */
#define TABLE_FINDINGS_MAX 100       /* about one version of a file */
#define TABLE_NESTING_MAX 32         /* tables in tables */
#define TABLE_PCRE_STEPS_MAX 1000000 /* of one match: some 10 ms, PCRE2's own is ten times it */
#define TABLE_PCRE_HEAP_KIB_MAX (20 * 1024) /* of one match */
#define TABLE_REMOTE_CONNECTIONS_MAX 8      /* of one table to its server, each with a thread */
#define TABLE_REMOTE_WAITING_MAX 16384      /* lookups that wait for one server */

/* lookups over the network */
#define SOCKETMAP_REPLY_MAX 100000  /* a reply without its frame; socketmap_max_reply_size */
#define SOCKETMAP_REQUEST_MAX 10000 /* name and key; socketmap_max_query_size */
#define TCP_TABLE_LINE_MAX 4096     /* a request or reply with its LF; tcp_table(5) */

/* the daemon's operators */
#define CONTROL_LINE_MAX (16 * 1024)         /* one request with its LF */
#define CONTROL_SESSIONS_MAX 64              /* connections to the control socket at once */
#define CONTROL_REPLY_MAX (64 * 1024 * 1024) /* all lines of one reply */
#define CONTROL_DESTINATIONS_MAX 100000      /* of one worker, in one reply */
#define CONTROL_BLOCKED_MAX 100              /* of all workers, in one status */
#define METRICS_CONNECTIONS_MAX 16           /* HTTP connections at once */
#define METRICS_TEXT_MAX (256 * 1024)        /* one page of metrics */

/* TLS */
#define TLS_ANCHORS_MAX 4096 /* certificates and keys of trust anchor files for one session */
#define TLS_CHAIN_MAX 32     /* certificates of a peer that are kept */
#define TLS_NAMES_MAX 1024   /* names of one certificate that are kept */
#define TLS_RECORD_BUFFER_MAX (256 * 1024) /* waiting at one port of a session */
#define TLS_READ_MAX (64 * 1024)           /* given to a session in one call */
#define TLS_CONTEXTS_MAX 64                /* distinct demands whose contexts are kept */
#define TLS_SESSIONS_MAX 1024              /* kept to be resumed, of one thread */
#define TLS_SESSIONS_KEY_MAX 16            /* of them, for one server under one demand */

/* the log */
#define LOG_WAITING_MAX (4 * 1024 * 1024) /* octets for a reader that is slow */

/* the queue */
#define EVIDENCE_MAX (4 * 1024 * 1024)    /* the record of one attempt */
#define CLIENT_RECORD_MAX (64 * 1024)     /* who brought a message */
#define NOTICE_RCPTS_MAX 1000             /* told of in one notification; more get another */
#define NOTICE_TEXT_MAX (8 * 1024 * 1024) /* of a notification, without the original */

/* a recorded fact set read from a file */
#define FACTS_FILE_MAX (16 * 1024 * 1024)

#endif
