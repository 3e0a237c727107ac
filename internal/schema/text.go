package schema

import "unicode/utf8"

// clip shortens text that is shown to people to at most limit bytes, at a character's border.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
