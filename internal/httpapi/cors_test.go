package httpapi

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPagesMaySendEveryHeaderThatTheServerReads(t *testing.T) {
	// Browsers and proxies set these, not the code of a page.
	others := []string{
		"Origin", "Host", "Content-Length", "Access-Control-Request-Method", "Expect",
		"X-Forwarded-For", "X-Forwarded-Prefix", "X-Forwarded-Proto",
	}
	read := regexp.MustCompile(`Header(?:\.Get|\.Values|\.Del)?[(\[]"([A-Za-z-]+)"`)
	files, _ := filepath.Glob("*.go") // the pattern is valid
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range read.FindAllStringSubmatch(string(source), -1) {
			if strings.Contains(string(source), "w."+m[0]) {
				continue // a header of the answer
			}
			found++
			if name := m[1]; !slices.Contains(requestHeaders, name) && !slices.Contains(others, name) {
				t.Errorf("%s reads %s, which is not in requestHeaders", file, name)
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d headers were found", found)
	}
}
