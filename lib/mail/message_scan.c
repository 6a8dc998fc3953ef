#include "mail/message_scan.h"

bool message_field_cut(struct str line, struct str *name, struct str *value)
{
	if (!str_cut(line, ':', name, value))
		return false;
	while (name->n > 0 && (name->p[name->n - 1] == ' ' || name->p[name->n - 1] == '\t'))
		name->n--;
	for (size_t i = 0; i < name->n; i++)
		if (name->p[i] <= ' ' || name->p[i] > '~')
			return false;
	return name->n > 0;
}

void message_scan_init(struct message_scan *m)
{
	*m = (struct message_scan){ .is_line_empty = true, .is_header_utf8 = true };
}

static bool message_scan_cut(const struct message_scan *m, struct str *name, struct str *value)
{
	return message_field_cut(str_span(m->field, m->field_n), name, value);
}

/* "TLS-Required: No"; any other value, or a second field, makes the request void. */
static void message_scan_field_end(struct message_scan *m)
{
	struct str name, value;

	if (message_scan_cut(m, &name, &value) && str_ieq_ascii(name, STR("TLS-Required"))) {
		m->n_tls_required++;
		m->has_tls_required_no = m->n_tls_required == 1 && !m->is_field_cut &&
					 str_ieq_ascii(str_trim(value), STR("No"));
	}
	m->field_n = 0;
	m->is_field_cut = false;
}

/* The header section ends at an empty line, and at a line that is no field: what looks like a field
 * below is text, and text must not lower the policy. */
static void message_scan_header_line_end(struct message_scan *m)
{
	struct str name, value;

	if (m->is_line_empty)
		message_scan_field_end(m);
	m->is_in_body = m->is_line_empty || (!m->is_folded && !message_scan_cut(m, &name, &value));
	m->has_8bit_header |= m->is_line_8bit && !m->is_in_body;
	m->is_line_8bit = false;
	m->is_line_empty = true;
}

static void message_scan_line_end(struct message_scan *m)
{
	m->size_octets += 2;
	if (!m->is_in_body)
		message_scan_header_line_end(m);
}

/* UTF-8 state machine over the header section; RFC 3629 section 3. */
static void message_scan_utf8(struct message_scan *m, unsigned char u)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

	if (m->utf8_left > 0) {
		if ((u & 0xc0) != 0x80) {
			m->is_header_utf8 = false;
			m->utf8_left = 0;
			return;
		}
		m->utf8_code = m->utf8_code << 6 | (u & 0x3f);
		if (--m->utf8_left == 0 && (m->utf8_code < m->utf8_min || m->utf8_code > 0x10ffff ||
					    (m->utf8_code >= 0xd800 && m->utf8_code < 0xe000)))
			m->is_header_utf8 = false;
		return;
	}
	if (u < 0x80)
		return;
	m->utf8_left = u >= 0xf0 ? 3 : u >= 0xe0 ? 2 : 1;
	m->utf8_min = least[m->utf8_left];
	m->utf8_code = u & (0x3fu >> m->utf8_left);
	if (u < 0xc2 || u > 0xf4) {
		m->is_header_utf8 = false;
		m->utf8_left = 0;
	}
}

/* A blank in front continues the field before, if there is one. */
static void message_scan_line_begin(struct message_scan *m, char first)
{
	m->is_line_empty = false;
	m->is_folded = m->field_n > 0 && (first == ' ' || first == '\t');
	if (!m->is_folded)
		message_scan_field_end(m);
}

static void message_scan_octet(struct message_scan *m, char c)
{
	unsigned char u = (unsigned char)c;

	m->size_octets++;
	m->is_8bit |= u > 127;
	m->has_nul |= u == 0;
	if (m->is_in_body)
		return;
	if (m->is_line_empty)
		message_scan_line_begin(m, c);
	m->is_line_8bit |= u > 127;
	message_scan_utf8(m, u);
	if (m->field_n < sizeof(m->field))
		m->field[m->field_n++] = c;
	else
		m->is_field_cut = true;
}

void message_scan_feed(struct message_scan *m, struct str in)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == '\n') {
			m->is_after_cr = false;
			message_scan_line_end(m);
			continue;
		}
		if (m->is_after_cr)
			message_scan_octet(m, '\r');
		m->is_after_cr = c == '\r';
		if (!m->is_after_cr)
			message_scan_octet(m, c);
	}
}

void message_scan_end(struct message_scan *m)
{
	if (m->is_after_cr)
		message_scan_octet(m, '\r');
	m->is_after_cr = false;
	if (m->utf8_left > 0)
		m->is_header_utf8 = false;
	if (!m->is_in_body && !m->is_line_empty)
		message_scan_header_line_end(m);
	if (!m->is_in_body)
		message_scan_field_end(m);
}
