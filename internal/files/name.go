package files

import (
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxName = 200 // bytes; with what tools append to it, it stays below the 255 of file systems

// downloadName returns the name of the file that target leads to; mediaType serves when target ends in a slash.
func downloadName(target *url.URL, mediaType string) string {
	escaped := target.EscapedPath()
	last := escaped[strings.LastIndexByte(escaped, '/')+1:]
	if plain, err := url.PathUnescape(last); err == nil {
		last = plain
	}
	if name := safeName(last); name != "" {
		return name
	}
	return "file" + extension(mediaType)
}

// safeName turns text into the name of a visible file in its own directory; "" when nothing is left of it. The
// extension survives the cut to maxName bytes.
func safeName(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == utf8.RuneError || unicode.IsControl(r) {
			return '_'
		}
		return r
	}, text)
	text = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(text), "."))
	if len(text) <= maxName {
		return text
	}
	ext := path.Ext(text)
	if len(ext) > maxName/4 {
		ext = ""
	}
	return cut(strings.TrimSuffix(text, ext), maxName-len(ext)) + ext
}

// cut returns the longest prefix of text of at most limit bytes that ends at a character's border.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
