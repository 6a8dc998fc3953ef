#include "cmd/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A window narrower than that breaks lines by itself, and one wider is hard to read along. */
#define COLUMNS_MIN 40
#define COLUMNS_MAX 160

bool cmd_color_parse(const char *text, enum cmd_color *out)
{
	static const char *const names[] = {
		[CMD_COLOR_AUTO] = "auto",
		[CMD_COLOR_ALWAYS] = "always",
		[CMD_COLOR_NEVER] = "never",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum cmd_color)i;
			return true;
		}
	}
	return false;
}

static size_t terminal_columns(void)
{
	struct winsize w = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
		return PAGE_COLUMNS;
	if (w.ws_col < COLUMNS_MIN)
		return COLUMNS_MIN;
	return w.ws_col > COLUMNS_MAX ? COLUMNS_MAX : w.ws_col;
}

/* https://no-color.org */
static bool terminal_takes_color(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no && *no) && term && strcmp(term, "dumb") != 0;
}

struct page cmd_terminal_page(struct buf *out, enum cmd_color color)
{
	bool is_terminal = isatty(STDOUT_FILENO);
	bool has_color = color == CMD_COLOR_ALWAYS ||
			 (color == CMD_COLOR_AUTO && is_terminal && terminal_takes_color());

	return (struct page){ out, is_terminal ? terminal_columns() : PAGE_COLUMNS, has_color };
}
