package files

import (
	"cmp"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is in bytes. With a suffix that a tool appends, it stays below the 255 of file systems.
const maxName = 200

// downloadName returns the name of the file at target. If its extension is missing, as in many
// links, downloadName takes the name in the Content-Disposition of the response. If that has no
// extension either, it appends the one of the media type.
func downloadName(target *url.URL, answer http.Header) string {
	name := safeName(lastPart(target))
	if hasExtension(name) {
		return name
	}
	name = cmp.Or(dispositionName(answer.Get("Content-Disposition")), name)
	mediaType := answer.Get("Content-Type")
	switch {
	case name == "":
		return "file" + extension(mediaType)
	case hasExtension(name) || strings.HasPrefix(mediaType, unknownType):
		return name
	default:
		return safeName(name + extension(mediaType))
	}
}

func lastPart(target *url.URL) string {
	escaped := target.EscapedPath()
	last := escaped[strings.LastIndexByte(escaped, '/')+1:]
	if plain, err := url.PathUnescape(last); err == nil {
		return plain
	}
	return last
}

// dispositionName returns the file name in a Content-Disposition, made safe, or "" if it is
// missing. Of a path it returns the last part.
func dispositionName(disposition string) string {
	_, parameters, err := mime.ParseMediaType(disposition)
	name := parameters["filename"]
	if err != nil {
		name = looseName(disposition)
	}
	return safeName(name[strings.LastIndexAny(name, `/\`)+1:])
}

// looseName returns a file name that should be quoted but is not: stores repeat the text that a
// client has put into a signed link.
func looseName(disposition string) string {
	for parameter := range strings.SplitSeq(disposition, ";") {
		key, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(key), "filename") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// maxExtension is the length of the longest extension, with its dot: .safetensors and a little
// more.
const maxExtension = 17

// hasExtension reports whether a name ends in a dot with letters and digits. The number of a
// version is not an extension.
func hasExtension(name string) bool {
	ext := strings.TrimPrefix(path.Ext(name), ".")
	letters := 0
	for _, c := range []byte(ext) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters++
		case c < '0' || c > '9':
			return false
		}
	}
	return letters > 0 && len(ext) < maxExtension
}

// safeName turns text into the name of a visible file in its own directory; "" if nothing remains.
// It keeps the extension when it cuts the name to maxName bytes.
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

// cut returns the longest prefix of text of at most limit bytes that ends between two characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
